//! `POST /api/campaigns/{id}/resume`

use super::transition::TransitionResponse;
use crate::endpoints::campaigns::campaign::CampaignResponse;
use crate::extract::{Body, CampaignsLaunch, Can, InPath, Nothing};
use crate::problem::Problem;
use crate::reply::Reply;
use crate::transact::Answer;
use actix_web::post;
use muster_domain::model::ids::CampaignId;
use muster_domain::usecases::resume_campaign::{self as story, ResumeCampaign};

/// Resumes a paused campaign. Every contact goes on from its current step; what came due meanwhile goes on now.
#[utoipa::path(
    operation_id = "resume_campaign",
    tag = "campaigns",
    params(("id" = Uuid, Path, description = "The campaign")),
    responses((status = 200, description = "Active again", body = TransitionResponse))
)]
#[post("/{id}/resume")]
pub(crate) async fn resume_campaign(
    caller: Can<CampaignsLaunch>,
    id: InPath<CampaignId>,
    body: Body<Nothing>,
) -> Answer {
    caller
        .write(&body.repeat, async |tx| {
            let campaign = story::resume_campaign(tx, ResumeCampaign { id: id.0 }).await.map_err(Problem::from)?;
            Reply::ok(&TransitionResponse { success: true, campaign: CampaignResponse::new(&campaign, &caller) })
        })
        .await
}
