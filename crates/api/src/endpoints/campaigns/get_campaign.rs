//! `GET /api/campaigns/{id}`

use super::campaign::CampaignResponse;
use crate::endpoints::reports::figures::FiguresResponse;
use crate::endpoints::steps::step::{StepResponse, steps_of};
use crate::extract::{CampaignsRead, Can, InPath};
use crate::problem::Problem;
use crate::reply::etag;
use crate::transact::Answer;
use actix_web::{HttpResponse, get};
use muster_domain::model::ids::CampaignId;
use muster_domain::usecases::get_campaign::{self as story, ReadError};
use serde::Serialize;
use utoipa::ToSchema;

/// A campaign with its steps and figures.
#[derive(Serialize, ToSchema)]
#[schema(as = CampaignView)]
pub(crate) struct CampaignView {
    campaign: CampaignResponse,
    steps: Vec<StepResponse>,
    /// What happened since the launch; null before it.
    #[schema(required)]
    analytics: Option<FiguresResponse>,
}

impl From<ReadError> for Problem {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::NotFound => Self::NotFound,
            ReadError::Store(error) => Self::Store(error),
        }
    }
}

/// One campaign with its steps and what has come of them.
#[utoipa::path(
    operation_id = "get_campaign",
    tag = "campaigns",
    params(("id" = Uuid, Path, description = "The campaign")),
    responses((status = 200, description = "The campaign", body = CampaignView, headers(("ETag" = String))))
)]
#[get("/{id}")]
pub(crate) async fn get_campaign(caller: Can<CampaignsRead>, InPath(id): InPath<CampaignId>) -> Answer {
    let view = caller.read(async |tx| story::get_campaign(tx, id).await).await?;
    let steps = steps_of(&view.steps);
    let campaign = view.steps.campaign;
    let etag = etag(campaign.version);
    let answer = CampaignView {
        campaign: CampaignResponse::new(&campaign, &caller).in_flight(view.in_flight),
        steps,
        analytics: view.totals.map(FiguresResponse::from),
    };
    Ok(HttpResponse::Ok().insert_header(etag).json(answer))
}
