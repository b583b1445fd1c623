//! `POST /api/segments/{id}/contacts`

use super::member_ids::MembersRequest;
use crate::extract::{AudienceWrite, Body, Can, InPath};
use crate::reply::Reply;
use crate::transact::Answer;
use actix_web::post;
use muster_domain::model::ids::SegmentId;
use muster_domain::usecases::add_segment_contacts as story;
use serde::Serialize;
use utoipa::ToSchema;

/// What became of it.
#[derive(Serialize, ToSchema)]
#[schema(as = SegmentContactsAdded)]
pub(crate) struct AddResponse {
    /// Contacts that were not members before.
    added: u64,
}

/// Puts contacts on the list of a static segment, all or none; those that are on it stay. 409 for a dynamic segment.
#[utoipa::path(
    operation_id = "add_segment_contacts",
    tag = "segments",
    params(("id" = Uuid, Path, description = "The segment")),
    request_body = MembersRequest,
    responses((status = 200, description = "Added", body = AddResponse))
)]
#[post("/{id}/contacts")]
pub(crate) async fn add_segment_contacts(
    caller: Can<AudienceWrite>,
    InPath(id): InPath<SegmentId>,
    body: Body<MembersRequest>,
) -> Answer {
    caller
        .write(&body.repeat, async |tx| {
            let added = story::add_segment_contacts(tx, &body.of(id)).await?;
            Reply::ok(&AddResponse { added })
        })
        .await
}
