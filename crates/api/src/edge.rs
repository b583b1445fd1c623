//! What is true of every answer: a request id, safe headers, problem+json, a line in the figures, HEAD as GET.

use crate::limits::{BODY_BYTES, HEADER_BYTES, URI_BYTES};
use crate::metrics;
use crate::problem::Problem;
use actix_web::body::{BoxBody, EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, HttpResponse};
use std::error::Error as StdError;
use tokio::time::Instant;
use tracing::Span;
use tracing_actix_web::{RequestId, RootSpanBuilder};

/// Set unless an endpoint set its own.
const DEFAULT_HEADERS: [(HeaderName, &str); 6] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::CACHE_CONTROL, "no-store"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// Left in the extensions of a request that came as HEAD and is answered as GET.
pub(crate) struct WasHead;

/// The outermost of our own layers.
pub(crate) async fn edge(
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<EitherBody<impl MessageBody, BoxBody>>, Error> {
    let begun = Instant::now();
    let route = metrics::route(&request);
    let method = metrics::method(request.method());
    let request_id = request.extensions().get::<RequestId>().map(ToString::to_string);
    if request.method() == Method::HEAD {
        // The connection remembers that it was HEAD and sends no body.
        request.head_mut().method = Method::GET;
        request.extensions_mut().insert(WasHead);
    }
    let mut response = match oversized(&request) {
        Some(problem) => request.error_response(problem).map_into_right_body(),
        None => next.call(request).await?.map_into_left_body(),
    };
    if let Some(problem) = in_our_words(&response) {
        response = response.into_response(HttpResponse::from_error(problem)).map_into_right_body();
    }
    log_failure(&response);
    let headers = response.headers_mut();
    for (name, value) in DEFAULT_HEADERS {
        if !headers.contains_key(&name) {
            headers.insert(name, HeaderValue::from_static(value));
        }
    }
    if let Some(id) = request_id.and_then(|id| HeaderValue::from_str(&id).ok()) {
        headers.insert(HeaderName::from_static("x-request-id"), id);
    }
    metrics::answered(route, method, response.status(), begun.elapsed());
    Ok(response)
}

/// A refusal of some part of the framework, which would be a bare status or plain text, as a problem.
fn in_our_words<B>(response: &ServiceResponse<B>) -> Option<Problem> {
    let status = response.status();
    let foreign = match response.response().error() {
        Some(error) => error.as_error::<Problem>().is_none(),
        None => !response.headers().contains_key(header::CONTENT_TYPE),
    };
    if !foreign || !(status.is_client_error() || status.is_server_error()) {
        return None;
    }
    Some(match status {
        StatusCode::NOT_FOUND => Problem::NotFound,
        StatusCode::PAYLOAD_TOO_LARGE => Problem::PayloadTooLarge { limit: BODY_BYTES },
        status if status.is_client_error() => Problem::MalformedJson("the request cannot be read".to_owned()),
        _ => Problem::internal("a part of the framework failed"),
    })
}

fn oversized(request: &ServiceRequest) -> Option<Problem> {
    let uri = request.uri().path_and_query().map_or(0, |part| part.as_str().len());
    if uri > URI_BYTES {
        return Some(Problem::UriTooLong);
    }
    let headers: usize = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    (headers > HEADER_BYTES).then_some(Problem::HeadersTooLarge)
}

/// Tells a server error once, with its causes. Those name no values (see the adapters' error mapping).
fn log_failure<B>(response: &ServiceResponse<B>) {
    let Some(error) = response.response().error().filter(|_| response.status().is_server_error()) else { return };
    let mut causes = Vec::new();
    let mut cause = error.as_error::<Problem>().map(|problem| problem as &dyn StdError);
    while let Some(error) = cause {
        causes.push(error.to_string());
        cause = error.source();
    }
    tracing::error!(status = response.status().as_u16(), causes = causes.join(": "), "request failed");
}

/// The span around a request. The route's pattern stands in for the path, whose ids and tokens belong in no log, and
/// nothing is said of the query, the headers or the error: all may hold personal data.
pub(crate) struct RequestSpan;

impl RootSpanBuilder for RequestSpan {
    fn on_request_start(request: &ServiceRequest) -> Span {
        let id = request.extensions().get::<RequestId>().map(ToString::to_string);
        tracing::info_span!(
            "request",
            method = metrics::method(request.method()),
            route = metrics::route(request),
            request_id = id,
            status = tracing::field::Empty,
        )
    }

    fn on_request_end<B: MessageBody>(span: Span, outcome: &Result<ServiceResponse<B>, Error>) {
        let status = match outcome {
            Ok(response) => response.status(),
            Err(error) => error.as_response_error().status_code(),
        };
        span.record("status", status.as_u16());
        tracing::debug!(parent: &span, "answered");
    }
}
