//! `PATCH /api/campaigns/{id}/steps/{stepId}`

use super::add_step::StepRequest;
use super::fields::ChangeFields;
use super::step::{StepResponse, steps_of};
use crate::extract::{Body, CampaignsWrite, Can, IfMatch, InPath};
use crate::problem::Problem;
use crate::reply::Reply;
use crate::transact::Answer;
use actix_web::patch;
use muster_domain::model::ids::{CampaignId, StepId};
use muster_domain::usecases::change_step::{self as story, ChangeStep};

/// Changes a step: what is absent stays, null clears, a `stepOrder` moves it. It keeps its id and figures.
#[utoipa::path(
    operation_id = "change_step",
    tag = "steps",
    params(
        ("id" = Uuid, Path, description = "The campaign"),
        ("stepId" = Uuid, Path, description = "The step"),
        ("If-Match" = Option<String>, Header)
    ),
    request_body = ChangeFields,
    responses(
        (status = 200, description = "The step as it is now", body = StepResponse, headers(("ETag" = String))),
        (status = 409, description = "The campaign is completed", body = crate::problem::ProblemBody,
            content_type = "application/problem+json")
    )
)]
#[patch("/{id}/steps/{stepId}")]
pub(crate) async fn change_step(
    caller: Can<CampaignsWrite>,
    InPath((id, step)): InPath<(CampaignId, StepId)>,
    IfMatch(expected): IfMatch,
    body: Body<StepRequest>,
) -> Answer {
    let templates = caller.state.templates.as_ref();
    caller
        .write(&body.repeat, async |tx| -> Result<Reply, Problem> {
            let command = ChangeStep { id, step, expected, change: body.value.0.clone() };
            let steps = story::change_step(tx, templates, command).await?;
            let version = steps.campaign.version;
            let changed = steps_of(&steps).into_iter().find(|shown| shown.id == step.0).ok_or(Problem::NotFound)?;
            Ok(Reply::ok(&changed)?.etag(version))
        })
        .await
}
