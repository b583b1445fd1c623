//! Addresses and domains that are never mailed in a tenant, whatever the workspace.

use super::store::StoreResult;
use crate::model::address::{DomainName, EmailAddress};
use crate::model::delivery::DeliveryKey;
use crate::model::enrollment::ExitReason;
use crate::model::suppression::{NewSuppression, Suppressible, Suppression, SuppressionReason};
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
///
/// An address is suppressed by an entry of its own, by one of its domain, or because somebody with it was erased. Of
/// those erased only a keyed hash is kept: they are not listed, and are found by who knows the address.
#[cfg_attr(any(test, feature = "testing"), mockall::automock)]
#[async_trait]
pub trait SuppressionRepo: Send {
    /// At most `limit` entries after the one of the key `after`, in the order of their [keys](Suppressible::key).
    /// Those who were erased are left out: there is nothing to show.
    async fn list(&mut self, after: Option<String>, limit: u32) -> StoreResult<Vec<Suppression>>;

    /// The entry of exactly this address or domain. Of an address also the one that its erasure left.
    async fn find(&mut self, what: &Suppressible) -> StoreResult<Option<Suppression>>;

    /// Every entry that keeps this address from being mailed: its own, the one its erasure left, its domain's.
    async fn covering(&mut self, email: &EmailAddress) -> StoreResult<Vec<Suppression>>;

    /// Puts an address on the list, unless it is there or was left there by an erasure. The open enrollments of every
    /// contact of that address end as suppressed, and what is queued for them is cancelled.
    async fn suppress(
        &mut self,
        email: &EmailAddress,
        reason: SuppressionReason,
        source: &str,
        now: DateTime<Utc>,
    ) -> StoreResult<Suppressed>;

    /// Puts a domain on the list, unless it is there. Its contacts stay in their campaigns until their next mail is due,
    /// and leave then in its place.
    async fn suppress_domain(
        &mut self,
        domain: &DomainName,
        reason: SuppressionReason,
        source: &str,
        now: DateTime<Utc>,
    ) -> StoreResult<Suppressed>;

    /// Puts several on the list, each as [`SuppressionRepo::suppress`] and [`SuppressionRepo::suppress_domain`] do; those
    /// on it keep their reason and source. How many were added; one that comes twice counts once.
    async fn suppress_all(&mut self, entries: &[NewSuppression], now: DateTime<Utc>) -> StoreResult<u64>;

    /// Takes an address or a domain off the list, also an address that an erasure left there. False when it was not on
    /// it.
    async fn lift(&mut self, what: &Suppressible) -> StoreResult<bool>;

    /// Does what the recipient of `delivery` asked for: suppresses the address in the tenant, ends every open
    /// enrollment of its contacts as unsubscribed, and counts it once, for the delivery's step.
    ///
    /// Looks through all workspaces of the tenant, whichever the transaction names.
    async fn unsubscribe(&mut self, delivery: DeliveryKey, now: DateTime<Utc>) -> StoreResult<Unsubscribed>;

    /// Stops mail to the recipient of `delivery`: suppresses the address in the tenant for `reason` and ends every open
    /// enrollment of its contacts with `leaving`. True when the address is on the list from now on.
    ///
    /// With `mailed_at`, only while the contact has the address that it had then; what is said of a former address says
    /// nothing of the present one. Looks through all workspaces of the tenant, whichever the transaction names.
    async fn suppress_recipient(
        &mut self,
        delivery: DeliveryKey,
        mailed_at: Option<DateTime<Utc>>,
        reason: SuppressionReason,
        leaving: ExitReason,
        now: DateTime<Utc>,
    ) -> StoreResult<bool>;
}
