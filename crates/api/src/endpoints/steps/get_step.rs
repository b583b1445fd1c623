//! `GET /api/campaigns/{id}/steps/{stepId}`

use super::step::{StepResponse, steps_of};
use crate::extract::{CampaignsRead, Can, InPath};
use crate::problem::Problem;
use crate::reply::etag;
use crate::transact::Answer;
use actix_web::{HttpResponse, get};
use muster_domain::model::ids::{CampaignId, StepId};
use muster_domain::usecases::get_steps as story;

/// One of the campaign's steps, with what has come of it.
#[utoipa::path(
    operation_id = "get_step",
    tag = "steps",
    params(("id" = Uuid, Path, description = "The campaign"), ("stepId" = Uuid, Path, description = "The step")),
    responses((status = 200, description = "The step", body = StepResponse, headers(("ETag" = String))))
)]
#[get("/{id}/steps/{stepId}")]
pub(crate) async fn get_step(caller: Can<CampaignsRead>, InPath((id, step)): InPath<(CampaignId, StepId)>) -> Answer {
    let steps = caller.read(async |tx| story::get_steps(tx, id).await).await?;
    let shown = steps_of(&steps).into_iter().find(|shown| shown.id == step.0).ok_or(Problem::NotFound)?;
    Ok(HttpResponse::Ok().insert_header(etag(steps.campaign.version)).json(shown))
}
