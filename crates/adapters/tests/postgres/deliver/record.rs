//! Recording.

use super::{begin, begun, claim, failed, finished, in_doubt, record, retry, sent};
use muster_domain::model::bounce::BounceClass;
use muster_domain::model::delivery::{RetryPolicy, SendOutcome};
use muster_domain::model::schedule::{OnInDoubt, Settings};
use muster_domain::ports::delivery::DeliveryStore;
use muster_testkit::mail_queue::{MailQueue, QueuePlan};

async fn two_steps(contacts: i64) -> MailQueue {
    MailQueue::with(QueuePlan { contacts, steps: 2, ..QueuePlan::default() }).await
}

#[tokio::test]
async fn what_was_sent_moves_the_enrollment_to_the_next_step_from_now_on() {
    let queue = two_steps(2).await;
    let store = queue.store();
    let attempts = begun(&store, queue.key, 2).await;
    let report = record(&store, queue.key, &attempts, &sent()).await;
    assert_eq!((report.sent, report.closed), (2, 0));
    let moved = "SELECT count(*) FROM enrollments WHERE status = 'r' AND step = 2 AND due_at = last_email_sent_at \
                 AND due_at > now() - interval '10 seconds' AND ended_at IS NULL";
    assert_eq!(queue.number(moved).await, 2);
    assert_eq!(
        queue.text("SELECT min(detail) FROM messages WHERE state = 's' AND attempts = 1 AND epoch = 1").await,
        "250 ok"
    );
    assert_eq!(queue.number("SELECT sum(sent) FROM stats WHERE step = 1").await, 2);
    queue.assert_books().await;
}

#[tokio::test]
async fn the_last_step_completes_the_enrollment() {
    let queue = MailQueue::of(3).await;
    let store = queue.store();
    let attempts = begun(&store, queue.key, 3).await;
    assert_eq!(record(&store, queue.key, &attempts, &sent()).await.closed, 3);
    assert_eq!(queue.number("SELECT count(*) FROM enrollments WHERE status = 'c' AND ended_at IS NOT NULL").await, 3);
    assert_eq!(queue.text("SELECT min(path::text) FROM enrollment_history").await, "{1,7}");
    assert_eq!(queue.number("SELECT open FROM campaign_counters").await, 0);
    queue.assert_books().await;
}

#[tokio::test]
async fn a_refused_recipient_leaves_the_campaign_and_a_failed_mail_goes_on() {
    let queue = two_steps(2).await;
    let store = queue.store();
    let attempts = begun(&store, queue.key, 2).await;
    record(&store, queue.key, &attempts[..1], &failed(true)).await;
    record(&store, queue.key, &attempts[1..], &failed(false)).await;
    assert_eq!(queue.messages('f').await, 2);
    assert_eq!(queue.number("SELECT count(*) FROM enrollments WHERE status = 'x' AND exit_reason = 'b'").await, 1);
    assert_eq!(
        queue.number("SELECT count(*) FROM enrollments WHERE status = 'r' AND last_email_sent_at IS NULL").await,
        1
    );
    assert_eq!(queue.number("SELECT sum(bounced) FROM stats").await, 1);
    queue.assert_books().await;
}

/// Somebody with a lower number has the same address next door: all of them are locked in rising order, or not yet.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_has_a_refused_address_is_locked_in_rising_order() {
    for soft in [false, true] {
        let queue = two_steps(1).await;
        let store = queue.store();
        let attempts = begun(&store, queue.key, 1).await;
        queue
            .run(
                "INSERT INTO workspaces (tenant_no, id, name, created_at) SELECT tenant_no, gen_random_uuid(), 'next door', now() FROM tenants;
                 INSERT INTO contacts (tenant_no, contact_no, workspace_no, id, email, email_key, created_at, updated_at)
                 OVERRIDING SYSTEM VALUE SELECT tenant_no, -1, (SELECT max(workspace_no) FROM workspaces), gen_random_uuid(), email, \
                 email_key, now(), now() FROM contacts",
            )
            .await;
        let mut other = queue.database.hold("SELECT FROM contacts WHERE contact_no = -1 FOR UPDATE").await;
        let bounced = Some(if soft { BounceClass::Soft } else { BounceClass::Hard });
        let refused = SendOutcome::Failed { reason: "550 no".to_owned(), bounced };
        let recording = record(&store, queue.key, &attempts, &refused);
        let meanwhile = async {
            queue.database.until_locks_are_awaited(1).await;
            let first = queue.first_contact;
            other.run(&format!("SELECT FROM contacts WHERE contact_no = {first} FOR UPDATE NOWAIT")).await;
            other.release().await;
        };
        tokio::join!(recording, meanwhile);
        assert_eq!(queue.messages('f').await, 1);
        queue.assert_books().await;
    }
}

