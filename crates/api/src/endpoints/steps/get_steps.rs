//! `GET /api/campaigns/{id}/steps`

use super::step::StepsResponse;
use crate::extract::{CampaignsRead, Can, InPath};
use crate::reply::etag;
use crate::transact::Answer;
use actix_web::{HttpResponse, get};
use muster_domain::model::ids::CampaignId;
use muster_domain::usecases::get_steps as story;

/// The campaign's steps, in their order, each with what has come of it.
#[utoipa::path(
    operation_id = "get_steps",
    tag = "steps",
    params(("id" = Uuid, Path, description = "The campaign")),
    responses((status = 200, description = "The steps", body = StepsResponse, headers(("ETag" = String))))
)]
#[get("/{id}/steps")]
pub(crate) async fn get_steps(caller: Can<CampaignsRead>, InPath(id): InPath<CampaignId>) -> Answer {
    let steps = caller.read(async |tx| story::get_steps(tx, id).await).await?;
    Ok(HttpResponse::Ok().insert_header(etag(steps.campaign.version)).json(StepsResponse::from(&steps)))
}
