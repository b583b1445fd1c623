//! `DELETE /api/campaigns/{id}/steps/{stepId}`

use crate::extract::{CampaignsWrite, Can, IfMatch, InPath, Repeat};
use crate::problem::Problem;
use crate::reply::Reply;
use crate::transact::Answer;
use actix_web::delete;
use muster_domain::model::ids::{CampaignId, StepId};
use muster_domain::usecases::remove_step::{self as story, RemoveStep};

/// Removes a step. Steps that came to it by order go on to the next. While another step names it as a target, or can
/// be reached through it alone, that is refused: change those first, or replace the sequence.
#[utoipa::path(
    operation_id = "remove_step",
    tag = "steps",
    params(
        ("id" = Uuid, Path, description = "The campaign"),
        ("stepId" = Uuid, Path, description = "The step"),
        ("If-Match" = Option<String>, Header)
    ),
    responses(
        (status = 204, description = "Removed", headers(("ETag" = String))),
        (status = 409, description = "The campaign is completed", body = crate::problem::ProblemBody,
            content_type = "application/problem+json")
    )
)]
#[delete("/{id}/steps/{stepId}")]
pub(crate) async fn remove_step(
    caller: Can<CampaignsWrite>,
    InPath((id, step)): InPath<(CampaignId, StepId)>,
    IfMatch(expected): IfMatch,
) -> Answer {
    let templates = caller.state.templates.as_ref();
    caller
        .write(&Repeat::none(), async |tx| -> Result<Reply, Problem> {
            let steps = story::remove_step(tx, templates, RemoveStep { id, step, expected }).await?;
            Ok(Reply::no_content()?.etag(steps.campaign.version))
        })
        .await
}
