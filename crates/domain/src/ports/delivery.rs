//! Storage of the deliver pipeline: claim, begin, record, and what puts right the work of processes that died.
//!
//! A delivery goes pending → claimed → sending → ended. Every change of it names the [`Epoch`](crate::model::delivery::Epoch)
//! of the claim it was made under, and changes nothing when another claim came after. Leases and retries run on the
//! database's own clock; everything else on business time.

use super::store::{StoreError, StoreResult};
#[cfg(doc)]
use super::transport::Phase;
use crate::model::address::EmailAddress;
use crate::model::contact::ContactFacts;
use crate::model::delivery::{Attempt, RetryPolicy, SendOutcome};
#[cfg(doc)]
use crate::model::delivery::{LEASE, LEASE_AT_BEGIN};
use crate::model::ids::{CampaignKey, SequenceVersion};
use crate::model::sequence::Sequence;
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use std::sync::Arc;

/// A claimed delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claimed {
    /// The delivery and the epoch of this claim.
    pub attempt: Attempt,
    /// Under which sequence it was queued.
    pub version: SequenceVersion,
    /// Attempts begun before.
    pub attempts: i16,
    /// When it was queued; the `Date` of its mail, so that a resend is the same mail.
    pub queued_at: DateTime<Utc>,
}

/// Whom a campaign's mails are from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sender {
    /// `From` address.
    pub from_email: EmailAddress,
    /// `From` name.
    pub from_name: String,
    /// `Reply-To`.
    pub reply_to: Option<EmailAddress>,
    /// Whether mails carry one-click unsubscribe headers.
    pub unsubscribe: bool,
    /// Whether opens are counted.
    pub track_opens: bool,
    /// Whether clicks are counted.
    pub track_clicks: bool,
    /// Who sends, for the footer.
    pub postal_address: Option<String>,
}

/// A claimed delivery with all that its mail is made of.
#[derive(Debug, Clone)]
pub struct Letter {
    /// The claim.
    pub claimed: Claimed,
    /// Where it goes.
    pub recipient: EmailAddress,
    /// What is known of the contact.
    pub facts: ContactFacts,
    /// Whom it is from.
    pub sender: Arc<Sender>,
    /// The sequence that holds its step.
    pub sequence: Arc<Sequence>,
}

/// What a claim brought.
#[derive(Debug, Default)]
pub struct ClaimReport {
    /// Claimed, for a [`LEASE`] unless renewed.
    pub letters: Vec<Letter>,
    /// Nothing of this campaign begins before this business time: its window is closed or a limit is used up.
    pub not_before: Option<DateTime<Utc>>,
}

/// A claimed delivery that is ready to begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beginning {
    /// The delivery and the epoch of its claim.
    pub attempt: Attempt,
    /// The address that the mail is made out to.
    pub recipient: EmailAddress,
    /// No attempt began before this one; only such count towards the sending limits.
    pub first: bool,
}

/// Reserves senders for deliveries that may begin.
#[cfg_attr(any(test, feature = "testing"), mockall::automock)]
#[async_trait]
pub trait Reservations: Send {
    /// Writes `MAIL FROM` and reads its reply for those of `attempts` that have a session or find one within moments, all at once and
    /// within a second from then; answers those for which it was accepted.
    async fn reserve(&mut self, attempts: &[Attempt]) -> Vec<Attempt>;

    /// Whether there are several mails for each session, to be reserved one after the other. The caller has written down all of them
    /// already as [`Phase::Begun`].
    fn in_rounds(&self) -> bool {
        false
    }

    /// Whether [`Reservations::further`] has anybody to reserve for.
    fn has_more(&self) -> bool {
        false
    }

    /// To be called once what was reserved last has begun: its messages go, and the same is done for the next of those attempts that
    /// [`Reservations::reserve`] was asked for, on the same sessions. Answers those of them for which it was accepted.
    async fn further(&mut self) -> Vec<Attempt> {
        Vec::new()
    }
}

/// Reservations behind a reference: `'static`, because mockall cannot carry the lifetime of a borrowed trait object.
pub type DynReservations = dyn Reservations + 'static;

/// What beginning came to. An attempt that is in none of the lists is no longer this claim's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BeginReport {
    /// Begun and committed: their messages may go.
    pub begun: Vec<Attempt>,
    /// Back among the pending.
    pub returned: Vec<Attempt>,
    /// Ended, because the address is suppressed.
    pub suppressed: Vec<Attempt>,
    /// Enrollments closed.
    pub closed: i64,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// Which.
    pub attempt: Attempt,
    /// How. [`SendOutcome::Failed`] is also how a message ends that cannot be built and so never begins.
    pub outcome: SendOutcome,
}

