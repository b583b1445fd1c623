//! `DELETE /api/suppressions/{email}` and `DELETE /api/suppressions?email=`

use crate::extract::{AudienceWrite, Can, Fields, FromFields, InPath, Params};
use crate::problem::Problem;
use crate::transact::Answer;
use actix_web::{HttpResponse, delete};
use muster_domain::model::address::EmailAddress;
use muster_domain::usecases::lift_suppression as story;
use utoipa::IntoParams;

/// Which address is meant.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct LiftParams {
    /// The address, in upper or lower case.
    #[param(value_type = String, format = "email", max_length = 254)]
    email: EmailAddress,
}

impl FromFields for LiftParams {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let email = fields.required("email", |value| value.parsed(254, EmailAddress::parse));
        Some(Self { email: email? })
    }
}

/// Takes an address, percent-encoded in the path, off the list: it may be mailed again. Campaigns that its contacts left
/// stay left.
#[utoipa::path(
    operation_id = "lift_suppression",
    tag = "suppressions",
    params(("email" = String, Path, description = "The address, in upper or lower case")),
    responses((status = 204, description = "It is off the list"))
)]
#[delete("/suppressions/{email}")]
pub(crate) async fn lift_suppression(caller: Can<AudienceWrite>, InPath(email): InPath<String>) -> Answer {
    // What is no address cannot be on the list.
    let email = EmailAddress::parse(&email).map_err(|_| Problem::NotFound)?;
    lift(&caller, &email).await
}

/// The same with the address in the query string, for clients that cannot encode a path.
#[utoipa::path(
    operation_id = "lift_suppression_by_email",
    tag = "suppressions",
    params(LiftParams),
    responses(
        (status = 204, description = "It is off the list"),
        (status = 404, description = "It is not on the list", body = crate::problem::ProblemBody,
            content_type = "application/problem+json")
    )
)]
#[delete("/suppressions")]
pub(crate) async fn lift_suppression_by_email(caller: Can<AudienceWrite>, query: Params<LiftParams>) -> Answer {
    lift(&caller, &query.email).await
}

async fn lift(caller: &Can<AudienceWrite>, email: &EmailAddress) -> Answer {
    let lifted = caller.read(async |tx| story::lift_suppression(tx, email).await).await?;
    if lifted { Ok(HttpResponse::NoContent().finish()) } else { Err(Problem::NotFound) }
}
