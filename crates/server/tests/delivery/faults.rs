//! Storage that fails at the worst moments.

use crate::{Worker, assert_each_once, quick_mail, until, until_sent};
use async_trait::async_trait;
use muster_adapters::postgres::PgStore;
use muster_domain::model::delivery::{Attempt, RetryPolicy};
use muster_domain::model::ids::CampaignKey;
use muster_domain::ports::delivery::{
    BeginReport, Beginning, ClaimReport, DeliveryStore, DynReservations, Finished, RecordReport, RenewReport,
};
use muster_domain::ports::store::{StoreError, StoreResult};
use muster_testkit::fake_mail::{FakeBehaviour, FakeMail, MailEvent};
use muster_testkit::mail_queue::MailQueue;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// A store whose answers are lost every so often, after it has done what was asked.
struct Lossy {
    store: PgStore,
    /// Every such begin's answer is lost.
    begins: usize,
    /// Every such record's answer is lost.
    records: usize,
    count: AtomicUsize,
}

impl Lossy {
    fn lost(&self, every: usize) -> bool {
        every > 0 && self.count.fetch_add(1, Ordering::SeqCst).is_multiple_of(every)
    }
}

fn cut() -> StoreError {
    StoreError::Unavailable("the connection was cut before the answer".into())
}

#[async_trait]
impl DeliveryStore for Lossy {
    async fn due_campaigns(&self) -> StoreResult<Vec<CampaignKey>> {
        self.store.due_campaigns().await
    }

    async fn claim(&self, campaign: CampaignKey, limit: usize) -> StoreResult<ClaimReport> {
        self.store.claim(campaign, limit).await
    }

    async fn begin(
        &self,
        campaign: CampaignKey,
        batch: &[Beginning],
        reservations: &mut DynReservations,
    ) -> StoreResult<BeginReport> {
        let report = self.store.begin(campaign, batch, reservations).await?;
        if self.lost(self.begins) { Err(cut()) } else { Ok(report) }
    }

    async fn record(
        &self,
        campaign: CampaignKey,
        finished: &[Finished],
        policy: &RetryPolicy,
    ) -> StoreResult<RecordReport> {
        let report = self.store.record(campaign, finished, policy).await?;
        if self.lost(self.records) { Err(cut()) } else { Ok(report) }
    }

    async fn give_back(&self, campaign: CampaignKey, attempts: &[Attempt]) -> StoreResult<RecordReport> {
        self.store.give_back(campaign, attempts).await
    }

    async fn renew(&self, attempts: &[Attempt]) -> RenewReport {
        self.store.renew(attempts).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_begin_whose_commit_is_in_doubt_sends_nothing_and_loses_nothing() {
    let queue = MailQueue::of(300).await;
    let mail = quick_mail();
    let store = Lossy { store: queue.store(), begins: 3, records: 0, count: AtomicUsize::new(0) };
    let worker = Worker::start(Arc::new(store), &mail);
    until_sent(&queue, 300).await;
    worker.stop().await;
    let (begins, accepted) = (mail.recipients(MailEvent::Begin).len(), mail.accepted().len());
    let aborted = mail.log().iter().filter(|entry| entry.event == MailEvent::Aborted).count();
    assert!(aborted > 0, "reservations of a begin in doubt are taken back");
    assert_eq!(begins, accepted + aborted, "and never confirmed");
    assert_each_once(&mail.accepted(), 300);
    queue.assert_books().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_whose_commit_is_in_doubt_is_repeated_and_counts_once() {
    let queue = MailQueue::of(300).await;
    let mail = quick_mail();
    let store = Lossy { store: queue.store(), begins: 0, records: 2, count: AtomicUsize::new(0) };
    let worker = Worker::start(Arc::new(store), &mail);
    until_sent(&queue, 300).await;
    worker.stop().await;
    assert_each_once(&mail.accepted(), 300);
    assert_eq!(queue.number("SELECT sum(sent) FROM stats").await, 300);
    queue.assert_books().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn database_sessions_killed_at_random_lose_no_mail_and_send_none_twice() {
    let queue = MailQueue::of(1_500).await;
    let mail = FakeMail::new(FakeBehaviour { delay: Duration::from_micros(500), ..FakeBehaviour::default() });
    let workers = [Worker::start(Arc::new(queue.store()), &mail), Worker::start(Arc::new(queue.store()), &mail)];
    for _ in 0..25 {
        tokio::time::sleep(Duration::from_millis(20)).await;
        let victims = "SELECT count(pg_terminate_backend(pid)) FROM (SELECT pid FROM pg_stat_activity \
            WHERE datname = current_database() AND pid <> pg_backend_pid() ORDER BY random() LIMIT 3) AS v";
        queue.number(victims).await;
    }
    until(&queue, "SELECT count(*) FROM outbox", 0).await;
    for worker in workers {
        worker.stop().await;
    }
    assert_each_once(&mail.accepted(), 1_500);
    assert_eq!(queue.messages('s').await, 1_500);
    queue.assert_books().await;
}
