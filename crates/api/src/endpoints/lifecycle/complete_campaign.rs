//! `POST /api/campaigns/{id}/complete`

use super::transition::TransitionResponse;
use crate::endpoints::campaigns::campaign::CampaignResponse;
use crate::extract::{Body, CampaignsLaunch, Can, InPath, Nothing};
use crate::problem::Problem;
use crate::reply::Reply;
use crate::transact::Answer;
use actix_web::post;
use muster_domain::model::ids::CampaignId;
use muster_domain::usecases::complete_campaign::{self as story, CompleteCampaign};

/// Ends an active or paused campaign early: mail that has not begun is cancelled, open enrollments exit with
/// `campaign_ended`. Completed is final.
#[utoipa::path(
    operation_id = "complete_campaign",
    tag = "campaigns",
    params(("id" = Uuid, Path, description = "The campaign")),
    responses((status = 200, description = "Completed", body = TransitionResponse))
)]
#[post("/{id}/complete")]
pub(crate) async fn complete_campaign(
    caller: Can<CampaignsLaunch>,
    id: InPath<CampaignId>,
    body: Body<Nothing>,
) -> Answer {
    caller
        .write(&body.repeat, async |tx| {
            let campaign = story::complete_campaign(tx, CompleteCampaign { id: id.0 }).await.map_err(Problem::from)?;
            Reply::ok(&TransitionResponse { success: true, campaign: CampaignResponse::new(&campaign, &caller) })
        })
        .await
}
