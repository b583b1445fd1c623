//! Allow mail to an address or a domain again.

use crate::model::suppression::Suppressible;
use crate::ports::store::{StoreResult, Tx};

/// Takes an address or a domain off the tenant's list, also an address that an erasure left there; false when it was not
/// on it. Campaigns that its contacts left stay left.
pub async fn lift_suppression(tx: &mut Tx, what: &Suppressible) -> StoreResult<bool> {
    tx.suppressions().lift(what).await
}
