//! Figures of the HTTP side, and the page on which Prometheus reads all figures of the process.

use crate::problem::Problem;
use actix_web::dev::ServiceRequest;
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpResponse, get};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// One recorder a process: the `metrics` facade has one place for it.
static RECORDER: Mutex<Option<PrometheusHandle>> = Mutex::new(None);

/// From a cached read to a slow import.
const SECONDS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];

/// The recorder of this process, installed when first asked for. `None` when another one was installed before.
pub fn recorder() -> Option<PrometheusHandle> {
    let mut recorder = RECORDER.lock().unwrap_or_else(PoisonError::into_inner);
    if recorder.is_none() {
        let builder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)
            .map_err(|error| tracing::error!(%error, "metrics have no buckets"));
        *recorder = builder.ok().and_then(|builder| builder.install_recorder().ok());
        describe();
    }
    recorder.clone()
}

fn describe() {
    metrics::describe_counter!("muster_http_requests_total", "Requests answered, by route, method and status");
    metrics::describe_histogram!(
        "muster_http_request_duration_seconds",
        metrics::Unit::Seconds,
        "From the head of a request to the head of its answer"
    );
}

/// The pattern of the route, such as `/api/keys/{id}`; never the path itself, which would make a series for each id.
pub(crate) fn route(request: &ServiceRequest) -> String {
    request.match_pattern().unwrap_or_else(|| "none".to_owned())
}

/// The method, if it is one that anybody uses: a label must not be the caller's to choose.
pub(crate) fn method(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}

/// Counts an answer.
pub(crate) fn answered(route: String, method: &'static str, status: StatusCode, took: Duration) {
    let status = status.as_u16().to_string();
    metrics::histogram!("muster_http_request_duration_seconds", "route" => route.clone(), "method" => method)
        .record(took.as_secs_f64());
    metrics::counter!("muster_http_requests_total", "route" => route, "method" => method, "status" => status)
        .increment(1);
}

/// The figures of this process, for Prometheus.
#[utoipa::path(
    operation_id = "read_metrics",
    tag = "operations",
    responses((status = 200, description = "Prometheus text format", body = String, content_type = "text/plain"))
)]
#[get("/metrics")]
pub(crate) async fn read_metrics() -> Result<HttpResponse, Problem> {
    let recorder = recorder().ok_or(Problem::Unavailable("no recorder of figures"))?;
    Ok(HttpResponse::Ok().content_type("text/plain; version=0.0.4; charset=utf-8").body(recorder.render()))
}
