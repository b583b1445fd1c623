//! Everything once, nobody's turn forgotten.

use crate::{PATIENCE, Worker, assert_each_once, deliveries, quick_mail, until, until_sent};
use muster_testkit::fake_mail::{FakeBehaviour, FakeMail, MailEvent};
use muster_testkit::mail_queue::{MailQueue, QueuePlan};
use muster_worker::deliver::{DeliverLimits, DeliverPass};
use std::sync::Arc;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn two_workers_deliver_everything_once() {
    let queue = MailQueue::of(2_000).await;
    let mail = quick_mail();
    let workers = [Worker::start(Arc::new(queue.store()), &mail), Worker::start(Arc::new(queue.store()), &mail)];
    until_sent(&queue, 2_000).await;
    for worker in workers {
        worker.stop().await;
    }
    assert_each_once(&mail.accepted(), 2_000);
    assert_eq!(queue.number("SELECT count(*) FROM outbox").await, 0);
    assert_eq!(queue.number("SELECT count(*) FROM enrollments WHERE status = 'c'").await, 2_000);
    queue.assert_books().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_campaign_does_not_wait_behind_another_tenants_backlog() {
    let queue = MailQueue::of(3_000).await;
    let mut small = Vec::new();
    for _ in 0..5 {
        small.push(queue.add(QueuePlan { contacts: 10, ..QueuePlan::default() }).await);
    }
    let mail = FakeMail::new(FakeBehaviour { delay: Duration::from_millis(2), ..FakeBehaviour::default() });
    let worker = Worker::start(Arc::new(queue.store()), &mail);
    for key in small {
        until(&queue, &format!("SELECT count(*) FROM messages WHERE campaign_no = {}", key.campaign.0), 10).await;
    }
    let backlog = queue.number("SELECT count(*) FROM outbox").await;
    assert!(backlog > 1_000, "the small ones went in turn with the backlog, of which {backlog} is left");
    worker.stop().await;
    queue.assert_books().await;
}

/// The mail server says nothing more to whatever is for one tenant's recipients.
#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_whose_mail_is_stalled_holds_no_more_sessions_than_its_share() {
    let queue = MailQueue::of(400).await;
    let stalled = queue.key.tenant.0;
    queue.run(&format!("UPDATE contacts SET email = 'c' || contact_no || '@stalled.test', email_key = 'c' || contact_no || '@stalled.test' WHERE tenant_no = {stalled}")).await;
    let others = [
        queue.add(QueuePlan { contacts: 300, ..QueuePlan::default() }).await,
        queue.add(QueuePlan { contacts: 300, ..QueuePlan::default() }).await,
    ];
    let behaviour = FakeBehaviour {
        sessions: 6,
        delay: Duration::from_millis(1),
        stalls: Box::new(|envelope| envelope.to.ends_with("@stalled.test")),
        ..FakeBehaviour::default()
    };
    let mail = FakeMail::new(behaviour);
    let _worker = Worker::start_with(Arc::new(queue.store()), &mail, DeliverLimits::for_sessions(6));
    for key in others {
        until(&queue, &format!("SELECT count(*) FROM messages WHERE tenant_no = {}", key.tenant.0), 300).await;
    }
    let begun = mail.recipients(MailEvent::Begin).iter().filter(|to| to.ends_with("@stalled.test")).count();
    // A third each while all three had mail, and what the others no longer wanted afterwards; some may come to a standstill
    // between the last mail of the others and this look.
    assert!((1..=6).contains(&begun), "{begun} sessions stand still");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_sessions_are_used_than_the_transport_has() {
    let queue = MailQueue::of(300).await;
    let behaviour = FakeBehaviour { sessions: 5, delay: Duration::from_millis(3), ..FakeBehaviour::default() };
    let mail = FakeMail::new(behaviour);
    let worker = Worker::start_with(Arc::new(queue.store()), &mail, DeliverLimits::for_sessions(5));
    until_sent(&queue, 300).await;
    worker.stop().await;
    assert!((3..=5).contains(&mail.most_sessions()), "{}", mail.most_sessions());
    assert_each_once(&mail.accepted(), 300);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tick_gives_turns_and_says_which_campaigns_may_be_over() {
    let queue = MailQueue::of(4).await;
    let mail = quick_mail();
    let mut pass = DeliverPass::new(deliveries(Arc::new(queue.store()), &mail), DeliverLimits::for_sessions(4));
    assert!(pass.tick().await.unwrap().turns > 0);
    until_sent(&queue, 4).await;
    let mut finished = Vec::new();
    let begun = std::time::Instant::now();
    while finished.is_empty() && begun.elapsed() < PATIENCE {
        finished = pass.tick().await.unwrap().perhaps_finished;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(finished, [queue.key]);
    let tally = pass.tally();
    assert_eq!((tally.begun, tally.recorded.sent), (4, 4));
    pass.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_told_to_end_leaves_nothing_under_way() {
    let queue = MailQueue::of(1_000).await;
    let mail = FakeMail::new(FakeBehaviour { delay: Duration::from_millis(10), ..FakeBehaviour::default() });
    let worker = Worker::start(Arc::new(queue.store()), &mail);
    while mail.accepted().len() < 50 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    worker.stop().await;
    let sent = queue.messages('s').await;
    assert_eq!((queue.queued('c').await, queue.queued('s').await), (0, 0));
    assert_eq!(queue.queued('p').await, 1_000 - sent);
    assert_each_once(&mail.accepted(), usize::try_from(sent).unwrap());
    queue.assert_books().await;
}
