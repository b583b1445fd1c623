//! `GET /api/segments`

use super::segment::SegmentResponse;
use crate::extract::{AudienceRead, Can, Listing, Page, PageParams, Params};
use crate::transact::Answer;
use actix_web::{HttpResponse, get};
use muster_domain::usecases::list_segments as story;

/// The segments of this workspace, the newest first.
#[utoipa::path(
    operation_id = "list_segments",
    tag = "segments",
    params(PageParams),
    responses((status = 200, description = "The segments", body = Listing<SegmentResponse>))
)]
#[get("")]
pub(crate) async fn list_segments(caller: Can<AudienceRead>, page: Params<Page>) -> Answer {
    let cursors = &caller.state.cursors;
    let after = page.after(cursors, "segments")?;
    let segments = caller.read(async |tx| story::list_segments(tx, after, page.probe()).await).await?;
    Ok(HttpResponse::Ok().json(page.listing(
        cursors,
        "segments",
        segments,
        |segment| segment.no,
        SegmentResponse::from,
    )?))
}
