//! Look at one hook.

use crate::model::hook::Hook;
use crate::model::ids::HookId;
use crate::ports::store::{StoreError, Tx};

/// Why there is nothing to look at.
#[derive(Debug, thiserror::Error)]
pub enum FindHookError {
    /// The workspace has no such hook, or it was revoked.
    #[error("no such hook")]
    NotFound,
    /// Storage failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// One hook of the caller's workspace.
pub async fn find_hook(tx: &mut Tx, id: HookId) -> Result<Hook, FindHookError> {
    tx.hooks().find(id).await?.ok_or(FindHookError::NotFound)
}
