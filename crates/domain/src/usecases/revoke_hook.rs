//! Take a hook back.

use crate::model::ids::HookId;
use crate::ports::store::{StoreError, Tx};

/// Why nothing was revoked.
#[derive(Debug, thiserror::Error)]
pub enum RevokeHookError {
    /// The workspace has no such hook, or it was revoked before.
    #[error("no such hook")]
    NotFound,
    /// Storage failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Ends a hook of the caller's workspace for good: nothing reported to it counts any more.
pub async fn revoke_hook(tx: &mut Tx, id: HookId) -> Result<(), RevokeHookError> {
    if tx.hooks().revoke(id).await? { Ok(()) } else { Err(RevokeHookError::NotFound) }
}
