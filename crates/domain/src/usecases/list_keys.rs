//! List the API keys of a workspace.

use crate::model::ids::KeyId;
use crate::ports::keys::ApiKey;
use crate::ports::store::{StoreResult, Tx};

/// At most `limit` keys that were not revoked, the newest first, after the one at `after`.
pub async fn list_keys(tx: &mut Tx, after: Option<KeyId>, limit: u32) -> StoreResult<Vec<ApiKey>> {
    tx.keys().list(after, limit).await
}
