//! `POST /api/campaigns/{id}/steps`

use super::fields::{StepFields, read_step};
use super::step::{StepResponse, steps_of};
use crate::extract::{Body, CampaignsWrite, Can, Fields, FromFields, IfMatch, InPath};
use crate::problem::Problem;
use crate::reply::Reply;
use crate::transact::Answer;
use actix_web::post;
use muster_domain::authoring::step_input::StepInput;
use muster_domain::model::ids::CampaignId;
use muster_domain::usecases::add_step::{self as story, AddStep};

/// One step, read; what changes in it, in a PATCH.
pub(crate) struct StepRequest(pub(super) StepInput);

impl FromFields for StepRequest {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        read_step(fields).map(Self)
    }
}

/// Adds a step, at its `stepOrder` or the end; steps after it move on. Targets that were named stay.
#[utoipa::path(
    operation_id = "add_step",
    tag = "steps",
    params(("id" = Uuid, Path, description = "The campaign"), ("If-Match" = Option<String>, Header)),
    request_body = StepFields,
    responses((status = 201, description = "The step", body = StepResponse,
        headers(("Location" = String), ("ETag" = String))))
)]
#[post("/{id}/steps")]
pub(crate) async fn add_step(
    caller: Can<CampaignsWrite>,
    InPath(id): InPath<CampaignId>,
    IfMatch(expected): IfMatch,
    body: Body<StepRequest>,
) -> Answer {
    let templates = caller.state.templates.as_ref();
    caller
        .write(&body.repeat, async |tx| -> Result<Reply, Problem> {
            let command = AddStep { id, expected, step: body.value.0.clone() };
            let (steps, step) = story::add_step(tx, templates, command).await?;
            let version = steps.campaign.version;
            let added = steps_of(&steps).into_iter().find(|shown| shown.id == step.0).ok_or(Problem::NotFound)?;
            Ok(Reply::created(format!("/api/campaigns/{id}/steps/{step}"), &added)?.etag(version))
        })
        .await
}
