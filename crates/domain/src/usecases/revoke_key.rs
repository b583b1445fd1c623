//! Take an API key back.

use crate::model::ids::KeyId;
use crate::ports::store::{StoreError, Tx};

/// Why nothing was revoked.
#[derive(Debug, thiserror::Error)]
pub enum RevokeKeyError {
    /// The workspace has no such key, or it was revoked before.
    #[error("no such key")]
    NotFound,
    /// Storage failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Ends a key of the caller's workspace for good, the caller's own included; gives its prefix back.
pub async fn revoke_key(tx: &mut Tx, id: KeyId) -> Result<String, RevokeKeyError> {
    tx.keys().revoke(id).await?.ok_or(RevokeKeyError::NotFound)
}
