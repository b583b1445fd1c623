//! Whether the process lives, and whether it can serve.

use crate::problem::Problem;
use crate::state::ApiState;
use actix_web::{HttpResponse, get, web};
use muster_domain::ports::readiness::NotReady;
use serde::Serialize;
use utoipa::ToSchema;

/// A state of health.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HealthResponse {
    /// `ok`.
    status: &'static str,
}

/// The process answers; says nothing of what it depends on.
#[utoipa::path(
    operation_id = "read_health",
    tag = "operations",
    responses((status = 200, description = "Alive", body = HealthResponse))
)]
#[get("/healthz")]
pub(crate) async fn read_health() -> HttpResponse {
    HttpResponse::Ok().json(HealthResponse { status: "ok" })
}

/// The database answers and has every migration: requests can be served.
#[utoipa::path(
    operation_id = "read_readiness",
    tag = "operations",
    responses(
        (status = 200, description = "Ready", body = HealthResponse),
        (status = 503, description = "Not ready, and why", body = crate::problem::ProblemBody,
         content_type = "application/problem+json"),
    )
)]
#[get("/readyz")]
pub(crate) async fn read_readiness(state: web::Data<ApiState>) -> Result<HttpResponse, Problem> {
    state.readiness.check().await.map_err(|reason| match reason {
        NotReady::DatabaseUnreachable => Problem::Unavailable("the database cannot be reached"),
        NotReady::MigrationsMissing { .. } => Problem::Unavailable("migrations are missing; run: muster migrate"),
    })?;
    Ok(HttpResponse::Ok().json(HealthResponse { status: "ok" }))
}
