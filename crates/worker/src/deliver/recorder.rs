//! Writing outcomes down, in batches that form by themselves: what comes in while one is written is the next, and a campaign's
//! next is not written before its time.
//!
//! An outcome is tried until it is recorded. One campaign's trouble does not hold up another's outcomes.

use super::leases::Leases;
use super::line::{Books, Deliveries};
use super::piles::Piles;
use crate::pace::Pace;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use muster_domain::model::delivery::{Attempt, RetryPolicy};
use muster_domain::model::ids::CampaignKey;
use muster_domain::ports::delivery::{DeliveryStore, Finished};
use muster_domain::ports::store::{StoreError, StoreResult};
use muster_domain::ports::transport::{Journal, Phase};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Outcomes in one transaction, at most.
const BATCH: usize = 500;
/// Transactions at once.
const AT_ONCE: usize = 2;
/// From the beginning of a campaign's transaction to its next. A transaction costs the database the same for one outcome as
/// for twenty, and takes what it costs from the mails; the first outcome after a silence is written at once.
const EVERY: Duration = Duration::from_millis(20);
/// A single outcome that storage refuses, rather than misses, is left to its lease after so many tries.
const REFUSALS_AT_MOST: u32 = 5;
const PACE: Pace = Pace {
    idle: Duration::ZERO,
    nudged: Duration::ZERO,
    trouble: Duration::from_millis(50),
    at_most: Duration::from_secs(2),
};

/// What is to be written down.
pub(super) enum Note {
    /// An attempt ended.
    Finished(Finished),
    /// An attempt came to nothing.
    Back(Attempt),
}

impl Note {
    fn attempt(&self) -> Attempt {
        match self {
            Note::Finished(finished) => finished.attempt,
            Note::Back(attempt) => *attempt,
        }
    }
}

/// Takes notes; a task writes them down.
pub(super) struct Recorder {
    notes: mpsc::UnboundedSender<Note>,
    told: watch::Sender<u64>,
    written: watch::Receiver<u64>,
}

impl Recorder {
    pub(super) fn start(
        ports: &Deliveries,
        policy: RetryPolicy,
        leases: Arc<Leases>,
        books: Arc<Mutex<Books>>,
        end: CancellationToken,
    ) -> Self {
        let (notes, incoming) = mpsc::unbounded_channel();
        let (written, seen) = watch::channel(0);
        let desk = Arc::new(Clerk {
            store: Arc::clone(&ports.store),
            journal: Arc::clone(&ports.journal),
            policy,
            leases,
            books,
            written,
        });
        tokio::spawn(end.run_until_cancelled_owned(desk.work(incoming)));
        Self { notes, told: watch::Sender::new(0), written: seen }
    }

    pub(super) fn tell(&self, note: Note) {
        self.told.send_modify(|told| *told += 1);
        // The task ends after everybody who tells, or with the process.
        let _ = self.notes.send(note);
    }

    /// Waits until everything told so far is written.
    pub(super) async fn drained(&self) {
        let told = *self.told.borrow();
        let mut written = self.written.clone();
        let _ = written.wait_for(|written| *written >= told).await;
    }
}

struct Clerk {
    store: Arc<dyn DeliveryStore>,
    journal: Arc<dyn Journal>,
    policy: RetryPolicy,
    leases: Arc<Leases>,
    books: Arc<Mutex<Books>>,
    written: watch::Sender<u64>,
}

impl Clerk {
    async fn work(self: Arc<Self>, mut incoming: mpsc::UnboundedReceiver<Note>) {
        let mut piles = Piles::default();
        let mut writing = FuturesUnordered::new();
        let mut pausing = FuturesUnordered::new();
        let mut open = true;
        while open || !writing.is_empty() || !pausing.is_empty() {
            tokio::select! {
                note = incoming.recv(), if open => {
                    let mut next = note;
                    open = next.is_some();
                    while let Some(note) = next {
                        piles.put(note.attempt().key.campaign_key(), note);
                        next = incoming.try_recv().ok();
                    }
                }
                Some((campaign, again_at)) = writing.next(), if !writing.is_empty() => {
                    pausing.push(async move {
                        tokio::time::sleep_until(again_at).await;
                        campaign
                    });
                }
                Some(campaign) = pausing.next(), if !pausing.is_empty() => piles.release(campaign),
            }
            while writing.len() < AT_ONCE {
                let Some((campaign, notes)) = piles.take(BATCH) else { break };
                let clerk = Arc::clone(&self);
                writing.push(async move {
                    let again_at = Instant::now() + EVERY;
                    clerk.write(campaign, notes).await;
                    (campaign, again_at)
                });
            }
        }
    }

    /// Writes all of it, whatever it takes.
    async fn write(&self, campaign: CampaignKey, notes: Vec<Note>) {
        let mut failures = 0_u32;
        loop {
            match self.try_write(campaign, &notes).await {
                Ok(()) => return self.settle(&notes, true),
                Err(error @ (StoreError::Internal(_) | StoreError::Corrupt { .. })) if notes.len() > 1 => {
                    tracing::error!(%error, campaign = campaign.campaign.0, "outcomes are recorded one by one");
                    break;
                }
                Err(error) => {
                    failures = failures.saturating_add(1);
                    let refused = matches!(error, StoreError::Internal(_) | StoreError::Corrupt { .. });
                    if refused && failures >= REFUSALS_AT_MOST {
                        tracing::error!(%error, campaign = campaign.campaign.0, "an outcome cannot be recorded");
                        return self.settle(&notes, false);
                    }
                    tracing::warn!(%error, failures, outcomes = notes.len(), "outcomes wait for storage");
                    tokio::time::sleep(PACE.after_failures(failures)).await;
                }
            }
        }
        for note in notes {
            Box::pin(self.write(campaign, vec![note])).await;
        }
    }

    async fn try_write(&self, campaign: CampaignKey, notes: &[Note]) -> StoreResult<()> {
        let (mut finished, mut back) = (Vec::new(), Vec::new());
        for note in notes {
            match note {
                Note::Finished(one) => finished.push(one.clone()),
                Note::Back(attempt) => back.push(*attempt),
            }
        }
        if !finished.is_empty() {
            let report = self.store.record(campaign, &finished, &self.policy).await?;
            self.books.lock().unwrap_or_else(PoisonError::into_inner).record(campaign, report);
        }
        if !back.is_empty() {
            let report = self.store.give_back(campaign, &back).await?;
            self.books.lock().unwrap_or_else(PoisonError::into_inner).record(campaign, report);
        }
        Ok(())
    }

    fn settle(&self, notes: &[Note], recorded: bool) {
        for note in notes {
            let attempt = note.attempt();
            if let Some(Err(error)) = recorded.then(|| self.journal.record(attempt, &Phase::Recorded)) {
                // Whoever adopts it settles it again, which changes nothing.
                tracing::warn!(%error, "the journal cannot be written");
            }
            self.leases.release([&attempt]);
        }
        self.written.send_modify(|written| *written += notes.len() as u64);
    }
}
