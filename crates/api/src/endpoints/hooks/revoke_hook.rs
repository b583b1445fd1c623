//! `DELETE /api/hooks/{id}`

use crate::extract::{AdminScope, Can, InPath};
use crate::problem::Problem;
use crate::transact::Answer;
use actix_web::{HttpResponse, delete};
use muster_domain::model::ids::HookId;
use muster_domain::usecases::revoke_hook::{self as story, RevokeHookError};

impl From<RevokeHookError> for Problem {
    fn from(error: RevokeHookError) -> Self {
        match error {
            RevokeHookError::NotFound => Self::NotFound,
            RevokeHookError::Store(error) => Self::Store(error),
        }
    }
}

/// Revokes a hook: nothing reported to it counts any more, on any node, at once.
#[utoipa::path(
    operation_id = "revoke_hook",
    tag = "hooks",
    params(("id" = Uuid, Path, description = "The hook")),
    responses((status = 204, description = "Revoked"))
)]
#[delete("/{id}")]
pub(crate) async fn revoke_hook(caller: Can<AdminScope>, InPath(id): InPath<HookId>) -> Answer {
    caller.change(async |tx| story::revoke_hook(tx, id).await).await?;
    Ok(HttpResponse::NoContent().finish())
}
