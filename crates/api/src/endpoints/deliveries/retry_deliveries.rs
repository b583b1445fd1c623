//! `POST /api/campaigns/{id}/retry`

use crate::endpoints::campaigns::campaign::CampaignResponse;
use crate::extract::{Body, CampaignsLaunch, Can, Fields, FromFields, InPath};
use crate::problem::Problem;
use crate::reply::Reply;
use crate::transact::Answer;
use actix_web::post;
use muster_domain::model::decision::Retriable;
use muster_domain::model::ids::CampaignId;
use muster_domain::usecases::retry_deliveries::{self as story, RetryDeliveries, RetryError};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::Array;
use utoipa::openapi::schema::ArrayBuilder;

/// What is to be begun again.
#[derive(ToSchema)]
#[schema(as = RetryDeliveries)]
pub(crate) struct RetryRequest {
    /// `failed`: refused for good, or out of attempts. `inDoubt`: may have been delivered; some get it twice.
    #[schema(schema_with = endings)]
    states: Vec<Retriable>,
}

fn endings() -> Array {
    let names = crate::openapi::one_of(Retriable::ALL.map(Retriable::as_str));
    ArrayBuilder::new().items(names).min_items(Some(1)).max_items(Some(Retriable::ALL.len())).build()
}

impl FromFields for RetryRequest {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let names = Retriable::ALL.map(Retriable::as_str);
        let one = |value: crate::extract::Item<'_>| value.one_of(&names, Retriable::parse);
        let states = fields.required("states", |value| value.list(1..=Retriable::ALL.len(), one));
        Some(Self { states: states? })
    }
}

/// What was begun again.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Retry)]
pub(crate) struct RetryResponse {
    /// Always true: what fails is told as a problem.
    success: bool,
    /// The campaign; its status has not changed.
    campaign: CampaignResponse,
    /// Deliveries that are pending again.
    retried: i64,
}

impl From<RetryError> for Problem {
    fn from(error: RetryError) -> Self {
        match error {
            RetryError::NotFound => Self::NotFound,
            RetryError::NotLaunched => {
                Self::Conflict("The campaign was never launched: there is nothing to begin again.")
            }
            RetryError::Store(error) => Self::Store(error),
        }
    }
}

/// Begins again exactly those deliveries that failed or are in doubt, as asked; nobody else gets anything.
///
/// They wait for the campaign's window and limits like any other. Those of a paused campaign wait until it is resumed;
/// those of a completed one go out all the same, and it stays completed. Not begun again are mails to contacts that
/// left the campaign, unless the failure itself took them out; and who is suppressed by now gets none.
#[utoipa::path(
    operation_id = "retry_deliveries",
    tag = "deliveries",
    params(("id" = Uuid, Path, description = "The campaign")),
    request_body = RetryRequest,
    responses((status = 200, description = "They are pending again", body = RetryResponse))
)]
#[post("/{id}/retry")]
pub(crate) async fn retry_deliveries(
    caller: Can<CampaignsLaunch>,
    id: InPath<CampaignId>,
    body: Body<RetryRequest>,
) -> Answer {
    caller
        .write(&body.repeat, async |tx| -> Result<Reply, Problem> {
            let command = RetryDeliveries { id: id.0, endings: body.states.clone() };
            let (campaign, retried) = story::retry_deliveries(tx, &caller, command).await?;
            Reply::ok(&RetryResponse { success: true, campaign: CampaignResponse::new(&campaign, &caller), retried })
        })
        .await
}
