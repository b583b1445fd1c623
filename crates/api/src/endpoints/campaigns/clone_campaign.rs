//! `POST /api/campaigns/{id}/clone`

use super::campaign::CampaignResponse;
use crate::extract::{Body, CampaignsWrite, Can, Fields, FromFields, InPath};
use crate::problem::Problem;
use crate::reply::Reply;
use crate::transact::Answer;
use actix_web::post;
use muster_domain::model::ids::CampaignId;
use muster_domain::usecases::clone_campaign::{self as story, CloneCampaign};
use utoipa::ToSchema;

/// How the copy differs.
#[derive(ToSchema)]
#[schema(as = CloneCampaign)]
pub(crate) struct CloneRequest {
    /// What it is called; the original's name with " (Copy)" when absent.
    #[schema(min_length = 1, max_length = 200)]
    name: Option<String>,
}

impl FromFields for CloneRequest {
    const MAY_BE_EMPTY: bool = true;

    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let name = fields.optional("name", |value| value.text(0..=u64::MAX));
        Some(Self { name: name? })
    }
}

/// Copies a campaign, whatever its status, with all its steps into a draft: without a start, its figures zero, its
/// steps leading to each other.
#[utoipa::path(
    operation_id = "clone_campaign",
    tag = "campaigns",
    params(("id" = Uuid, Path, description = "The campaign to copy")),
    request_body = Option<CloneRequest>,
    responses((status = 201, description = "The copy", body = CampaignResponse,
        headers(("Location" = String), ("ETag" = String))))
)]
#[post("/{id}/clone")]
pub(crate) async fn clone_campaign(
    caller: Can<CampaignsWrite>,
    InPath(id): InPath<CampaignId>,
    body: Body<CloneRequest>,
) -> Answer {
    caller
        .write(&body.repeat, async |tx| -> Result<Reply, Problem> {
            let command = CloneCampaign { id, name: body.name.clone() };
            let copy = story::clone_campaign(tx, &caller, command).await?;
            let location = format!("/api/campaigns/{}", copy.id);
            Ok(Reply::created(location, &CampaignResponse::new(&copy, &caller))?.etag(copy.version))
        })
        .await
}
