//! What the turns of one process share.

use super::fence::Fenced;
use super::handover::Ready;
use super::leases::Leases;
use super::recorder::{Note, Recorder};
use super::rest::Rest;
use super::sessions::Sessions;
use super::waiting::Waiting;
use crate::outcomes;
use muster_domain::model::delivery::{Attempt, RetryPolicy};
use muster_domain::model::ids::CampaignKey;
use muster_domain::ports::delivery::{DeliveryStore, Finished, RecordReport};
use muster_domain::ports::transport::{Journal, MailTransport};
use muster_domain::usecases::write_letter::Desk;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The ports that delivering needs.
#[derive(Clone)]
pub struct Deliveries {
    /// Where deliveries are kept.
    pub store: Arc<dyn DeliveryStore>,
    /// Where they go.
    pub transport: Arc<dyn MailTransport>,
    /// What a kill must not forget.
    pub journal: Arc<dyn Journal>,
    /// What letters are written with.
    pub desk: Desk,
}

/// Fewer mails are not worth a claim of their own.
const WORTH_A_CLAIM: usize = 25;
/// Where that is more: beyond so many for each session they would only wait for it, and the mail of others behind them.
const FOR_EACH_SESSION: usize = 5;
/// More in one claim cost the database no less each.
const CLAIMED_AT_ONCE: usize = 50;

/// How much is done at once.
#[derive(Debug, Clone, Copy)]
pub struct DeliverLimits {
    /// Mails in one turn, at most.
    pub batch: usize,
    /// Turns at once. All of them together claim no more than `turns × batch` ahead of the sessions.
    pub turns: usize,
    /// When transient refusals are tried again.
    pub policy: RetryPolicy,
}

impl DeliverLimits {
    /// Fit for a transport of so many sessions: one batch can fill them all, while the next ones are claimed and written. A claim
    /// costs the database nearly the same for one mail as for twenty-five, so fewer sessions take more at once than they can
    /// send, in fewer turns: one begins, one comes next, and one claims.
    pub fn for_sessions(sessions: usize) -> Self {
        let turns = if sessions > WORTH_A_CLAIM { 4 } else { 3 };
        let batch = (FOR_EACH_SESSION * sessions).clamp(WORTH_A_CLAIM, CLAIMED_AT_ONCE);
        Self { batch, turns, policy: RetryPolicy::default() }
    }
}

/// What became of deliveries since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Recorded outcomes.
    pub recorded: RecordReport,
    /// Begun.
    pub begun: u64,
    /// Ended before they began, because the address is suppressed.
    pub suppressed: u64,
}

/// Shared by all turns.
pub(super) struct Line {
    pub(super) ports: Deliveries,
    pub(super) limits: DeliverLimits,
    pub(super) sessions: Arc<Sessions>,
    /// Letters that wait for one.
    pub(super) waiting: Waiting<Ready>,
    pub(super) leases: Arc<Leases>,
    pub(super) rest: Rest,
    /// No more claims.
    pub(super) stopping: CancellationToken,
    /// What is still under way is dropped as it is.
    pub(super) abandon: CancellationToken,
    /// Mails being handed over.
    pub(super) handing_over: TaskTracker,
    recorder: Recorder,
    books: Arc<Mutex<Books>>,
}

/// What the recorder tells the pass.
#[derive(Default)]
pub(super) struct Books {
    tally: Tally,
    closed: BTreeSet<CampaignKey>,
}

impl Line {
    pub(super) fn open(mut ports: Deliveries, limits: DeliverLimits) -> Arc<Self> {
        let (stopping, abandon) = (CancellationToken::new(), CancellationToken::new());
        let leases = Arc::new(Leases::default());
        let books: Arc<Mutex<Books>> = Arc::default();
        leases.keep_renewed(Arc::clone(&ports.store), abandon.clone());
        let (store, journal) = (Arc::clone(&ports.store), Arc::clone(&ports.journal));
        ports.journal = Arc::new(Fenced { journal: Arc::clone(&journal), leases: Arc::clone(&leases) });
        let recorder =
            Recorder::start(store, journal, limits.policy, Arc::clone(&leases), Arc::clone(&books), abandon.clone());
        let sessions = Arc::new(Sessions::of(Arc::clone(&ports.transport)));
        let (rest, handing_over) = (Rest::default(), TaskTracker::new());
        let waiting = Waiting::default();
        Arc::new(Self {
            ports,
            limits,
            sessions,
            waiting,
            leases,
            rest,
            stopping,
            abandon,
            handing_over,
            recorder,
            books,
        })
    }

    /// An attempt has ended; it is recorded in time.
    pub(super) fn finished(&self, finished: Finished) {
        self.recorder.tell(Note::Finished(finished));
    }

    /// Attempts are pending again; nothing of theirs was or will be handed over.
    pub(super) fn give_back(&self, attempts: impl IntoIterator<Item = Attempt>) {
        for attempt in attempts {
            self.recorder.tell(Note::Back(attempt));
        }
    }

    /// Waits until everything begun is recorded.
    pub(super) async fn drained(&self) {
        self.handing_over.close();
        self.handing_over.wait().await;
        self.recorder.drained().await;
    }

    pub(super) fn count_begun(&self, begun: usize, suppressed: usize, campaign: CampaignKey, closed: i64) {
        let mut books = self.books.lock().unwrap_or_else(PoisonError::into_inner);
        books.tally.begun += begun as u64;
        books.tally.suppressed += suppressed as u64;
        books.close(campaign, closed);
        metrics::counter!("muster_deliveries_begun_total").increment(begun as u64);
        metrics::counter!("muster_deliveries_total", "outcome" => "suppressed").increment(suppressed as u64);
    }

    pub(super) fn tally(&self) -> Tally {
        self.books.lock().unwrap_or_else(PoisonError::into_inner).tally
    }

    pub(super) fn take_closed(&self) -> Vec<CampaignKey> {
        std::mem::take(&mut self.books.lock().unwrap_or_else(PoisonError::into_inner).closed).into_iter().collect()
    }
}

impl Books {
    pub(super) fn record(&mut self, campaign: CampaignKey, report: RecordReport) {
        self.tally.recorded.add(report);
        self.close(campaign, report.closed);
        outcomes::count(report);
    }

    fn close(&mut self, campaign: CampaignKey, closed: i64) {
        if closed > 0 {
            self.closed.insert(campaign);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_is_worth_it_and_no_larger_than_sessions_and_the_database_make_use_of() {
        for (sessions, batch, turns) in [(1, 25, 3), (6, 30, 3), (10, 50, 3), (25, 50, 3), (26, 50, 4), (200, 50, 4)] {
            let limits = DeliverLimits::for_sessions(sessions);
            assert_eq!((limits.batch, limits.turns), (batch, turns), "{sessions} sessions");
        }
    }
}
