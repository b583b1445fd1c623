//! `GET /api/segments/{id}`

use super::segment::SegmentResponse;
use crate::extract::{AudienceRead, Can, InPath};
use crate::problem::Problem;
use crate::transact::Answer;
use actix_web::{HttpResponse, get};
use muster_domain::model::ids::SegmentId;
use muster_domain::usecases::get_segment as story;

/// A segment and how many members it has now.
#[utoipa::path(
    operation_id = "get_segment",
    tag = "segments",
    params(("id" = Uuid, Path, description = "The segment")),
    responses((status = 200, description = "The segment", body = SegmentResponse))
)]
#[get("/{id}")]
pub(crate) async fn get_segment(caller: Can<AudienceRead>, InPath(id): InPath<SegmentId>) -> Answer {
    let found = caller.read(async |tx| story::get_segment(tx, id).await).await?;
    let (segment, contacts) = found.ok_or(Problem::NotFound)?;
    Ok(HttpResponse::Ok().json(SegmentResponse::from(segment).of_size(contacts)))
}
