//! Handing one message to a mail server, in two verbs: [`MailSession::reserve`] before the commit that
//! begins a delivery, [`MailSession::confirm`] after it. [`MailSession::confirm_and_reserve`] is the second for one message and the first
//! for the next.

use crate::model::delivery::{Attempt, SendOutcome};
use async_trait::async_trait;
use std::time::Duration;

/// Who a message is from and to, as the server hears it. Both are already validated addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// `MAIL FROM`.
    pub from: String,
    /// `RCPT TO`.
    pub to: String,
}

/// A message ready for the wire: RFC 5322 headers and MIME body, CRLF line ends, no bare CR or LF, not dot-stuffed.
#[derive(Debug, Clone)]
pub struct WireMessage {
    /// The envelope.
    pub envelope: Envelope,
    /// Headers, empty line, body.
    pub data: Vec<u8>,
}

/// Why no session could be had, or no sender reserved. Nothing was accepted by any server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TransportError {
    /// The server cannot be reached, or refuses connections for now.
    #[error("mail server unavailable: {0}")]
    Unavailable(String),
    /// The server says no for now (4xx) to this sender.
    #[error("mail server refuses for now: {0}")]
    Refused(String),
    /// The server says no for good (5xx) to this sender, or to our credentials.
    #[error("mail server rejects: {0}")]
    Rejected(String),
}

/// A pool of connections to one mail server.
#[cfg_attr(any(test, feature = "testing"), mockall::automock)]
#[async_trait]
pub trait MailTransport: Send + Sync {
    /// A greeted and authenticated session, fresh or reused. Each phase has its own timeout, so that a server which stands still
    /// is waited for for a minute or two.
    async fn session(&self) -> Result<Box<dyn MailSession>, TransportError>;
    /// At how many sessions at once this transport works best.
    fn sessions_at_most(&self) -> usize;
}

/// One connection, good for one message at a time. Dropping it gives a healthy connection back to its pool.
#[cfg_attr(any(test, feature = "testing"), mockall::automock)]
#[async_trait]
pub trait MailSession: Send {
    /// Writes `MAIL FROM` and reads its reply, within a second. On an error nothing is reserved. `RCPT TO` and `DATA` may be written
    /// behind it, of which nothing is accepted; nothing of the message is.
    async fn reserve(&mut self, message: &WireMessage) -> Result<(), TransportError>;
    /// `RCPT TO` and `DATA` as far as they are not written yet, the body, the final dot, the reply; each with its own timeout.
    ///
    /// Tells `journal` [`Phase::Dot`] before the first byte of the final dot is written and
    /// [`Phase::Replied`] once the reply was read. Every loss before the dot is [`SendOutcome::Retry`];
    /// only a loss after it is [`SendOutcome::InDoubt`].
    async fn confirm(&mut self, attempt: Attempt, message: &WireMessage, journal: &DynJournal) -> SendOutcome;
    /// Whether the next message may be reserved together with the end of the one that is reserved now, which saves a wait for the network:
    /// the server takes commands in groups, and has been quick to answer for messages.
    fn takes_another_behind(&self) -> bool {
        false
    }
    /// [`MailSession::confirm`] of a message and [`MailSession::reserve`] of the `next`, whose sender may be written behind the final dot
    /// (RFC 2920 section 3.1). That is written `within` so long from the call, or not at all; its answer comes after the one for the message,
    /// however long that takes.
    async fn confirm_and_reserve(
        &mut self,
        attempt: Attempt,
        message: &WireMessage,
        journal: &DynJournal,
        next: &WireMessage,
        within: Duration,
    ) -> (SendOutcome, Result<(), TransportError>);
    /// Takes a reservation back (`RSET`, else the connection is closed). Sends nothing of the message.
    async fn abort(&mut self);
}

/// How far an attempt came, as its journal knows it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(tag = "phase", rename_all = "camelCase")]
pub enum Phase {
    /// The begin is about to be committed; nothing of the message was written.
    Begun,
    /// The final dot is about to be written.
    Dot,
    /// The reply after the dot was read.
    Replied {
        /// What it said.
        outcome: SendOutcome,
    },
    /// The outcome is recorded in the database; the attempt needs nothing more.
    Recorded,
}

/// The phase journal of this process: what a `kill -9` must not forget.
///
/// Writes reach the page cache before the call returns and are not flushed to disk; a reboot voids the journal.
#[cfg_attr(any(test, feature = "testing"), mockall::automock)]
pub trait Journal: Send + Sync {
    /// Appends that `attempt` has reached `phase`. An error means that the journal cannot be trusted from here on:
    /// the caller must not go on to the next phase.
    fn record(&self, attempt: Attempt, phase: &Phase) -> std::io::Result<()>;
}

/// A journal behind a reference. Spelled out, a borrowed trait object has a lifetime that mockall cannot carry through
/// `async_trait`; the name makes it `'static`.
pub type DynJournal = dyn Journal;

/// What a dead process left in its journal about one attempt that was not yet recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Orphan {
    /// The attempt.
    pub attempt: Attempt,
    /// The last phase it reached.
    pub phase: Phase,
}

/// Journals left behind by processes that are gone.
#[cfg_attr(any(test, feature = "testing"), mockall::automock)]
#[async_trait]
pub trait JournalArchive: Send + Sync {
    /// Adopts one journal that no living process holds: takes its lock and reads its unrecorded attempts.
    /// `None` when there is none. The journal is deleted by [`AdoptedJournal::discard`], not before.
    async fn adopt(&self) -> std::io::Result<Option<Box<dyn AdoptedJournal>>>;
}

/// A journal whose owner is gone, held by us.
#[cfg_attr(any(test, feature = "testing"), mockall::automock)]
pub trait AdoptedJournal: Send {
    /// The attempts that were not recorded when the owner died. Empty when the machine was rebooted since.
    fn orphans(&self) -> Vec<Orphan>;
    /// Deletes it, once every orphan is settled in the database.
    fn discard(self: Box<Self>) -> std::io::Result<()>;
}
