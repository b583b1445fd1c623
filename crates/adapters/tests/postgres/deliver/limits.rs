//! Sending limits.

use super::{begin, begun, claim, record, retry};
use muster_domain::model::schedule::Settings;
use muster_domain::ports::delivery::DeliveryStore;
use muster_testkit::mail_queue::{MailQueue, QueuePlan};

async fn limited(daily_limit: Option<i32>, hourly_limit: Option<i32>) -> MailQueue {
    let settings = Settings { daily_limit, hourly_limit, ..Settings::default() };
    MailQueue::with(QueuePlan { contacts: 60, settings, ..QueuePlan::default() }).await
}

#[tokio::test]
async fn no_more_begin_than_the_limit_and_the_campaign_rests_until_there_is_more() {
    let queue = limited(Some(20), Some(7)).await;
    let store = queue.store();
    assert_eq!(begun(&store, queue.key, 5).await.len(), 5);
    assert_eq!(begun(&store, queue.key, 5).await.len(), 2);
    let report = store.claim(queue.key, 5).await.unwrap();
    assert_eq!(report.letters.len(), 0);
    let next_hour = "SELECT extract(epoch FROM date_trunc('hour', now()) + interval '1 hour')";
    assert_eq!(report.not_before.unwrap().timestamp(), queue.number(next_hour).await);
    assert_eq!(store.due_campaigns().await.unwrap(), []);
    // An hour later.
    queue.run("UPDATE sending_quota SET period = period - interval '1 hour' WHERE kind = 'h'").await;
    queue.run("UPDATE campaigns SET held_until = now()").await;
    assert_eq!(begun(&store, queue.key, 10).await.len(), 7);
    queue.run("UPDATE sending_quota SET begun = 0 WHERE kind = 'h'").await;
    assert_eq!(begun(&store, queue.key, 10).await.len(), 6, "the day's limit is next");
    let report = store.claim(queue.key, 5).await.unwrap();
    let tomorrow = "SELECT extract(epoch FROM date_trunc('day', now() AT TIME ZONE 'UTC') + interval '1 day')";
    assert_eq!(report.not_before.unwrap().timestamp(), queue.number(tomorrow).await);
}

#[tokio::test]
async fn two_workers_together_begin_exactly_the_limit() {
    let queue = limited(Some(25), None).await;
    let stores = [queue.store(), queue.store()];
    // Both claim while there seems to be room for all of it.
    let (one, other) = (claim(&stores[0], queue.key, 20).await, claim(&stores[1], queue.key, 20).await);
    assert_eq!((one.len(), other.len()), (20, 20));
    let (one, other) = tokio::join!(begin(&stores[0], queue.key, &one), begin(&stores[1], queue.key, &other));
    assert_eq!(one.begun.len() + other.begun.len(), 25);
    assert_eq!(one.returned.len() + other.returned.len(), 15);
    assert_eq!(queue.number("SELECT sum(begun) FROM sending_quota").await, 25);
    assert_eq!((queue.queued('s').await, queue.queued('p').await), (25, 35));
}

#[tokio::test]
async fn a_retry_is_not_counted_again() {
    let queue = limited(None, Some(2)).await;
    let store = queue.store();
    let attempts = begun(&store, queue.key, 10).await;
    assert_eq!(attempts.len(), 2);
    record(&store, queue.key, &attempts, &retry()).await;
    queue.run("UPDATE outbox SET retry_at = now() WHERE retry_at IS NOT NULL").await;
    assert_eq!(begun(&store, queue.key, 10).await.len(), 2, "the same two");
    assert_eq!(queue.number("SELECT begun FROM sending_quota").await, 2);
}

#[tokio::test]
async fn what_is_not_reserved_is_not_counted() {
    let queue = limited(Some(10), None).await;
    let store = queue.store();
    let letters = claim(&store, queue.key, 4).await;
    let batch: Vec<_> = letters.iter().map(super::beginning).collect();
    let refuse = batch[..3].iter().map(|one| one.attempt).collect();
    let mut counter = super::Counter { refuse, asked: Vec::new() };
    store.begin(queue.key, &batch, &mut counter).await.unwrap();
    assert_eq!(queue.number("SELECT begun FROM sending_quota").await, 1);
}
