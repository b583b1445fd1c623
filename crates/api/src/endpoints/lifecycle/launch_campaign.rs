//! `POST /api/campaigns/{id}/launch`

use crate::endpoints::campaigns::campaign::CampaignResponse;
use crate::extract::{Body, CampaignsLaunch, Can, InPath, Nothing};
use crate::problem::{BadField, Problem};
use crate::reply::Reply;
use crate::transact::Answer;
use actix_web::post;
use muster_domain::model::ids::CampaignId;
use muster_domain::ports::store::StoreError;
use muster_domain::usecases::launch_campaign::{self as story, LaunchCampaign, LaunchError};
use serde::Serialize;
use utoipa::ToSchema;

/// A campaign that was launched.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Launch)]
pub(crate) struct LaunchResponse {
    /// Always true: what fails is told as a problem.
    success: bool,
    /// The campaign, active.
    campaign: CampaignResponse,
    /// Contacts enrolled so far.
    enrolled: i64,
    /// What is missing and was not required; absent when nothing is.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    warnings: Vec<BadField>,
}

impl From<LaunchError> for Problem {
    fn from(error: LaunchError) -> Self {
        match error {
            LaunchError::NotFound => Self::NotFound,
            LaunchError::InvalidTransition(refused) => Self::InvalidTransition(refused),
            LaunchError::NotReady(problems) => Self::Invalid(problems),
            LaunchError::Stale => Self::Store(StoreError::Conflict),
            LaunchError::Store(error) => Self::Store(error),
        }
    }
}

/// Launches a draft or scheduled campaign: it becomes active and every contact of its segment is enrolled, each once.
///
/// 200 when everybody is in. 202 with an audience too large for that: workers go on enrolling, `enrollment` on the
/// campaign shows how far they are, and no mail is sent before they are done.
///
/// A campaign without `settings.postalAddress` is launched with a warning; where the installation requires one
/// (`MUSTER_REQUIRE_POSTAL_ADDRESS`) it is 422.
#[utoipa::path(
    operation_id = "launch_campaign",
    tag = "campaigns",
    params(("id" = Uuid, Path, description = "The campaign")),
    responses(
        (status = 200, description = "Launched, everybody is enrolled", body = LaunchResponse),
        (status = 202, description = "Launched, the audience is being enrolled", body = LaunchResponse)
    )
)]
#[post("/{id}/launch")]
pub(crate) async fn launch_campaign(
    caller: Can<CampaignsLaunch>,
    id: InPath<CampaignId>,
    body: Body<Nothing>,
) -> Answer {
    caller
        .write(&body.repeat, async |tx| {
            let command = LaunchCampaign { id: id.0, postal_address: caller.state.postal_address };
            let launched = story::launch_campaign(tx, command).await?;
            let missing = story::missing_postal_address(&launched.campaign);
            let warnings = missing.into_iter().map(BadField::from).collect();
            let running = story::is_enrolling(&launched.campaign);
            let campaign = CampaignResponse::new(&launched.campaign, &caller);
            let answer = LaunchResponse { success: true, campaign, enrolled: launched.enrolled, warnings };
            if running { Reply::accepted(&answer) } else { Reply::ok(&answer) }
        })
        .await
}
