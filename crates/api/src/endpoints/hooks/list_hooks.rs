//! `GET /api/hooks`

use super::hook::HookResponse;
use crate::extract::{AdminScope, Can, Listing, Page, PageParams, Params};
use crate::transact::Answer;
use actix_web::{HttpResponse, get};
use muster_domain::usecases::list_hooks as story;

/// The hooks of this workspace, the newest first; revoked ones are gone.
#[utoipa::path(
    operation_id = "list_hooks",
    tag = "hooks",
    params(PageParams),
    responses((status = 200, description = "The hooks", body = Listing<HookResponse>))
)]
#[get("")]
pub(crate) async fn list_hooks(caller: Can<AdminScope>, page: Params<Page>) -> Answer {
    let cursors = &caller.state.cursors;
    let after = page.after(cursors, "hooks")?;
    let hooks = caller.read(async |tx| story::list_hooks(tx, after, page.probe()).await).await?;
    let show = |hook| HookResponse::of(&caller.state, hook);
    Ok(HttpResponse::Ok().json(page.listing(cursors, "hooks", hooks, |hook| hook.id, show)?))
}
