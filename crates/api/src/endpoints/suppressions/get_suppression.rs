//! `GET /api/suppressions/{entry}`

use super::only::in_path;
use super::suppression::SuppressionResponse;
use crate::extract::{AudienceRead, Can, InPath};
use crate::problem::Problem;
use crate::transact::Answer;
use actix_web::{HttpRequest, HttpResponse, get};
use muster_domain::usecases::list_suppressions as story;

/// The entry of exactly this address or domain, percent-encoded in the path; of an address also one that was left when its
/// contact was erased.
#[utoipa::path(
    operation_id = "get_suppression",
    tag = "suppressions",
    params(("entry" = String, Path, description = "The address or domain, in upper or lower case")),
    responses((status = 200, description = "The entry", body = SuppressionResponse))
)]
#[get("/{entry}")]
pub(crate) async fn get_suppression(
    caller: Can<AudienceRead>,
    InPath(entry): InPath<String>,
    request: HttpRequest,
) -> Answer {
    let what = in_path(&entry, &request)?;
    let found = caller.read(async |tx| story::list_suppressions(tx, Some(&what), None, 1).await).await?;
    let entry = found.into_iter().next().ok_or(Problem::NotFound)?;
    Ok(HttpResponse::Ok().json(SuppressionResponse::found(entry, &what)))
}
