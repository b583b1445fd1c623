//! Addresses that are never mailed in a tenant, whatever the workspace.

use super::store::StoreResult;
use crate::model::address::EmailAddress;
use crate::model::delivery::DeliveryKey;
use crate::model::suppression::{Suppression, SuppressionReason};
use async_trait::async_trait;
use chrono::{DateTime, Utc};

/// What became of suppressing an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Suppressed {
    /// It is on the list from now on.
    Added(Suppression),
    /// It was on the list before; nothing has changed.
    Already(Suppression),
}

/// What became of unsubscribing somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unsubscribed {
    /// Nothing is sent to this address any more, from now on.
    Now,
    /// That was so before; only what was still open was ended.
    Already,
    /// There is nobody to write to: the contact was erased.
    Erased,
}

/// The suppression list of one tenant.
///
/// Suppressing and unsubscribing wait for deliveries to the address that are just beginning; once they are committed
/// none begins. Both post to the books, so each has to be the last thing in its transaction.
#[cfg_attr(any(test, feature = "testing"), mockall::automock)]
#[async_trait]
pub trait SuppressionRepo: Send {
    /// At most `limit` entries after the one of `after`, in the order of their addresses, only the one of `key` if
    /// given. Both are [address keys](EmailAddress::key).
    async fn list(&mut self, key: Option<String>, after: Option<String>, limit: u32) -> StoreResult<Vec<Suppression>>;

    /// Puts an address on the list, unless it is there. The open enrollments of every contact of that address end as
    /// suppressed, and what is queued for them is cancelled.
    async fn suppress(
        &mut self,
        email: &EmailAddress,
        reason: SuppressionReason,
        source: &str,
        now: DateTime<Utc>,
    ) -> StoreResult<Suppressed>;

    /// Takes the address of that key off the list. False when it was not on it.
    async fn lift(&mut self, key: &str) -> StoreResult<bool>;

    /// Does what the recipient of `delivery` asked for: suppresses the address in the tenant, ends every open
    /// enrollment of its contacts as unsubscribed, and counts it once, for the delivery's step.
    ///
    /// Looks through all workspaces of the tenant, whichever the transaction names.
    async fn unsubscribe(&mut self, delivery: DeliveryKey, now: DateTime<Utc>) -> StoreResult<Unsubscribed>;
}
