//! `GET /api/suppressions`

use super::suppression::SuppressionResponse;
use crate::extract::{AudienceRead, Can, Fields, FromFields, Listing, Page, PageParams, Params};
use crate::transact::Answer;
use actix_web::{HttpResponse, get};
use muster_domain::model::address::EmailAddress;
use muster_domain::usecases::list_suppressions as story;
use utoipa::IntoParams;

/// Which entries are asked for.
pub(crate) struct ListQuery {
    page: Page,
    email: Option<EmailAddress>,
}

/// The filter, for the documentation.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only describes what `ListQuery` reads")]
pub(crate) struct FilterParams {
    /// The one of this e-mail address, in upper or lower case.
    #[param(format = "email", max_length = 254)]
    email: Option<String>,
}

impl FromFields for ListQuery {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let page = Page::read(fields);
        let email = fields.optional("email", |value| value.parsed(254, EmailAddress::parse));
        Some(Self { page: page?, email: email? })
    }
}

/// The addresses that are never mailed in this tenant, whatever the workspace, in their order.
#[utoipa::path(
    operation_id = "list_suppressions",
    tag = "suppressions",
    params(FilterParams, PageParams),
    responses((status = 200, description = "The addresses", body = Listing<SuppressionResponse>))
)]
#[get("/suppressions")]
pub(crate) async fn list_suppressions(caller: Can<AudienceRead>, query: Params<ListQuery>) -> Answer {
    let ListQuery { page, email } = &query.0;
    let cursors = &caller.state.cursors;
    let after: Option<String> = page.after(cursors, "suppressions")?;
    let email = email.as_ref();
    let rows = caller.read(async |tx| story::list_suppressions(tx, email, after.clone(), page.probe()).await).await?;
    let position = |row: &muster_domain::model::suppression::Suppression| row.email_key.clone();
    Ok(HttpResponse::Ok().json(page.listing(cursors, "suppressions", rows, position, SuppressionResponse::from)?))
}