/// What recording came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RecordReport {
    /// Sent.
    pub sent: usize,
    /// Pending again, after a while.
    pub again: usize,
    /// Failed.
    pub failed: usize,
    /// In doubt.
    pub in_doubt: usize,
    /// Not pending again, because the enrollment has exited meanwhile.
    pub cancelled: usize,
    /// Enrollments closed: when there are any, the campaign may be over.
    pub closed: i64,
}

impl RecordReport {
    /// Adds another.
    pub fn add(&mut self, other: RecordReport) {
        self.sent += other.sent;
        self.again += other.again;
        self.failed += other.failed;
        self.in_doubt += other.in_doubt;
        self.cancelled += other.cancelled;
        self.closed += other.closed;
    }
}

/// What renewing came to.
#[derive(Debug, Default)]
pub struct RenewReport {
    /// Prolonged: nobody else has had them since they were claimed.
    pub renewed: Vec<Attempt>,
    /// What kept others from it; the last of several troubles.
    pub trouble: Option<StoreError>,
}

/// Storage of deliveries.
#[cfg_attr(any(test, feature = "testing"), mockall::automock)]
#[async_trait]
pub trait DeliveryStore: Send + Sync {
    /// The active, fully enrolled campaigns with deliveries due now, over all tenants. Not those that a claim found to
    /// be held until later, before that time has come or the campaign is changed.
    async fn due_campaigns(&self) -> StoreResult<Vec<CampaignKey>>;

    /// Claims up to `limit` due deliveries of one campaign, those due longest first, and loads what they are made of.
    ///
    /// Nothing unless the campaign is active, its window open and its limits not used up. Several callers at once
    /// never claim the same delivery. What a crash leaves claimed is returned when its lease ends.
    async fn claim(&self, campaign: CampaignKey, limit: usize) -> StoreResult<ClaimReport>;

    /// Begins claimed deliveries of one campaign in one transaction, which is held open across
    /// [`Reservations::reserve`] and committed only after it.
    ///
    /// Only what is still this claim's goes on, and only while the campaign is active and open, within its limits, to
    /// contacts that still have this address and are not suppressed; all that is held still until the commit. Whatever begins has
    /// [`LEASE_AT_BEGIN`] at least. So nothing
    /// begins after a pause, an unsubscribe, a suppression or an erasure has returned. What was not reserved is pending
    /// again.
    ///
    /// [In rounds](Reservations::in_rounds) they are turned to sending in a transaction of its own beforehand, as far as no limit is to be held for
    /// them. The one that is held open asks all of that again, changes nothing while mail goes, and begins one round after
    /// the other; each has begun when the next is asked for. What does not begin is told as returned, also
    /// where the address is suppressed by then, or the contact has left, and it has ended.
    ///
    /// After an error nobody knows whether anything began, but for what has begun in a round before: nothing else may be sent, and every
    /// other attempt is to be given back.
    async fn begin(
        &self,
        campaign: CampaignKey,
        batch: &[Beginning],
        reservations: &mut DynReservations,
    ) -> StoreResult<BeginReport>;

    /// Records how attempts of one campaign ended, and moves their enrollments on.
    ///
    /// Each changes only the delivery of its own epoch while that is under way, or that this very attempt left in
    /// doubt; so the same call again changes nothing.
    async fn record(
        &self,
        campaign: CampaignKey,
        finished: &[Finished],
        policy: &RetryPolicy,
    ) -> StoreResult<RecordReport>;

    /// Makes attempts of one campaign pending again, claimed and begun ones alike. The caller vouches that no message of
    /// theirs was handed over and that none will be.
    async fn give_back(&self, campaign: CampaignKey, attempts: &[Attempt]) -> StoreResult<RecordReport>;

    /// Prolongs the leases of attempts, claimed and begun ones alike, to a [`LEASE`] from now. Not of those that somebody is beginning or
    /// ending this moment, and of none that is no longer its claim's.
    async fn renew(&self, attempts: &[Attempt]) -> RenewReport;
}

/// What reaping came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReapReport {
    /// Claims that ran out, pending again.
    pub returned: usize,
    /// Sends that ran out of which nothing was heard, each with its doubt: in doubt now, or to be sent once more.
    pub doubts: Vec<Finished>,
    /// What became of all sends that ran out.
    pub recorded: RecordReport,
    /// Campaigns in which enrollments closed.
    pub closed: Vec<CampaignKey>,
}

/// Puts right what dead processes left.
#[cfg_attr(any(test, feature = "testing"), mockall::automock)]
#[async_trait]
pub trait Reaper: Send + Sync {
    /// Returns expired claims to the pending and turns expired sends into sends in doubt. Touches nothing whose lease
    /// runs, and nothing that ended. What storage refuses of one campaign does not stop the others; an error means that it is away.
    async fn reap(&self, policy: &RetryPolicy) -> StoreResult<ReapReport>;
}
