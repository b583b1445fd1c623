//! `GET /api/suppressions`

use super::only::{OnlyParams, read_only};
use super::suppression::SuppressionResponse;
use crate::extract::{AudienceRead, Can, Fields, FromFields, Listing, Page, PageParams, Params};
use crate::transact::Answer;
use actix_web::{HttpResponse, get};
use muster_domain::model::suppression::{Suppressible, Suppression};
use muster_domain::usecases::list_suppressions as story;

/// Which entries are asked for.
pub(crate) struct ListQuery {
    page: Page,
    only: Option<Suppressible>,
}

impl FromFields for ListQuery {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let page = Page::read(fields);
        let only = read_only(fields);
        Some(Self { page: page?, only: only?.named() })
    }
}

/// The addresses and domains that are never mailed in this tenant, whatever the workspace, in their order.
///
/// Of people who were erased only a keyed hash is kept. They are not among these, but are found with `email`.
#[utoipa::path(
    operation_id = "list_suppressions",
    tag = "suppressions",
    params(OnlyParams, PageParams),
    responses((status = 200, description = "The entries", body = Listing<SuppressionResponse>))
)]
#[get("")]
pub(crate) async fn list_suppressions(caller: Can<AudienceRead>, query: Params<ListQuery>) -> Answer {
    let ListQuery { page, only } = &query.0;
    let cursors = &caller.state.cursors;
    let after: Option<String> = page.after(cursors, "suppressions")?;
    let only = only.as_ref();
    let rows = caller.read(async |tx| story::list_suppressions(tx, only, after.clone(), page.probe()).await).await?;
    let position = |row: &Suppression| row.entry.key().unwrap_or_default().to_owned();
    let shown = |row: Suppression| match only {
        Some(asked) => SuppressionResponse::found(row, asked),
        None => SuppressionResponse::from(row),
    };
    Ok(HttpResponse::Ok().json(page.listing(cursors, "suppressions", rows, position, shown)?))
}
