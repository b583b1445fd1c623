//! Import a batch of addresses and domains never to be mailed.
//!
//! A file is imported batch by batch, each in its own transaction, like one of contacts: what was imported stays whatever
//! comes after, and from then on holds.

use crate::model::import::SuppressionRow;
use crate::model::suppression::{NewSuppression, SuppressionReason};
use crate::ports::store::{StoreResult, Tx};

/// The source of rows that do not say where they come from.
pub const DEFAULT_SOURCE: &str = "import";

/// Import these rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportSuppressions {
    /// The rows, in the order of the file.
    pub rows: Vec<SuppressionRow>,
    /// The reason of rows that give none.
    pub reason: SuppressionReason,
    /// The source of rows that give none.
    pub source: String,
}

/// Puts the rows on the tenant's list and says how many were not on it. Of an address that comes twice the first row
/// counts. Once this is committed no delivery to any of them begins.
pub async fn import_suppressions(tx: &mut Tx, command: &ImportSuppressions) -> StoreResult<u64> {
    let entries: Vec<_> = command
        .rows
        .iter()
        .map(|row| NewSuppression {
            what: row.what.clone(),
            reason: row.reason.unwrap_or(command.reason),
            source: row.source.clone().unwrap_or_else(|| command.source.clone()),
        })
        .collect();
    let now = tx.now().await?;
    tx.suppressions().suppress_all(&entries, now).await
}
