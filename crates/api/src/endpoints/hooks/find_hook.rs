//! `GET /api/hooks/{id}`

use super::hook::HookResponse;
use crate::extract::{AdminScope, Can, InPath};
use crate::problem::Problem;
use crate::transact::Answer;
use actix_web::{HttpResponse, get};
use muster_domain::model::ids::HookId;
use muster_domain::usecases::find_hook::{self as story, FindHookError};

impl From<FindHookError> for Problem {
    fn from(error: FindHookError) -> Self {
        match error {
            FindHookError::NotFound => Self::NotFound,
            FindHookError::Store(error) => Self::Store(error),
        }
    }
}

/// One hook, without its secret.
#[utoipa::path(
    operation_id = "find_hook",
    tag = "hooks",
    params(("id" = Uuid, Path, description = "The hook")),
    responses((status = 200, description = "The hook", body = HookResponse))
)]
#[get("/{id}")]
pub(crate) async fn find_hook(caller: Can<AdminScope>, InPath(id): InPath<HookId>) -> Answer {
    let hook = caller.read(async |tx| story::find_hook(tx, id).await).await?;
    Ok(HttpResponse::Ok().json(HookResponse::of(&caller.state, hook)))
}
