//! Writing outcomes down, in batches that form by themselves: what comes in while one is written is the next, and a campaign's
//! next is not written before its time.
//!
//! An outcome is tried until it is recorded, for as long as the process lives. One campaign's trouble does not hold up another's
//! outcomes, and one outcome that storage refuses holds up none.

mod clerk;
mod parked;
mod queue;
mod scribe;

use super::leases::Leases;
use super::line::Books;
use clerk::Clerk;
use muster_domain::model::delivery::{Attempt, RetryPolicy};
use muster_domain::ports::delivery::{DeliveryStore, Finished};
use muster_domain::ports::transport::Journal;
use scribe::Scribe;
use std::sync::{Arc, Mutex};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

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

/// Takes notes; tasks write them down.
pub(super) struct Recorder {
    notes: mpsc::UnboundedSender<Note>,
    told: watch::Sender<u64>,
    settled: watch::Receiver<u64>,
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
        let (refused, parking) = mpsc::unbounded_channel();
        let (scribe, settled) = Scribe::of(store, journal, policy, leases, books);
        let keep_trying = parked::keep_trying(Arc::clone(&scribe), parking);
        tokio::spawn(end.clone().run_until_cancelled_owned(keep_trying));
        tokio::spawn(end.run_until_cancelled_owned(Clerk::new(scribe, refused).work(incoming)));
        Self { notes, told: watch::Sender::new(0), settled }
    }

    pub(super) fn tell(&self, note: Note) {
        self.told.send_modify(|told| *told += 1);
        // The task ends after everybody who tells, or with the process.
        let _ = self.notes.send(note);
    }

    /// Waits until everything told so far is written, but for what storage goes on refusing.
    pub(super) async fn drained(&self) {
        let told = *self.told.borrow();
        let mut settled = self.settled.clone();
        let _ = settled.wait_for(|settled| *settled >= told).await;
    }
}

#[cfg(test)]
pub(super) mod tests;
