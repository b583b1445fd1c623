//! A stale epoch changes nothing, and what ended stays as it ended.

use super::{Counter, begin, beginning, begun, claim, expire_leases, failed, in_doubt, record, retry, sent};
use muster_domain::model::delivery::{Attempt, RetryPolicy};
use muster_domain::ports::delivery::{DeliveryStore, Reaper};
use muster_testkit::mail_queue::MailQueue;

/// Everything that names an epoch, under the epoch of `stale`.
async fn replay(queue: &MailQueue, stale: &[super::Letter]) {
    let store = queue.store();
    let attempts: Vec<Attempt> = stale.iter().map(|letter| letter.claimed.attempt).collect();
    let batch: Vec<_> = stale.iter().map(beginning).collect();
    let mut counter = Counter::default();
    let report = store.begin(queue.key, &batch, &mut counter).await.unwrap();
    assert_eq!((report.begun.len(), counter.asked.len()), (0, 0), "nothing begins");
    for outcome in [sent(), failed(true), failed(false), retry(), in_doubt()] {
        record(&store, queue.key, &attempts, &outcome).await;
    }
    store.give_back(queue.key, &attempts).await.unwrap();
    assert_eq!(store.renew(&attempts).await.renewed, []);
}

#[tokio::test]
async fn an_old_claim_changes_nothing_of_a_newer_one() {
    let queue = MailQueue::of(4).await;
    let store = queue.store();
    let stale = claim(&store, queue.key, 4).await;
    expire_leases(&queue).await;
    assert_eq!(store.reap(&RetryPolicy::default()).await.unwrap().returned, 4);

    let before = queue.snapshot().await;
    let attempts: Vec<_> = stale.iter().map(|letter| letter.claimed.attempt).collect();
    for outcome in [failed(true), failed(false), retry(), in_doubt()] {
        record(&store, queue.key, &attempts, &outcome).await;
    }
    assert_eq!(store.renew(&attempts).await.renewed, []);
    assert_eq!(queue.snapshot().await, before, "pending again");

    let newer = claim(&store, queue.key, 2).await;
    let before = queue.snapshot().await;
    let overtaken: Vec<_> = stale
        .into_iter()
        .filter(|old| newer.iter().any(|new| new.claimed.attempt.key == old.claimed.attempt.key))
        .collect();
    assert_eq!(overtaken.len(), 2);
    replay(&queue, &overtaken).await;
    assert_eq!(queue.snapshot().await, before, "claimed by another");

    assert_eq!(begin(&store, queue.key, &newer).await.begun.len(), 2);
    let before = queue.snapshot().await;
    replay(&queue, &overtaken).await;
    assert_eq!(queue.snapshot().await, before, "begun by another");

    let attempts: Vec<_> = newer.iter().map(|letter| letter.claimed.attempt).collect();
    record(&store, queue.key, &attempts[..1], &in_doubt()).await;
    record(&store, queue.key, &attempts[1..], &sent()).await;
    let before = queue.snapshot().await;
    replay(&queue, &overtaken).await;
    assert_eq!(queue.snapshot().await, before, "ended by another, in doubt or not");
    queue.assert_books().await;
}

/// A process that stood still for longer than a lease has its old claims in hand when it claims again, and may begin both at once.
#[tokio::test]
async fn of_two_claims_of_a_delivery_in_one_begin_only_the_newer_begins() {
    for newer_first in [false, true] {
        let queue = MailQueue::of(2).await;
        let store = queue.store();
        let mut batch = claim(&store, queue.key, 2).await;
        expire_leases(&queue).await;
        store.reap(&RetryPolicy::default()).await.unwrap();
        let newer = claim(&store, queue.key, 2).await;
        let mut expected: Vec<Attempt> = newer.iter().map(|letter| letter.claimed.attempt).collect();
        batch.extend(newer);
        if newer_first {
            batch.reverse();
        }
        let mut counter = Counter::default();
        let beginnings: Vec<_> = batch.iter().map(beginning).collect();
        let mut report = store.begin(queue.key, &beginnings, &mut counter).await.unwrap();
        for attempts in [&mut report.begun, &mut counter.asked, &mut expected] {
            attempts.sort_by_key(|attempt| attempt.key);
        }
        assert_eq!((&report.begun, &counter.asked), (&expected, &expected));
        assert_eq!(queue.text("SELECT string_agg(attempts::text, ',') FROM outbox").await, "1,1");
    }
}

#[tokio::test]
async fn recording_the_same_outcome_again_changes_nothing() {
    for outcome in [sent(), failed(true), retry(), in_doubt()] {
        let queue = MailQueue::of(2).await;
        let store = queue.store();
        let attempts = begun(&store, queue.key, 2).await;
        record(&store, queue.key, &attempts, &outcome).await;
        let once = queue.snapshot().await;
        record(&store, queue.key, &attempts, &outcome).await;
        if !matches!(outcome, muster_domain::model::delivery::SendOutcome::Retry { .. }) {
            store.give_back(queue.key, &[]).await.unwrap();
        }
        assert_eq!(queue.snapshot().await, once, "{outcome:?}");
        queue.assert_books().await;
    }
}

#[tokio::test]
async fn what_was_sent_or_failed_stays_so() {
    let queue = MailQueue::of(2).await;
    let store = queue.store();
    let attempts = begun(&store, queue.key, 2).await;
    record(&store, queue.key, &attempts[..1], &sent()).await;
    record(&store, queue.key, &attempts[1..], &failed(false)).await;
    let before = queue.snapshot().await;
    for outcome in [sent(), failed(true), retry(), in_doubt()] {
        record(&store, queue.key, &attempts, &outcome).await;
    }
    store.give_back(queue.key, &attempts).await.unwrap();
    store.reap(&RetryPolicy::default()).await.unwrap();
    assert_eq!(queue.snapshot().await, before);
}
