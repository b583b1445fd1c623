//! What recipients and their mail servers do after a mail was sent, kept and counted.

use super::store::StoreResult;
use crate::model::events::EngagementEvent;
use async_trait::async_trait;

/// What became of events that were told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EventReport {
    /// New, and counted.
    pub recorded: usize,
    /// Told before; nothing has changed.
    pub repeated: usize,
    /// Not kept: the mail has [more than enough](crate::model::events::KEPT_OF_A_KIND) of that kind.
    pub surplus: usize,
}

/// Lets single events go; what they added up to stays.
#[cfg_attr(any(test, feature = "testing"), mockall::automock)]
#[async_trait]
pub trait EventKeeper: Send + Sync {
    /// Deletes at most `at_most` events of each tenant that happened more than `days` days ago, and says how many. Figures and
    /// what each mail has seen do not change; since when events are complete is noted with the first that go.
    async fn forget_events(&self, days: i32, at_most: i64) -> StoreResult<u64>;
}

/// Events of one tenant's mails.
#[cfg_attr(any(test, feature = "testing"), mockall::automock)]
#[async_trait]
pub trait EventRepo: Send {
    /// Keeps events and counts them, all at once.
    ///
    /// The same event again changes nothing, and the order in which events come makes no difference: a mail counts once
    /// for each kind, in the quarter-hour of its first event, and moves there when an earlier one turns up.
    /// An open or a click while the mail is still being sent, clicks on every link of a mail that has several within two seconds, and
    /// whatever is within two seconds of a visit to the link that no person sees, become a program's; the latter two also
    /// when some were taken for a person's before.
    ///
    /// Events of other tenants are left out. Whether the delivery exists is the caller's to know: its key comes out of
    /// a sealed token. Figures are posted with the commit; call it after what locks contacts (suppressing, exiting).
    async fn record(&mut self, events: &[EngagementEvent]) -> StoreResult<EventReport>;
}
