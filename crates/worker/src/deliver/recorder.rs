//! Writing outcomes down, in batches that form by themselves: what comes in while one is written is the next, and a campaign's
//! next is not written before its time.
//!
//! An outcome is tried until it is recorded. One campaign's trouble does not hold up another's outcomes.

use super::batch::Batch;
use super::leases::Leases;
use super::line::Books;
use super::piles::Piles;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use muster_domain::model::delivery::{Attempt, RetryPolicy};
use muster_domain::model::ids::CampaignKey;
use muster_domain::ports::delivery::{DeliveryStore, Finished};
use muster_domain::ports::store::StoreResult;
use muster_domain::ports::transport::{Journal, Phase};
use std::collections::VecDeque;
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

/// When a batch goes on.
enum Next {
    AtOnce,
    At(Instant),
}

/// What is not being written just now: what came since, and what has to be tried again.
#[derive(Default)]
struct Queue {
    fresh: Piles<Note>,
    again: VecDeque<Batch<Note>>,
    /// They take turns, so that neither waits for all of the other; whether it is the turn of what is tried again.
    turn_of_again: bool,
}

impl Queue {
    fn put(&mut self, note: Note) {
        self.fresh.put(note.attempt().key.campaign_key(), note);
    }

    fn put_back(&mut self, batch: Batch<Note>) {
        if batch.is_done() {
            self.fresh.release(batch.campaign());
        } else {
            self.again.push_back(batch);
        }
    }

    fn next(&mut self) -> Option<Batch<Note>> {
        let Self { fresh, again, turn_of_again } = self;
        let mut fresh = || fresh.take(BATCH).map(|(campaign, notes)| Batch::of(campaign, notes));
        let again_first = std::mem::replace(turn_of_again, !*turn_of_again);
        if again_first { again.pop_front().or_else(fresh) } else { fresh().or_else(|| again.pop_front()) }
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
        store: Arc<dyn DeliveryStore>,
        journal: Arc<dyn Journal>,
        policy: RetryPolicy,
        leases: Arc<Leases>,
        books: Arc<Mutex<Books>>,
        end: CancellationToken,
    ) -> Self {
        let (notes, incoming) = mpsc::unbounded_channel();
        let (written, seen) = watch::channel(0);
        let clerk = Arc::new(Clerk { store, journal, policy, leases, books, written });
        tokio::spawn(end.run_until_cancelled_owned(clerk.work(incoming)));
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
        let mut queue = Queue::default();
        let mut writing = FuturesUnordered::new();
        let mut pausing = FuturesUnordered::new();
        let mut open = true;
        // What is fresh never waits without somebody writing or pausing.
        while open || !queue.again.is_empty() || !writing.is_empty() || !pausing.is_empty() {
            tokio::select! {
                note = incoming.recv(), if open => {
                    let mut next = note;
                    open = next.is_some();
                    while let Some(note) = next {
                        queue.put(note);
                        next = incoming.try_recv().ok();
                    }
                }
                Some((batch, next)) = writing.next(), if !writing.is_empty() => match next {
                    Next::AtOnce => queue.put_back(batch),
                    Next::At(then) => pausing.push(async move {
                        tokio::time::sleep_until(then).await;
                        batch
                    }),
                },
                Some(batch) = pausing.next(), if !pausing.is_empty() => queue.put_back(batch),
            }
            // A place is held by what is being written, and by nothing that waits to be tried again.
            while writing.len() < AT_ONCE {
                let Some(batch) = queue.next() else { break };
                writing.push(self.write(batch));
            }
        }
    }

    /// Tries to write what comes next of a batch, once.
    async fn write(&self, mut batch: Batch<Note>) -> (Batch<Note>, Next) {
        let again_at = Instant::now() + EVERY;
        let result = self.try_write(batch.campaign(), batch.next()).await;
        let step = batch.tried(result);
        self.settle(&step.written, true);
        self.settle(&step.given_up, false);
        let next = match step.rest {
            Some(rest) => Next::At(Instant::now() + rest),
            None if batch.is_done() => Next::At(again_at),
            None => Next::AtOnce,
        };
        (batch, next)
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
        if notes.is_empty() {
            return;
        }
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

#[cfg(test)]
mod tests;
