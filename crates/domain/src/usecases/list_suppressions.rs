//! List the addresses and domains that are never mailed.

use crate::model::suppression::{Suppressible, Suppression};
use crate::ports::store::{StoreResult, Tx};

/// At most `limit` entries after the one of the key `after`, in the order of their keys. With `only`, the entry of
/// exactly that address or domain, if there is one.
pub async fn list_suppressions(
    tx: &mut Tx,
    only: Option<&Suppressible>,
    after: Option<String>,
    limit: u32,
) -> StoreResult<Vec<Suppression>> {
    match only {
        None => tx.suppressions().list(after, limit).await,
        Some(_) if after.is_some() => Ok(Vec::new()),
        Some(what) => Ok(tx.suppressions().find(what).await?.into_iter().collect()),
    }
}
