//! `DELETE /api/campaigns/{id}`

use crate::extract::{CampaignsWrite, Can, IfMatch, InPath, Repeat};
use crate::problem::Problem;
use crate::reply::Reply;
use crate::transact::Answer;
use actix_web::delete;
use muster_domain::model::ids::CampaignId;
use muster_domain::usecases::delete_campaign::{self as story, DeleteCampaign};

/// Removes a draft with its steps. Everything else stays: complete it instead.
#[utoipa::path(
    operation_id = "delete_campaign",
    tag = "campaigns",
    params(("id" = Uuid, Path, description = "The campaign"), ("If-Match" = Option<String>, Header)),
    responses(
        (status = 204, description = "Removed"),
        (status = 409, description = "It is no draft", body = crate::problem::ProblemBody,
            content_type = "application/problem+json")
    )
)]
#[delete("/{id}")]
pub(crate) async fn delete_campaign(
    caller: Can<CampaignsWrite>,
    InPath(id): InPath<CampaignId>,
    IfMatch(expected): IfMatch,
) -> Answer {
    caller
        .write(&Repeat::none(), async |tx| -> Result<Reply, Problem> {
            story::delete_campaign(tx, DeleteCampaign { id, expected }).await?;
            Reply::no_content()
        })
        .await
}
