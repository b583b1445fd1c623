//! Leases, their end, and what is learned after it.

use super::{begin, begun, claim, expire_leases, failed, in_doubt, record, retry, sent};
use muster_domain::model::delivery::{Attempt, LEASE, LEASE_AT_BEGIN, RetryPolicy};
use muster_domain::model::schedule::{OnInDoubt, Settings};
use muster_domain::ports::delivery::{DeliveryStore, Reaper};
use muster_testkit::mail_queue::{MailQueue, QueuePlan};
use std::collections::HashSet;
use std::time::{Duration, Instant};

#[tokio::test]
async fn expired_claims_are_pending_again_and_expired_sends_are_in_doubt() {
    let queue = MailQueue::of(4).await;
    let store = queue.store();
    begun(&store, queue.key, 2).await;
    claim(&store, queue.key, 1).await;
    let before = queue.snapshot().await;
    let report = store.reap(&RetryPolicy::default()).await.unwrap();
    assert_eq!((report.returned, report.doubts.len()), (0, 0), "leases run");
    assert_eq!(queue.snapshot().await, before);
    expire_leases(&queue).await;
    let report = store.reap(&RetryPolicy::default()).await.unwrap();
    assert_eq!((report.returned, report.doubts.len(), report.closed.as_slice()), (1, 2, [queue.key].as_slice()));
    assert_eq!((queue.queued('p').await, queue.messages('d').await), (2, 2));
    queue.assert_books().await;
}

#[tokio::test]
async fn a_campaign_that_cannot_be_put_right_keeps_no_other_from_it() {
    let queue = MailQueue::of(2).await;
    let store = queue.store();
    let others = queue.add(QueuePlan { contacts: 2, ..QueuePlan::default() }).await;
    begun(&store, queue.key, 2).await;
    begun(&store, others, 2).await;
    expire_leases(&queue).await;
    let refuse = "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE 'broken'; END$$";
    queue.run(refuse).await;
    let on = format!("BEFORE INSERT ON messages FOR EACH ROW WHEN (NEW.campaign_no = {})", queue.key.campaign.0);
    queue.run(&format!("CREATE TRIGGER refuse {on} EXECUTE FUNCTION refuse()")).await;
    let report = store.reap(&RetryPolicy::default()).await.unwrap();
    assert_eq!((report.doubts.len(), report.recorded.in_doubt, report.closed), (2, 2, vec![others]));
    queue.run("DROP TRIGGER refuse ON messages").await;
    let report = store.reap(&RetryPolicy::default()).await.unwrap();
    assert_eq!((report.doubts.len(), report.closed), (2, vec![queue.key]));
    queue.assert_books().await;
}

#[tokio::test]
async fn expired_sends_are_queued_once_more_where_that_is_wanted() {
    let settings = Settings { on_in_doubt: OnInDoubt::Resend, ..Settings::default() };
    let queue = MailQueue::with(QueuePlan { contacts: 1, settings, ..QueuePlan::default() }).await;
    let store = queue.store();
    let attempts = begun(&store, queue.key, 1).await;
    expire_leases(&queue).await;
    let report = store.reap(&RetryPolicy::default()).await.unwrap();
    assert_eq!((report.doubts.len(), report.recorded.in_doubt, report.recorded.again), (1, 0, 1));
    assert_eq!((queue.queued('p').await, queue.messages('d').await), (1, 0));
    // It had arrived, says the worker that was given up: no second copy then.
    assert_eq!(record(&store, queue.key, &attempts, &sent()).await.sent, 1);
    assert_eq!((queue.queued('p').await, queue.messages('s').await), (0, 1));
    queue.assert_books().await;
}

#[tokio::test]
async fn a_renewed_lease_does_not_run_out() {
    let queue = MailQueue::of(3).await;
    let store = queue.store();
    let sending = begun(&store, queue.key, 1).await;
    let claimed: Vec<_> = claim(&store, queue.key, 1).await.iter().map(|letter| letter.claimed.attempt).collect();
    claim(&store, queue.key, 1).await;
    expire_leases(&queue).await;
    let held = [sending, claimed].concat();
    // Somebody is at the second of them.
    let contact = held[1].key.contact.0;
    let other = queue.database.hold(&format!("SELECT FROM outbox WHERE contact_no = {contact} FOR UPDATE")).await;
    assert_eq!(store.renew(&held).await.renewed, held[..1]);
    other.release().await;
    let report = store.renew(&held).await;
    assert!(report.trouble.is_none());
    assert_eq!(HashSet::<Attempt>::from_iter(report.renewed), HashSet::from_iter(held));
    let report = store.reap(&RetryPolicy::default()).await.unwrap();
    assert_eq!((report.returned, report.doubts.len()), (1, 0));
    let left = queue
        .number("SELECT min(extract(epoch FROM lease_until - clock_timestamp())) FROM outbox WHERE state <> 'p'")
        .await;
    assert!((25..=30).contains(&left), "{left}");
}

