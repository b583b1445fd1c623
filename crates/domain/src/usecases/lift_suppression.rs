//! Allow mail to an address again.

use crate::model::address::EmailAddress;
use crate::ports::store::{StoreResult, Tx};

/// Takes an address off the tenant's list; false when it was not on it. Campaigns that its contacts left stay left.
pub async fn lift_suppression(tx: &mut Tx, email: &EmailAddress) -> StoreResult<bool> {
    tx.suppressions().lift(&email.key()).await
}
