//! `DELETE /api/suppressions/{entry}` and `DELETE /api/suppressions?email=`

use super::only::{OnlyParams, in_path, read_only};
use crate::extract::{AudienceWrite, Can, Fields, FromFields, InPath, Params};
use crate::problem::Problem;
use crate::transact::Answer;
use actix_web::{HttpRequest, HttpResponse, delete};
use muster_domain::model::suppression::Suppressible;
use muster_domain::usecases::lift_suppression as story;

/// Which entry is meant.
pub(crate) struct LiftQuery(Suppressible);

impl FromFields for LiftQuery {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let only = read_only(fields)?.named();
        if only.is_none() {
            fields.refuse("email", "required", "an address or a domain is needed");
        }
        only.map(Self)
    }
}

/// Takes an address or a domain, percent-encoded in the path, off the list: it may be mailed again. Campaigns that its
/// contacts left stay left. An address is also taken off that was left there when its contact was erased: do so only when
/// the person asks for mail again.
#[utoipa::path(
    operation_id = "lift_suppression",
    tag = "suppressions",
    params(("entry" = String, Path, description = "The address or domain, in upper or lower case")),
    responses((status = 204, description = "It is off the list"))
)]
#[delete("/{entry}")]
pub(crate) async fn lift_suppression(
    caller: Can<AudienceWrite>,
    InPath(entry): InPath<String>,
    request: HttpRequest,
) -> Answer {
    let what = in_path(&entry, &request)?;
    lift(&caller, &what).await
}

/// The same with the address or domain in the query string, for clients that cannot encode a path.
#[utoipa::path(
    operation_id = "lift_suppression_by_email",
    tag = "suppressions",
    params(OnlyParams),
    responses(
        (status = 204, description = "It is off the list"),
        (status = 404, description = "It is not on the list", body = crate::problem::ProblemBody,
            content_type = "application/problem+json")
    )
)]
#[delete("")]
pub(crate) async fn lift_suppression_by_email(caller: Can<AudienceWrite>, query: Params<LiftQuery>) -> Answer {
    lift(&caller, &query.0.0).await
}

async fn lift(caller: &Can<AudienceWrite>, what: &Suppressible) -> Answer {
    let lifted = caller.change(async |tx| story::lift_suppression(tx, what).await).await?;
    if lifted { Ok(HttpResponse::NoContent().finish()) } else { Err(Problem::NotFound) }
}