#[tokio::test]
async fn a_begin_leaves_a_lease_that_lasts_and_prolongs_one_that_does_not() {
    let left = "SELECT round(extract(epoch FROM lease_until - clock_timestamp())) FROM outbox WHERE state = 's'";
    let enough = i64::try_from(LEASE_AT_BEGIN.as_secs()).unwrap();
    let all = i64::try_from(LEASE.as_secs()).unwrap();
    for (had, has) in [(enough + 3, enough + 3), (enough - 1, all), (-1, all)] {
        let queue = MailQueue::of(1).await;
        let store = queue.store();
        let letters = claim(&store, queue.key, 1).await;
        queue.run(&format!("UPDATE outbox SET lease_until = clock_timestamp() + interval '{had} seconds'")).await;
        assert_eq!(begin(&store, queue.key, &letters).await.begun.len(), 1);
        let left = queue.number(left).await;
        assert!((has - 1..=has).contains(&left), "{had}: {left}");
    }
}

#[tokio::test]
async fn a_begin_writes_no_index() {
    let queue = MailQueue::of(9).await;
    let store = queue.store();
    let letters = claim(&store, queue.key, 9).await;
    let in_place = "SELECT n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'outbox'";
    let told = || async {
        // What a session did is told when it ends, or is idle for a second.
        queue.run("SELECT pg_stat_force_next_flush()").await;
        queue.number(in_place).await
    };
    assert_eq!(told().await, 0);
    assert_eq!(begin(&store, queue.key, &letters).await.begun.len(), 9);
    drop(store);
    let begun = Instant::now();
    while told().await < 9 {
        assert!(begun.elapsed() < Duration::from_secs(20), "{} of 9", told().await);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_late_answer_settles_its_own_doubt() {
    let queue = MailQueue::with(QueuePlan { contacts: 3, steps: 2, ..QueuePlan::default() }).await;
    let store = queue.store();
    let attempts = begun(&store, queue.key, 3).await;
    expire_leases(&queue).await;
    store.reap(&RetryPolicy::default()).await.unwrap();
    assert_eq!(queue.messages('d').await, 3);
    assert_eq!(record(&store, queue.key, &attempts[..1], &sent()).await.sent, 1);
    assert_eq!(record(&store, queue.key, &attempts[1..2], &failed(false)).await.failed, 1);
    record(&store, queue.key, &attempts[2..], &in_doubt()).await;
    assert_eq!((queue.messages('s').await, queue.messages('f').await, queue.messages('d').await), (1, 1, 1));
    assert_eq!(queue.number("SELECT sum(sent) FROM stats").await, 1);
    queue.assert_books().await;
}

#[tokio::test]
async fn a_doubt_that_turns_out_to_be_none_is_queued_again() {
    let queue = MailQueue::with(QueuePlan { contacts: 3, steps: 2, ..QueuePlan::default() }).await;
    let store = queue.store();
    let attempts = begun(&store, queue.key, 3).await;
    expire_leases(&queue).await;
    store.reap(&RetryPolicy::default()).await.unwrap();
    // Two were never handed over: one is known from its worker, one from a journal. The third has left.
    queue.run(&format!("UPDATE enrollments SET status = 'x', exit_reason = 'm', ended_at = now(), due_at = NULL WHERE contact_no = {}", attempts[2].key.contact.0)).await;
    queue.run("UPDATE campaign_counters SET open = open - 1, exited = exited + 1").await;
    record(&store, queue.key, &attempts[..1], &retry()).await;
    store.give_back(queue.key, &attempts[1..]).await.unwrap();
    assert_eq!((queue.queued('p').await, queue.messages('d').await, queue.messages('f').await), (2, 0, 1));
    assert!(queue.text("SELECT detail FROM messages").await.starts_with("not handed over"));
    queue.assert_books().await;
    let enrollments = queue.text("SELECT string_agg(e::text, ';' ORDER BY contact_no) FROM enrollments e").await;
    let attempts = begun(&store, queue.key, 2).await;
    assert_eq!(record(&store, queue.key, &attempts, &sent()).await.sent, 2);
    assert_eq!(
        queue.text("SELECT string_agg(e::text, ';' ORDER BY contact_no) FROM enrollments e").await,
        enrollments,
        "they went on long ago"
    );
    queue.assert_books().await;
}

#[tokio::test]
async fn reaping_and_recording_at_once_end_each_delivery_once() {
    for round in 0..30 {
        let queue = MailQueue::of(8).await;
        let (store, reaper) = (queue.store(), queue.store());
        let attempts = begun(&store, queue.key, 8).await;
        expire_leases(&queue).await;
        let policy = RetryPolicy::default();
        let outcome = if round % 2 == 0 { sent() } else { failed(false) };
        let (recorded, reaped) = tokio::join!(record(&store, queue.key, &attempts, &outcome), reaper.reap(&policy));
        reaped.unwrap();
        // The recorder tries again after a conflict; once more is once more.
        record(&store, queue.key, &attempts, &outcome).await;
        assert!(recorded.sent + recorded.failed <= 8);
        let ended = if round % 2 == 0 { 's' } else { 'f' };
        assert_eq!(queue.messages(ended).await, 8);
        queue.assert_books().await;
    }
}
