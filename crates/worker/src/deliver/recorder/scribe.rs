//! Writing notes down, once, and what follows when they are written.

use super::Note;
use crate::deliver::leases::Leases;
use crate::deliver::line::Books;
use crate::outcomes;
use muster_domain::model::delivery::RetryPolicy;
use muster_domain::model::ids::CampaignKey;
use muster_domain::ports::delivery::DeliveryStore;
use muster_domain::ports::store::StoreResult;
use muster_domain::ports::transport::{Journal, Phase};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;

/// Shared by those who decide what is written when.
pub(super) struct Scribe {
    store: Arc<dyn DeliveryStore>,
    journal: Arc<dyn Journal>,
    policy: RetryPolicy,
    leases: Arc<Leases>,
    books: Arc<Mutex<Books>>,
    settled: watch::Sender<u64>,
}

impl Scribe {
    /// A scribe, and how many notes it has settled.
    pub(super) fn of(
        store: Arc<dyn DeliveryStore>,
        journal: Arc<dyn Journal>,
        policy: RetryPolicy,
        leases: Arc<Leases>,
        books: Arc<Mutex<Books>>,
    ) -> (Arc<Self>, watch::Receiver<u64>) {
        let (settled, seen) = watch::channel(0);
        (Arc::new(Self { store, journal, policy, leases, books, settled }), seen)
    }

    /// Tries to write notes of one campaign, once.
    pub(super) async fn write(&self, campaign: CampaignKey, notes: &[Note]) -> StoreResult<()> {
        let (mut finished, mut back) = (Vec::new(), Vec::new());
        for note in notes {
            match note {
                Note::Finished(one) => finished.push(one.clone()),
                Note::Back(attempt) => back.push(*attempt),
            }
        }
        if !finished.is_empty() {
            let report = self.store.record(campaign, &finished, &self.policy).await?;
            outcomes::tell_doubts(&finished);
            self.books.lock().unwrap_or_else(PoisonError::into_inner).record(campaign, report);
        }
        if !back.is_empty() {
            let report = self.store.give_back(campaign, &back).await?;
            self.books.lock().unwrap_or_else(PoisonError::into_inner).record(campaign, report);
        }
        Ok(())
    }

    /// They are written: neither the journal nor a lease has to hold them any more.
    pub(super) fn let_go(&self, notes: &[Note]) {
        for note in notes {
            let attempt = note.attempt();
            if let Err(error) = self.journal.record(attempt, &Phase::Recorded) {
                // Whoever adopts it settles it again, which changes nothing.
                tracing::warn!(%error, "the journal cannot be written");
            }
            self.leases.release([&attempt]);
        }
    }

    /// Nobody has to wait for so many notes any more.
    pub(super) fn settle(&self, notes: usize) {
        if notes > 0 {
            self.settled.send_modify(|settled| *settled += notes as u64);
        }
    }
}