#[tokio::test]
async fn a_transient_refusal_waits_and_the_last_one_fails() {
    let queue = MailQueue::of(1).await;
    let store = queue.store();
    let policy = RetryPolicy { max_attempts: 2, ..RetryPolicy::default() };
    let attempts = begun(&store, queue.key, 1).await;
    let report = store.record(queue.key, &finished(&attempts, &retry()), &policy).await.unwrap();
    assert_eq!((report.again, report.failed), (1, 0));
    let waits = "SELECT extract(epoch FROM retry_at - now()) FROM outbox WHERE state = 'p' AND lease_until IS NULL AND attempts = 1";
    assert!((28..=61).contains(&queue.number(waits).await));
    queue.assert_books().await;
    queue.run("UPDATE outbox SET retry_at = now()").await;
    let attempts = begun(&store, queue.key, 1).await;
    let report = store.record(queue.key, &finished(&attempts, &retry()), &policy).await.unwrap();
    assert_eq!((report.again, report.failed, report.closed), (0, 1, 1));
    assert_eq!(queue.number("SELECT attempts FROM messages WHERE state = 'f'").await, 2);
    queue.assert_books().await;
}

#[tokio::test]
async fn what_is_in_doubt_is_held_and_the_enrollment_goes_on() {
    let queue = two_steps(1).await;
    let store = queue.store();
    let attempts = begun(&store, queue.key, 1).await;
    assert_eq!(record(&store, queue.key, &attempts, &in_doubt()).await.in_doubt, 1);
    assert_eq!((queue.messages('d').await, queue.queued('p').await), (1, 0));
    assert_eq!(
        queue.number("SELECT count(*) FROM enrollments WHERE status = 'r' AND last_email_sent_at IS NOT NULL").await,
        1
    );
    queue.assert_books().await;
}

#[tokio::test]
async fn what_is_in_doubt_is_sent_once_more_if_the_campaign_wants_it() {
    let settings = Settings { on_in_doubt: OnInDoubt::Resend, ..Settings::default() };
    let queue = MailQueue::with(QueuePlan { contacts: 1, settings, ..QueuePlan::default() }).await;
    let store = queue.store();
    let first = claim(&store, queue.key, 1).await;
    let attempts = begin(&store, queue.key, &first).await.begun;
    assert_eq!(record(&store, queue.key, &attempts, &in_doubt()).await.again, 1);
    let waits =
        queue.number("SELECT extract(epoch FROM retry_at - now()) FROM outbox WHERE state = 'p' AND resends = 1").await;
    assert!((590..=600).contains(&waits), "{waits}");
    queue.run("UPDATE outbox SET retry_at = now()").await;
    let second = claim(&store, queue.key, 1).await;
    assert_eq!(second[0].claimed.attempt.key, first[0].claimed.attempt.key);
    assert_eq!(second[0].claimed.queued_at, first[0].claimed.queued_at);
    let attempts = begin(&store, queue.key, &second).await.begun;
    assert_eq!(record(&store, queue.key, &attempts, &in_doubt()).await.in_doubt, 1, "once more, not for ever");
    assert_eq!(queue.messages('d').await, 1);
    queue.assert_books().await;
}

#[tokio::test]
async fn a_message_that_cannot_be_built_fails_without_having_begun() {
    let queue = MailQueue::of(2).await;
    let store = queue.store();
    let letters = claim(&store, queue.key, 2).await;
    let attempt = letters[0].claimed.attempt;
    assert_eq!(record(&store, queue.key, &[attempt], &sent()).await.sent, 0, "only a begun one can be sent");
    assert_eq!(record(&store, queue.key, &[attempt], &failed(false)).await.failed, 1);
    assert_eq!(queue.number("SELECT attempts FROM messages WHERE state = 'f'").await, 0);
    assert_eq!(queue.queued('c').await, 1);
    queue.assert_books().await;
}

/// What leaving a campaign does to the enrollment while its mail is under way.
async fn leave(queue: &MailQueue) {
    queue.run("UPDATE enrollments SET status = 'x', exit_reason = 'u', ended_at = now()").await;
    queue.run("UPDATE campaign_counters SET open = 0, exited = audience").await;
}

#[tokio::test]
async fn a_contact_that_left_while_its_mail_was_under_way_stays_out_and_the_mail_is_booked() {
    let queue = two_steps(3).await;
    let store = queue.store();
    let attempts = begun(&store, queue.key, 3).await;
    leave(&queue).await;
    record(&store, queue.key, &attempts[..1], &sent()).await;
    record(&store, queue.key, &attempts[1..2], &in_doubt()).await;
    let report = record(&store, queue.key, &attempts[2..], &retry()).await;
    assert_eq!((report.again, report.cancelled, report.closed), (0, 1, 0), "no second attempt for who has left");
    assert_eq!(queue.number("SELECT count(*) FROM enrollments WHERE status = 'x' AND exit_reason = 'u'").await, 3);
    assert_eq!((queue.messages('s').await, queue.messages('d').await, queue.messages('x').await), (1, 1, 1));
    queue.assert_books().await;
}

#[tokio::test]
async fn one_batch_may_hold_every_kind_of_outcome() {
    let queue = two_steps(6).await;
    let store = queue.store();
    let attempts = begun(&store, queue.key, 6).await;
    let outcomes = [sent(), failed(true), failed(false), retry(), in_doubt(), sent()];
    let batch: Vec<_> =
        attempts.iter().zip(&outcomes).flat_map(|(attempt, outcome)| finished(&[*attempt], outcome)).collect();
    let report = store.record(queue.key, &batch, &RetryPolicy::default()).await.unwrap();
    assert_eq!((report.sent, report.failed, report.again, report.in_doubt, report.closed), (2, 2, 1, 1, 1));
    queue.assert_books().await;
}
