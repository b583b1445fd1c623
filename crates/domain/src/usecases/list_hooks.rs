//! List the hooks of a workspace.

use crate::model::hook::Hook;
use crate::model::ids::HookId;
use crate::ports::store::{StoreResult, Tx};

/// At most `limit` hooks that were not revoked, the newest first, after the one at `after`.
pub async fn list_hooks(tx: &mut Tx, after: Option<HookId>, limit: u32) -> StoreResult<Vec<Hook>> {
    tx.hooks().list(after, limit).await
}
