//! Look at one API key.

use crate::model::ids::KeyId;
use crate::ports::keys::ApiKey;
use crate::ports::store::{StoreError, Tx};

/// Why there is nothing to look at.
#[derive(Debug, thiserror::Error)]
pub enum FindKeyError {
    /// The workspace has no such key, or it was revoked.
    #[error("no such key")]
    NotFound,
    /// Storage failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// One key of the caller's workspace, without anything that lets anybody in.
pub async fn find_key(tx: &mut Tx, id: KeyId) -> Result<ApiKey, FindKeyError> {
    tx.keys().find(id).await?.ok_or(FindKeyError::NotFound)
}
