//! The deliver pipeline: every promise of its port, over a real database.

mod begin;
mod claim;
mod decided;
mod guarded;
mod late;
mod leases;
mod limits;
mod record;

use async_trait::async_trait;
use muster_adapters::postgres::PgStore;
use muster_domain::model::bounce::BounceClass;
use muster_domain::model::delivery::{Attempt, RetryPolicy, SendOutcome};
use muster_domain::model::ids::CampaignKey;
use muster_domain::ports::delivery::{BeginReport, Beginning, DeliveryStore, Finished, Letter, Reservations};
use muster_testkit::mail_queue::MailQueue;

/// Reserves what it is told to, and remembers what it was asked.
#[derive(Default)]
struct Counter {
    refuse: Vec<Attempt>,
    asked: Vec<Attempt>,
}

#[async_trait]
impl Reservations for Counter {
    async fn reserve(&mut self, attempts: &[Attempt]) -> Vec<Attempt> {
        self.asked.extend(attempts);
        attempts.iter().filter(|attempt| !self.refuse.contains(attempt)).copied().collect()
    }
}

fn beginning(letter: &Letter) -> Beginning {
    let Letter { claimed, recipient, .. } = letter;
    Beginning { attempt: claimed.attempt, recipient: recipient.clone(), first: claimed.attempts == 0 }
}

pub(crate) async fn claim(store: &PgStore, key: CampaignKey, limit: usize) -> Vec<Letter> {
    store.claim(key, limit).await.unwrap().letters
}

pub(crate) async fn begin(store: &PgStore, key: CampaignKey, letters: &[Letter]) -> BeginReport {
    let batch: Vec<_> = letters.iter().map(beginning).collect();
    store.begin(key, &batch, &mut Counter::default()).await.unwrap()
}

/// Claims and begins up to `limit`.
pub(crate) async fn begun(store: &PgStore, key: CampaignKey, limit: usize) -> Vec<Attempt> {
    let letters = claim(store, key, limit).await;
    begin(store, key, &letters).await.begun
}

pub(crate) fn sent() -> SendOutcome {
    SendOutcome::Sent { reply: "250 ok".to_owned() }
}

pub(crate) fn retry() -> SendOutcome {
    SendOutcome::Retry { reason: "451 later".to_owned(), soft: false }
}

pub(crate) fn failed(bounced: bool) -> SendOutcome {
    SendOutcome::Failed { reason: "550 no".to_owned(), bounced: bounced.then_some(BounceClass::Hard) }
}

pub(crate) fn in_doubt() -> SendOutcome {
    SendOutcome::InDoubt { reason: "no reply after the dot".to_owned() }
}

fn finished(attempts: &[Attempt], outcome: &SendOutcome) -> Vec<Finished> {
    attempts.iter().map(|attempt| Finished { attempt: *attempt, outcome: outcome.clone() }).collect()
}

pub(crate) async fn record(
    store: &PgStore,
    key: CampaignKey,
    attempts: &[Attempt],
    outcome: &SendOutcome,
) -> muster_domain::ports::delivery::RecordReport {
    store.record(key, &finished(attempts, outcome), &RetryPolicy::default()).await.unwrap()
}

/// Lets every lease run out.
pub(crate) async fn expire_leases(queue: &MailQueue) {
    queue.run("UPDATE outbox SET lease_until = now() - interval '1 second' WHERE state <> 'p'").await;
}
