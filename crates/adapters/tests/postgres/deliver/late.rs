//! Answers that come after their send was given up as in doubt, and doubts that later attempts do not dispel.

use super::{begun, expire_leases, failed, in_doubt, record, retry, sent};
use muster_adapters::postgres::PgStore;
use muster_domain::model::decision::{Evidence, Retriable};
use muster_domain::model::delivery::{Attempt, RetryPolicy};
use muster_domain::model::enrollment::{ExitReason, Passage};
use muster_domain::model::ids::{CampaignId, ContactId, UserId};
use muster_domain::model::schedule::{OnInDoubt, Settings};
use muster_domain::ports::delivery::{DeliveryStore, Reaper};
use muster_domain::ports::store::{Store, StoreError, StoreResult, Tx, in_tx};
use muster_domain::usecases::complete_campaign::{CompleteCampaign, complete_campaign};
use muster_domain::usecases::erase_contact::{EraseContact, EraseContactError, erase_contact};
use muster_domain::usecases::finish_campaign::{Finish, finish_campaign};
use muster_domain::usecases::pause_campaign::TransitionError;
use muster_domain::usecases::unsubscribe::unsubscribe;
use muster_testkit::mail_queue::{MailQueue, QueuePlan};
use tokio::task::JoinHandle;

/// A queue of one whose first attempt was given up as in doubt.
async fn in_doubt_by_lease(steps: i16) -> (MailQueue, PgStore, Vec<Attempt>) {
    let queue = MailQueue::with(QueuePlan { contacts: 1, steps, ..QueuePlan::default() }).await;
    let store = queue.store();
    let attempts = begun(&store, queue.key, 1).await;
    expire_leases(&queue).await;
    assert_eq!(store.reap(&RetryPolicy::default()).await.unwrap().doubts.len(), 1);
    (queue, store, attempts)
}

async fn campaign_id(queue: &MailQueue) -> CampaignId {
    CampaignId(queue.text("SELECT id FROM campaigns").await.parse().unwrap())
}

async fn complete(tx: &mut Tx, id: CampaignId) -> StoreResult<()> {
    match complete_campaign(tx, CompleteCampaign { id }).await {
        Ok(_) => Ok(()),
        Err(TransitionError::Store(error)) => Err(error),
        Err(error) => Err(StoreError::Internal(error.into())),
    }
}

/// Waits until `task` waits for a lock. Fails when it ends without.
async fn until_blocked<T>(queue: &MailQueue, task: &JoinHandle<T>) {
    let waiting =
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    while queue.number(waiting).await == 0 {
        assert!(!task.is_finished(), "it did not wait for the one before it");
        tokio::task::yield_now().await;
    }
}

