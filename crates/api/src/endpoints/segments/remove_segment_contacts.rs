//! `DELETE /api/segments/{id}/contacts`

use super::member_ids::MembersRequest;
use crate::extract::{AudienceWrite, Body, Can, InPath};
use crate::reply::Reply;
use crate::transact::Answer;
use actix_web::delete;
use muster_domain::model::ids::SegmentId;
use muster_domain::usecases::remove_segment_contacts as story;
use serde::Serialize;
use utoipa::ToSchema;

/// What became of it.
#[derive(Serialize, ToSchema)]
#[schema(as = SegmentContactsRemoved)]
pub(crate) struct RemoveResponse {
    /// Contacts that were members.
    removed: u64,
}

/// Takes contacts off the list of a static segment, all or none. 409 for a dynamic segment. The ids come as the
/// request's body.
#[utoipa::path(
    operation_id = "remove_segment_contacts",
    tag = "segments",
    params(("id" = Uuid, Path, description = "The segment")),
    request_body = MembersRequest,
    responses(
        (status = 200, description = "Removed", body = RemoveResponse),
        (status = 409, description = "The segment is dynamic", body = crate::problem::ProblemBody,
            content_type = "application/problem+json")
    )
)]
#[delete("/{id}/contacts")]
pub(crate) async fn remove_segment_contacts(
    caller: Can<AudienceWrite>,
    InPath(id): InPath<SegmentId>,
    body: Body<MembersRequest>,
) -> Answer {
    caller
        .write(&body.repeat, async |tx| {
            let removed = story::remove_segment_contacts(tx, &body.of(id)).await?;
            Reply::ok(&RemoveResponse { removed })
        })
        .await
}
