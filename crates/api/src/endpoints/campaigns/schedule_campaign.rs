//! `POST /api/campaigns/{id}/schedule`

use super::campaign::CampaignResponse;
use crate::extract::{Body, CampaignsLaunch, Can, Fields, FromFields, InPath, Item};
use crate::problem::Problem;
use crate::reply::Reply;
use crate::transact::Answer;
use actix_web::post;
use chrono::{DateTime, Utc};
use muster_domain::model::ids::CampaignId;
use muster_domain::usecases::schedule_campaign::{self as story, ScheduleCampaign};
use utoipa::ToSchema;

/// When to start.
#[derive(ToSchema)]
#[schema(as = ScheduleCampaign, rename_all = "camelCase")]
pub(crate) struct ScheduleRequest {
    /// Not in the past; what the campaign's schedule says when absent.
    start_at: Option<DateTime<Utc>>,
}

impl FromFields for ScheduleRequest {
    const MAY_BE_EMPTY: bool = true;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let start_at = fields.optional("startAt", Item::instant);
        Some(Self { start_at: start_at? })
    }
}

/// Lets a draft start by itself. Its steps must be ready for that; a start that is refused all the same, for want of
/// an audience, makes it a draft again and says why in `lastProblem`.
#[utoipa::path(
    operation_id = "schedule_campaign",
    tag = "campaigns",
    params(("id" = Uuid, Path, description = "The campaign")),
    request_body = Option<ScheduleRequest>,
    responses((status = 200, description = "Scheduled", body = CampaignResponse, headers(("ETag" = String))))
)]
#[post("/{id}/schedule")]
pub(crate) async fn schedule_campaign(
    caller: Can<CampaignsLaunch>,
    InPath(id): InPath<CampaignId>,
    body: Body<ScheduleRequest>,
) -> Answer {
    caller
        .write(&body.repeat, async |tx| -> Result<Reply, Problem> {
            let command = ScheduleCampaign { id, start_at: body.start_at };
            let campaign = story::schedule_campaign(tx, command).await?;
            Ok(Reply::ok(&CampaignResponse::new(&campaign, &caller))?.etag(campaign.version))
        })
        .await
}