fn give_back(store: &PgStore, queue: &MailQueue, attempts: &[Attempt]) -> JoinHandle<()> {
    let (store, key, attempts) = (store.clone(), queue.key, attempts.to_vec());
    tokio::spawn(async move {
        store.give_back(key, &attempts).await.unwrap();
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_answer_is_heard_though_its_mail_is_begun_again_by_hand_at_this_moment() {
    let (queue, store, attempts) = in_doubt_by_lease(1).await;
    let mut by_hand = Store::begin(&store, queue.workspace).await.unwrap();
    let campaign = by_hand.campaigns().find_for_update(campaign_id(&queue).await).await.unwrap().unwrap();
    let now = by_hand.now().await.unwrap();
    let evidence = Evidence::Hand(UserId(uuid::Uuid::nil()));
    let queued = by_hand.deliveries().retry(&campaign, &[Retriable::InDoubt], evidence, now).await.unwrap();
    assert_eq!(queued, 1);
    let (recorder, key) = (store.clone(), queue.key);
    let recording = tokio::spawn(async move { record(&recorder, key, &attempts, &sent()).await });
    until_blocked(&queue, &recording).await;
    by_hand.commit().await.unwrap();
    assert_eq!(recording.await.unwrap().sent, 1);
    assert_eq!((queue.queued('p').await, queue.messages('s').await), (0, 1), "no second copy");
    queue.assert_books().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_answer_queues_nothing_for_who_is_leaving_at_this_moment() {
    let (queue, store, attempts) = in_doubt_by_lease(2).await;
    let id = campaign_id(&queue).await;
    let contact = attempts[0].key.contact;
    let late = in_tx(&store, queue.workspace, async |tx| -> StoreResult<JoinHandle<()>> {
        let campaign = tx.campaigns().find(id).await?.unwrap();
        let now = tx.now().await?;
        assert!(tx.analytics().exit(&campaign, contact, ExitReason::Manual, now).await?);
        let late = give_back(&store, &queue, &attempts);
        until_blocked(&queue, &late).await;
        Ok(late)
    })
    .await
    .unwrap();
    late.await.unwrap();
    assert_eq!(
        (queue.queued('p').await, queue.messages('f').await),
        (0, 1),
        "it is known not to have been handed over"
    );
    queue.assert_books().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_answer_queues_nothing_in_a_campaign_that_is_finishing_at_this_moment() {
    let (queue, store, attempts) = in_doubt_by_lease(1).await;
    let no = queue.key.campaign;
    // Books are compared with what was passed; the queue was made without that.
    let queued = Passage::Queued.code();
    queue
        .run(&format!(
            "INSERT INTO enrollment_history (tenant_no, campaign_no, contact_no, at, version, path) \
             SELECT tenant_no, campaign_no, contact_no, now(), 1, '{{1,{queued}}}' FROM enrollments"
        ))
        .await;
    let late = in_tx(&store, queue.workspace, async |tx| -> Result<JoinHandle<()>, TransitionError> {
        let finish = finish_campaign(tx, no).await?;
        assert!(matches!(finish, Finish::Completed(_)), "{finish:?}");
        let late = give_back(&store, &queue, &attempts);
        until_blocked(&queue, &late).await;
        Ok(late)
    })
    .await
    .unwrap();
    late.await.unwrap();
    assert_eq!(
        (queue.queued('p').await, queue.messages('f').await),
        (0, 1),
        "it is known not to have been handed over"
    );
    queue.assert_books().await;
}

/// In doubt, known not to have been handed over, and begun anew; its enrollment is over already.
async fn begun_anew() -> (MailQueue, PgStore, Vec<Attempt>) {
    let (queue, store, attempts) = in_doubt_by_lease(1).await;
    store.give_back(queue.key, &attempts).await.unwrap();
    let attempts = begun(&store, queue.key, 1).await;
    assert_eq!(attempts.len(), 1);
    (queue, store, attempts)
}

#[tokio::test]
async fn nothing_is_tried_again_in_a_campaign_that_is_over() {
    let (queue, store, attempts) = begun_anew().await;
    let id = campaign_id(&queue).await;
    in_tx(&store, queue.workspace, async |tx| complete(tx, id).await).await.unwrap();
    let report = record(&store, queue.key, &attempts, &retry()).await;
    assert_eq!((report.cancelled, report.again), (1, 0));
    assert_eq!((queue.queued('p').await, queue.messages('x').await), (0, 1));
    queue.assert_books().await;

    let (queue, store, attempts) = begun_anew().await;
    let id = campaign_id(&queue).await;
    in_tx(&store, queue.workspace, async |tx| complete(tx, id).await).await.unwrap();
    store.give_back(queue.key, &attempts).await.unwrap();
    assert_eq!((queue.queued('p').await, queue.messages('x').await), (0, 1));
    queue.assert_books().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_tried_again_in_a_campaign_that_is_ending_at_this_moment() {
    let (queue, store, attempts) = begun_anew().await;
    let id = campaign_id(&queue).await;
    let refused = in_tx(&store, queue.workspace, async |tx| -> StoreResult<JoinHandle<()>> {
        complete(tx, id).await?;
        let (store, key) = (store.clone(), queue.key);
        let refused = tokio::spawn(async move {
            record(&store, key, &attempts, &retry()).await;
        });
        until_blocked(&queue, &refused).await;
        Ok(refused)
    })
    .await
    .unwrap();
    refused.await.unwrap();
    assert_eq!((queue.queued('p').await, queue.messages('x').await), (0, 1));
    queue.assert_books().await;
}

/// One mail that waits to be sent once more after a doubt.
async fn to_be_resent() -> (MailQueue, PgStore) {
    let settings = Settings { on_in_doubt: OnInDoubt::Resend, ..Settings::default() };
    let queue = MailQueue::with(QueuePlan { contacts: 1, settings, ..QueuePlan::default() }).await;
    let store = queue.store();
    let attempts = begun(&store, queue.key, 1).await;
    assert_eq!(record(&store, queue.key, &attempts, &in_doubt()).await.again, 1);
    queue.run("UPDATE outbox SET retry_at = now()").await;
    (queue, store)
}

async fn assert_in_doubt(queue: &MailQueue, how: &str) {
    assert_eq!((queue.number("SELECT count(*) FROM outbox").await, queue.messages('d').await), (0, 1), "{how}");
    assert_eq!(queue.number("SELECT sum(in_doubt) FROM step_counters").await, 1, "{how}");
    queue.assert_books().await;
}

#[tokio::test]
async fn what_may_have_been_accepted_stays_in_doubt_whatever_becomes_of_the_resend() {
    let (queue, store) = to_be_resent().await;
    let delivery = queue.delivery(0);
    in_tx(&store, queue.workspace, async |tx| unsubscribe(tx, delivery).await).await.unwrap();
    assert_in_doubt(&queue, "unsubscribed").await;

    let (queue, store) = to_be_resent().await;
    let id = ContactId(queue.text("SELECT id FROM contacts").await.parse().unwrap());
    in_tx(&store, queue.workspace, async |tx| -> Result<(), EraseContactError> {
        erase_contact(tx, EraseContact { id }).await
    })
    .await
    .unwrap();
    assert_in_doubt(&queue, "erased").await;

    let (queue, store) = to_be_resent().await;
    let id = campaign_id(&queue).await;
    in_tx(&store, queue.workspace, async |tx| complete(tx, id).await).await.unwrap();
    assert_in_doubt(&queue, "ended early").await;

    let (queue, store) = to_be_resent().await;
    let attempts = begun(&store, queue.key, 1).await;
    let report = record(&store, queue.key, &attempts, &failed(false)).await;
    assert_eq!((report.in_doubt, report.failed), (1, 0));
    assert_in_doubt(&queue, "refused").await;

    let (queue, store) = to_be_resent().await;
    queue
        .run(
            "INSERT INTO suppressions (tenant_no, entry, reason, source, created_at) \
              SELECT tenant_no, email_key, 'manual', 'test', now() FROM contacts",
        )
        .await;
    assert!(begun(&store, queue.key, 1).await.is_empty());
    assert_in_doubt(&queue, "suppressed").await;
}

#[tokio::test]
async fn a_late_refusal_of_the_resend_leaves_the_first_doubt() {
    let (queue, store) = to_be_resent().await;
    let attempts = begun(&store, queue.key, 1).await;
    expire_leases(&queue).await;
    store.reap(&RetryPolicy::default()).await.unwrap();
    assert_in_doubt(&queue, "given up twice").await;
    record(&store, queue.key, &attempts, &failed(false)).await;
    assert_in_doubt(&queue, "refused late").await;
    record(&store, queue.key, &attempts, &sent()).await;
    assert_eq!(queue.messages('s').await, 1);
    queue.assert_books().await;
}

#[tokio::test]
async fn a_mail_is_sent_once_more_at_most_also_when_a_late_answer_queues_it_again() {
    let (queue, store) = to_be_resent().await;
    let attempts = begun(&store, queue.key, 1).await;
    expire_leases(&queue).await;
    store.reap(&RetryPolicy::default()).await.unwrap();
    record(&store, queue.key, &attempts, &retry()).await;
    assert_eq!(queue.number("SELECT resends FROM outbox WHERE state = 'p'").await, 1);
    let attempts = begun(&store, queue.key, 1).await;
    record(&store, queue.key, &attempts, &in_doubt()).await;
    assert_in_doubt(&queue, "in doubt twice").await;
}
