//! `GET /api/keys`

use super::key::KeyResponse;
use crate::extract::{AdminScope, Can, Listing, Page, PageParams, Params};
use crate::transact::Answer;
use actix_web::{HttpResponse, get};
use muster_domain::usecases::list_keys as story;

/// The API keys of this workspace, the newest first; revoked ones are gone.
#[utoipa::path(
    operation_id = "list_keys",
    tag = "keys",
    params(PageParams),
    responses((status = 200, description = "The keys", body = Listing<KeyResponse>))
)]
#[get("")]
pub(crate) async fn list_keys(caller: Can<AdminScope>, page: Params<Page>) -> Answer {
    let cursors = &caller.state.cursors;
    let after = page.after(cursors, "keys")?;
    let keys = caller.read(async |tx| story::list_keys(tx, after, page.probe()).await).await?;
    Ok(HttpResponse::Ok().json(page.listing(cursors, "keys", keys, |key| key.id, KeyResponse::from)?))
}
