//! `POST /api/campaigns/{id}/unschedule`

use super::campaign::CampaignResponse;
use crate::extract::{Body, CampaignsLaunch, Can, InPath, Nothing};
use crate::problem::Problem;
use crate::reply::Reply;
use crate::transact::Answer;
use actix_web::post;
use muster_domain::model::ids::CampaignId;
use muster_domain::usecases::unschedule_campaign::{self as story, UnscheduleCampaign};

/// Makes a scheduled campaign a draft again and takes its start away.
#[utoipa::path(
    operation_id = "unschedule_campaign",
    tag = "campaigns",
    params(("id" = Uuid, Path, description = "The campaign")),
    responses((status = 200, description = "A draft again", body = CampaignResponse, headers(("ETag" = String))))
)]
#[post("/{id}/unschedule")]
pub(crate) async fn unschedule_campaign(
    caller: Can<CampaignsLaunch>,
    InPath(id): InPath<CampaignId>,
    body: Body<Nothing>,
) -> Answer {
    caller
        .write(&body.repeat, async |tx| -> Result<Reply, Problem> {
            let campaign = story::unschedule_campaign(tx, UnscheduleCampaign { id }).await?;
            Ok(Reply::ok(&CampaignResponse::new(&campaign, &caller))?.etag(campaign.version))
        })
        .await
}
