//! `GET /api/segments/{id}/contacts`

use crate::endpoints::contacts::ContactResponse;
use crate::extract::{AudienceRead, Can, InPath, Listing, Page, PageParams, Params};
use crate::problem::Problem;
use crate::transact::Answer;
use actix_web::{HttpResponse, get};
use muster_domain::model::ids::SegmentId;
use muster_domain::usecases::list_segment_contacts as story;

/// The members of a segment as they are now, the oldest contacts first.
#[utoipa::path(
    operation_id = "list_segment_contacts",
    tag = "segments",
    params(("id" = Uuid, Path, description = "The segment"), PageParams),
    responses((status = 200, description = "The members", body = Listing<ContactResponse>))
)]
#[get("/{id}/contacts")]
pub(crate) async fn list_segment_contacts(
    caller: Can<AudienceRead>,
    InPath(id): InPath<SegmentId>,
    page: Params<Page>,
) -> Answer {
    let cursors = &caller.state.cursors;
    let list = format!("segments/{id}/contacts");
    let after = page.after(cursors, &list)?;
    let members = caller.read(async |tx| story::list_segment_contacts(tx, id, after, page.probe()).await).await?;
    let members = members.ok_or(Problem::NotFound)?;
    Ok(HttpResponse::Ok().json(page.listing(cursors, &list, members, |contact| contact.no, ContactResponse::from)?))
}
