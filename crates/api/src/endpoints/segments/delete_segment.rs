//! `DELETE /api/segments/{id}`

use crate::extract::{AudienceWrite, Can, InPath};
use crate::problem::Problem;
use crate::transact::Answer;
use actix_web::{HttpResponse, delete};
use muster_domain::model::ids::SegmentId;
use muster_domain::usecases::delete_segment::{self as story, DeleteSegmentError};

impl From<DeleteSegmentError> for Problem {
    fn from(error: DeleteSegmentError) -> Self {
        match error {
            DeleteSegmentError::NotFound => Self::NotFound,
            DeleteSegmentError::InUse => Self::Conflict("A campaign names this segment."),
            DeleteSegmentError::Store(error) => Self::Store(error),
        }
    }
}

/// Removes a segment that no campaign names. Its contacts stay.
#[utoipa::path(
    operation_id = "delete_segment",
    tag = "segments",
    params(("id" = Uuid, Path, description = "The segment")),
    responses(
        (status = 204, description = "Removed"),
        (status = 409, description = "A campaign names it", body = crate::problem::ProblemBody,
            content_type = "application/problem+json")
    )
)]
#[delete("/{id}")]
pub(crate) async fn delete_segment(caller: Can<AudienceWrite>, InPath(id): InPath<SegmentId>) -> Answer {
    caller.change(async |tx| story::delete_segment(tx, id).await).await?;
    Ok(HttpResponse::NoContent().finish())
}
