//! `PUT /api/campaigns/{id}/steps`

use super::fields::{StepFields, read_listed_step};
use super::step::StepsResponse;
use crate::extract::{Body, CampaignsWrite, Can, Fields, FromFields, IfMatch, InPath};
use crate::problem::Problem;
use crate::reply::Reply;
use crate::transact::Answer;
use actix_web::put;
use muster_domain::authoring::step_input::StepInput;
use muster_domain::model::ids::CampaignId;
use muster_domain::usecases::replace_steps::{self as story, ReplaceSteps};
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

/// A whole sequence.
#[derive(ToSchema)]
#[schema(as = ReplaceSteps)]
#[expect(dead_code, reason = "documents what `ReplaceRequest` reads")]
pub(crate) struct ReplaceFields {
    /// Sorted by `stepOrder`; a step without one follows the one before it.
    #[schema(max_items = 100)]
    steps: Vec<ListedStepFields>,
}

/// One of several steps.
#[derive(ToSchema)]
#[schema(as = ListedStepFields, rename_all = "camelCase")]
#[expect(dead_code, reason = "documents what `read_listed_step` reads")]
pub(crate) struct ListedStepFields {
    /// Of a step that the campaign has, to keep it with its figures.
    id: Option<Uuid>,
    /// A name of your own by which other steps of this request lead here; not stored.
    #[schema(min_length = 1, max_length = 100)]
    key: Option<String>,
    /// As a GET gives it; not looked at.
    #[schema(value_type = Option<Uuid>)]
    campaign_id: Option<Value>,
    /// As a GET gives them; not looked at.
    #[schema(value_type = Option<Object>)]
    stats: Option<Value>,
    #[schema(inline)]
    #[serde(flatten)]
    step: StepFields,
}

/// The same, read.
pub(crate) struct ReplaceRequest {
    steps: Vec<StepInput>,
}

impl FromFields for ReplaceRequest {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let steps = fields.required("steps", |value| value.list(0..=1000, |step| step.object(read_listed_step)));
        Some(Self { steps: steps? })
    }
}

/// Replaces the whole sequence. It is valid when every target is in it, every step can be reached, no loop lacks a
/// wait, there are at most 100 steps, and each template parses. On a launched campaign the new sequence is for those
/// who enter from now on; those under way stay on theirs.
#[utoipa::path(
    operation_id = "replace_steps",
    tag = "steps",
    params(("id" = Uuid, Path, description = "The campaign"), ("If-Match" = Option<String>, Header)),
    request_body = ReplaceFields,
    responses(
        (status = 200, description = "The steps as they are now", body = StepsResponse, headers(("ETag" = String))),
        (status = 409, description = "The campaign is completed", body = crate::problem::ProblemBody,
            content_type = "application/problem+json")
    )
)]
#[put("/{id}/steps")]
pub(crate) async fn replace_steps(
    caller: Can<CampaignsWrite>,
    InPath(id): InPath<CampaignId>,
    IfMatch(expected): IfMatch,
    body: Body<ReplaceRequest>,
) -> Answer {
    let templates = caller.state.templates.as_ref();
    caller
        .write(&body.repeat, async |tx| -> Result<Reply, Problem> {
            let command = ReplaceSteps { id, expected, steps: body.steps.clone() };
            let steps = story::replace_steps(tx, templates, command).await?;
            Ok(Reply::ok(&StepsResponse::from(&steps))?.etag(steps.campaign.version))
        })
        .await
}
