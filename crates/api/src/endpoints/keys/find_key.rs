//! `GET /api/keys/{id}`

use super::key::KeyResponse;
use crate::extract::{AdminScope, Can, InPath};
use crate::problem::Problem;
use crate::transact::Answer;
use actix_web::{HttpResponse, get};
use muster_domain::model::ids::KeyId;
use muster_domain::usecases::find_key::{self as story, FindKeyError};

impl From<FindKeyError> for Problem {
    fn from(error: FindKeyError) -> Self {
        match error {
            FindKeyError::NotFound => Self::NotFound,
            FindKeyError::Store(error) => Self::Store(error),
        }
    }
}

/// One API key, without its secret.
#[utoipa::path(
    operation_id = "find_key",
    tag = "keys",
    params(("id" = Uuid, Path, description = "The key")),
    responses((status = 200, description = "The key", body = KeyResponse))
)]
#[get("/{id}")]
pub(crate) async fn find_key(caller: Can<AdminScope>, InPath(id): InPath<KeyId>) -> Answer {
    let key = caller.read(async |tx| story::find_key(tx, id).await).await?;
    Ok(HttpResponse::Ok().json(KeyResponse::from(key)))
}
