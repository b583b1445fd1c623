//! `DELETE /api/keys/{id}`

use crate::extract::{AdminScope, Can, InPath};
use crate::problem::Problem;
use crate::transact::Answer;
use actix_web::{HttpResponse, delete};
use muster_domain::model::ids::KeyId;
use muster_domain::usecases::revoke_key::{self as story, RevokeKeyError};

impl From<RevokeKeyError> for Problem {
    fn from(error: RevokeKeyError) -> Self {
        match error {
            RevokeKeyError::NotFound => Self::NotFound,
            RevokeKeyError::Store(error) => Self::Store(error),
        }
    }
}

/// Revokes an API key. It stops working at once, on other nodes within two seconds.
#[utoipa::path(
    operation_id = "revoke_key",
    tag = "keys",
    params(("id" = Uuid, Path, description = "The key")),
    responses((status = 204, description = "Revoked"))
)]
#[delete("/{id}")]
pub(crate) async fn revoke_key(caller: Can<AdminScope>, InPath(id): InPath<KeyId>) -> Answer {
    let prefix = caller.change(async |tx| story::revoke_key(tx, id).await).await?;
    caller.state.authenticator.forget(&prefix);
    Ok(HttpResponse::NoContent().finish())
}
