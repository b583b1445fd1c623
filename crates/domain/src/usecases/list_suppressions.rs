//! List the addresses that are never mailed.

use crate::model::address::EmailAddress;
use crate::model::suppression::Suppression;
use crate::ports::store::{StoreResult, Tx};

/// At most `limit` entries after the one of the address key `after`, in the order of their addresses; only `email`'s
/// if given.
pub async fn list_suppressions(
    tx: &mut Tx,
    email: Option<&EmailAddress>,
    after: Option<String>,
    limit: u32,
) -> StoreResult<Vec<Suppression>> {
    tx.suppressions().list(email.map(EmailAddress::key), after, limit).await
}
