//! `POST /api/deliveries/{id}/resolve`

use super::delivery::{DeliveryInPath, DeliveryResponse};
use crate::extract::{Body, CampaignsLaunch, Can, Fields, FromFields};
use crate::problem::Problem;
use crate::reply::Reply;
use crate::transact::Answer;
use actix_web::post;
use muster_domain::model::decision::Resolution;
use muster_domain::usecases::resolve_delivery::{self as story, ResolveError};
use utoipa::ToSchema;
use utoipa::openapi::Object;

/// How a delivery in doubt is settled.
#[derive(ToSchema)]
#[schema(as = ResolveDelivery)]
pub(crate) struct ResolveRequest {
    /// `sent`: it arrived. `resend`: send it once more, under the same Message-ID. `drop`: leave it at that.
    #[schema(schema_with = outcomes)]
    outcome: Resolution,
}

fn outcomes() -> Object {
    crate::openapi::one_of(Resolution::BY_HAND.map(Resolution::as_str)).build()
}

impl FromFields for ResolveRequest {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let named = |name: &str| Resolution::BY_HAND.into_iter().find(|known| known.as_str() == name);
        let names = Resolution::BY_HAND.map(Resolution::as_str);
        let outcome = fields.required("outcome", |value| value.one_of(&names, named));
        Some(Self { outcome: outcome? })
    }
}

impl From<ResolveError> for Problem {
    fn from(error: ResolveError) -> Self {
        match error {
            ResolveError::NotFound => Self::NotFound,
            ResolveError::NotInDoubt => Self::Conflict("The delivery is not in doubt."),
            ResolveError::ContactLeft => {
                Self::Conflict("The contact has left the campaign and is sent nothing more of it.")
            }
            ResolveError::Store(error) => Self::Store(error),
        }
    }
}

/// Settles a delivery in doubt by hand. Who decided is kept.
#[utoipa::path(
    operation_id = "resolve_delivery",
    tag = "deliveries",
    params(("id" = String, Path, description = "The delivery")),
    request_body = ResolveRequest,
    responses((status = 200, description = "The delivery as it stands now", body = DeliveryResponse))
)]
#[post("/{id}/resolve")]
pub(crate) async fn resolve_delivery(
    caller: Can<CampaignsLaunch>,
    id: DeliveryInPath,
    body: Body<ResolveRequest>,
) -> Answer {
    caller
        .write(&body.repeat, async |tx| -> Result<Reply, Problem> {
            let delivery = story::resolve_delivery(tx, &caller, id.0, body.outcome).await?;
            Reply::ok(&DeliveryResponse::new(caller.state.tokens.as_ref(), delivery))
        })
        .await
}
