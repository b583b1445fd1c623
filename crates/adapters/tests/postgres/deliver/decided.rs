//! Deliveries that somebody decides on after they have ended.

use super::{begin, begun, claim, expire_leases, failed, finished, in_doubt, record, retry, sent};
use muster_adapters::postgres::PgStore;
use muster_domain::model::decision::{Evidence, Resolution, Retriable};
use muster_domain::model::delivery::{DeliveryKey, DeliveryState, RetryPolicy};
use muster_domain::model::ids::{CampaignId, UserId, WorkspaceNo};
use muster_domain::model::schedule::{OnInDoubt, Settings};
use muster_domain::ports::deliveries::{DeliveryFilter, DeliveryView};
use muster_domain::ports::delivery::{DeliveryStore, Reaper};
use muster_domain::ports::store::{Workspace, in_tx};
use muster_domain::usecases::complete_campaign::{CompleteCampaign, complete_campaign};
use muster_domain::usecases::finish_campaign::{Finish, finish_campaign};
use muster_testkit::mail_queue::{MailQueue, QueuePlan};

const BY: Evidence = Evidence::Hand(UserId(uuid::Uuid::from_u128(7)));

async fn retry_all(queue: &MailQueue, store: &PgStore, endings: &[Retriable]) -> i64 {
    queue
        .tell(store, async |tx, campaign| {
            let campaign = tx.campaigns().find_for_update(campaign.id).await?.unwrap();
            let now = tx.now().await?;
            tx.deliveries().retry(&campaign, endings, BY, now).await
        })
        .await
}

async fn resolve(queue: &MailQueue, store: &PgStore, key: DeliveryKey, resolution: Resolution) -> bool {
    queue
        .tell(store, async |tx, _| {
            let now = tx.now().await?;
            tx.deliveries().resolve(key, resolution, BY, now).await
        })
        .await
}

async fn finish(queue: &MailQueue, store: &PgStore) -> Finish {
    in_tx(store, queue.workspace, async |tx| finish_campaign(tx, queue.key.campaign).await).await.unwrap()
}

async fn complete(queue: &MailQueue, store: &PgStore) {
    let id = queue.tell(store, async |_, campaign| Ok(campaign.id)).await;
    in_tx(store, queue.workspace, async |tx| complete_campaign(tx, CompleteCampaign { id }).await).await.unwrap();
}

/// Six mails: two sent, one refused recipient, one failed, one in doubt, one to be tried again.
async fn every_kind(queue: &MailQueue, store: &PgStore) {
    let attempts = begun(store, queue.key, 6).await;
    let outcomes = [sent(), failed(true), failed(false), in_doubt(), retry(), sent()];
    let batch: Vec<_> =
        attempts.iter().zip(&outcomes).flat_map(|(attempt, outcome)| finished(&[*attempt], outcome)).collect();
    store.record(queue.key, &batch, &RetryPolicy::default()).await.unwrap();
}

#[tokio::test]
async fn exactly_those_that_ended_so_begin_again() {
    for (endings, expected) in
        [(&[Retriable::Failed][..], 2), (&[Retriable::InDoubt], 1), (&[Retriable::Failed, Retriable::InDoubt], 3)]
    {
        let queue = MailQueue::of(6).await;
        let store = queue.store();
        every_kind(&queue, &store).await;
        // Its address is given another chance.
        queue.run("DELETE FROM suppressions").await;
        assert_eq!(retry_all(&queue, &store, endings).await, expected);
        assert_eq!(retry_all(&queue, &store, endings).await, 0, "each once");
        queue.assert_books().await;
        let decided = "SELECT count(*) FROM delivery_decisions WHERE decision = 'a' AND evidence = 'h' AND decided_by IS NOT NULL AND detail <> ''";
        assert_eq!(queue.number(decided).await, expected);
        let again = claim(&store, queue.key, 10).await;
        assert_eq!(
            again.len(),
            usize::try_from(expected).unwrap(),
            "the one that waits for its retry is not due, the sent ones are sent"
        );
        assert!(again.iter().all(|letter| letter.claimed.attempts == 0), "with all attempts before it");
        let attempts = begin(&store, queue.key, &again).await.begun;
        assert_eq!(record(&store, queue.key, &attempts, &sent()).await.sent, again.len());
        assert_eq!(queue.messages('s').await, 2 + expected);
        queue.assert_books().await;
    }
}

#[tokio::test]
async fn a_completed_campaign_sends_what_is_begun_again_and_stays_completed() {
    let queue = MailQueue::of(3).await;
    let store = queue.store();
    let attempts = begun(&store, queue.key, 3).await;
    record(&store, queue.key, &attempts[..1], &sent()).await;
    record(&store, queue.key, &attempts[1..], &failed(false)).await;
    complete(&queue, &store).await;
    assert_eq!(store.due_campaigns().await.unwrap(), []);
    assert_eq!(retry_all(&queue, &store, &[Retriable::Failed]).await, 2);
    assert_eq!(store.due_campaigns().await.unwrap(), [queue.key]);
    let attempts = begun(&store, queue.key, 3).await;
    assert_eq!(attempts.len(), 2);
    record(&store, queue.key, &attempts[..1], &sent()).await;
    assert_eq!(record(&store, queue.key, &attempts[1..], &retry()).await.again, 1, "4xx is tried again here too");
    finish(&queue, &store).await;
    assert_eq!(queue.number("SELECT count(*) FROM campaigns WHERE retrying").await, 1, "one is left");
    queue.run("UPDATE outbox SET retry_at = now()").await;
    let attempts = begun(&store, queue.key, 3).await;
    record(&store, queue.key, &attempts, &sent()).await;
    assert_eq!(finish(&queue, &store).await, Finish::NotYet);
    assert_eq!(queue.text("SELECT status || ' ' || retrying FROM campaigns").await, "completed false");
    assert_eq!((queue.messages('s').await, queue.queued('p').await), (3, 0));
    queue.assert_books().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn completing_locks_enrollments_and_mail_in_rising_order() {
    for (table, ended) in [
        ("enrollments", "SELECT count(*) FROM enrollments WHERE status = 'x'"),
        ("outbox", "SELECT count(*) FROM messages"),
    ] {
        let queue = MailQueue::of(3).await;
        let first = queue.first_contact;
        // Its newest version lies behind the others, where a scan of the table comes last; and so it is scanned.
        queue.run(&format!("UPDATE {table} SET version = version WHERE contact_no = {first}")).await;
        for index in ["enable_indexscan", "enable_bitmapscan"] {
            let off = "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET {index} = off', current_database()); END $$";
            queue.run(&off.replace("{index}", index)).await;
        }
        let store = queue.store();
        let held = format!("SELECT FROM {table} WHERE contact_no = {first} FOR UPDATE");
        let mut other = queue.database.hold(&held).await;
        let meanwhile = async {
            queue.database.until_locks_are_awaited(1).await;
            other.run(&format!("SELECT FROM {table} ORDER BY contact_no FOR UPDATE NOWAIT")).await;
            other.release().await;
        };
        tokio::join!(complete(&queue, &store), meanwhile);
        assert_eq!(queue.number(ended).await, 3, "{table}");
    }
}

#[tokio::test]
async fn who_has_left_gets_nothing_again_unless_the_failure_took_them_out() {
    for (reason, expected) in [("u", 0), ("s", 0), ("m", 0), ("p", 0), ("c", 0), ("r", 0), ("g", 0), ("b", 1), ("e", 1)]
    {
        let queue = MailQueue::of(1).await;
        let store = queue.store();
        let attempts = begun(&store, queue.key, 1).await;
        record(&store, queue.key, &attempts, &failed(false)).await;
        queue.run(&format!("UPDATE enrollments SET status = 'x', exit_reason = '{reason}', ended_at = now()")).await;
        assert_eq!(retry_all(&queue, &store, &[Retriable::Failed]).await, expected, "{reason}");
        let attempts = begun(&store, queue.key, 1).await;
        let again = record(&store, queue.key, &attempts, &retry()).await.again;
        assert_eq!(i64::try_from(again).unwrap(), expected, "and is tried again after a 4xx: {reason}");
    }
}

#[tokio::test]
async fn a_contact_that_exits_after_it_was_begun_again_gets_nothing() {
    let queue = MailQueue::with(QueuePlan { contacts: 1, steps: 2, ..QueuePlan::default() }).await;
    let store = queue.store();
    let attempts = begun(&store, queue.key, 1).await;
    record(&store, queue.key, &attempts, &failed(false)).await;
    assert_eq!(retry_all(&queue, &store, &[Retriable::Failed]).await, 1);
    let contact = attempts[0].key.contact;
    let exited = queue
        .tell(&store, async |tx, campaign| {
            let now = tx.now().await?;
            tx.analytics().exit(&campaign, contact, muster_domain::model::enrollment::ExitReason::Manual, now).await
        })
        .await;
    assert!(exited);
    assert_eq!((queue.queued('p').await, queue.messages('x').await), (0, 1));
    queue.assert_books().await;
}

#[tokio::test]
async fn a_delivery_in_doubt_is_settled_once_and_kept_with_who_decided() {
    for (resolution, state, code) in
        [(Resolution::Sent, 's', "s"), (Resolution::Failed, 'f', "f"), (Resolution::Drop, 'x', "x")]
    {
        let queue = MailQueue::of(1).await;
        let store = queue.store();
        let attempts = begun(&store, queue.key, 1).await;
        record(&store, queue.key, &attempts, &in_doubt()).await;
        assert!(resolve(&queue, &store, attempts[0].key, resolution).await);
        assert!(!resolve(&queue, &store, attempts[0].key, Resolution::Sent).await, "settled is settled");
        assert!(!resolve(&queue, &store, attempts[0].key, Resolution::Resend).await, "settled is settled");
        assert_eq!(queue.messages(state).await, 1);
        assert_eq!(record(&store, queue.key, &attempts, &failed(false)).await.failed, 0, "nor by a late answer");
        let kept =
            "SELECT string_agg(decision::text || evidence::text || state::text || detail, ',') FROM delivery_decisions";
        assert_eq!(queue.text(kept).await, format!("{code}hdno reply after the dot"));
        assert_eq!(
            queue.number("SELECT coalesce(sum(sent), 0) FROM stats").await,
            i64::from(resolution == Resolution::Sent)
        );
        queue.assert_books().await;
    }
}

#[tokio::test]
async fn what_is_not_in_doubt_is_not_settled() {
    let queue = MailQueue::of(3).await;
    let store = queue.store();
    let attempts = begun(&store, queue.key, 2).await;
    record(&store, queue.key, &attempts[..1], &sent()).await;
    let before = queue.snapshot().await;
    for index in 0..3 {
        for resolution in Resolution::ALL {
            assert!(!resolve(&queue, &store, queue.delivery(index), resolution).await, "{index} {resolution:?}");
        }
    }
    assert_eq!(queue.snapshot().await, before);
}

#[tokio::test]
async fn sent_once_more_by_hand_stays_in_doubt_when_it_is_again() {
    let settings = Settings { on_in_doubt: OnInDoubt::Resend, ..Settings::default() };
    let queue = MailQueue::with(QueuePlan { contacts: 1, settings, ..QueuePlan::default() }).await;
    let store = queue.store();
    let attempts = begun(&store, queue.key, 1).await;
    queue.run("UPDATE outbox SET resends = 1").await;
    record(&store, queue.key, &attempts, &in_doubt()).await;
    assert!(resolve(&queue, &store, attempts[0].key, Resolution::Resend).await);
    queue.assert_books().await;
    let second = begun(&store, queue.key, 1).await;
    assert!(second[0].epoch > attempts[0].epoch, "under a new epoch");
    assert_eq!(
        record(&store, queue.key, &second, &in_doubt()).await.in_doubt,
        1,
        "nothing is sent a third time by itself"
    );
    queue.assert_books().await;
}

#[tokio::test]
async fn an_answer_that_comes_late_keeps_a_second_mail_from_going_out() {
    let queue = MailQueue::of(1).await;
    let store = queue.store();
    let attempts = begun(&store, queue.key, 1).await;
    expire_leases(&queue).await;
    assert_eq!(store.reap(&RetryPolicy::default()).await.unwrap().doubts.len(), 1);
    assert!(resolve(&queue, &store, attempts[0].key, Resolution::Resend).await);
    assert_eq!(record(&store, queue.key, &attempts, &sent()).await.sent, 1, "it was accepted after all");
    assert_eq!((queue.queued('p').await, queue.messages('s').await), (0, 1));
    queue.assert_books().await;
}

/// Nothing but a claim tells the attempts apart, and that one came to nothing.
#[tokio::test]
async fn so_does_one_that_comes_after_the_second_was_claimed_in_vain() {
    for (outcome, ended) in [(sent(), 1), (failed(false), 0), (retry(), 0), (in_doubt(), 0)] {
        let queue = MailQueue::of(2).await;
        let store = queue.store();
        let first = begun(&store, queue.key, 1).await;
        expire_leases(&queue).await;
        store.reap(&RetryPolicy::default()).await.unwrap();
        assert!(resolve(&queue, &store, first[0].key, Resolution::Resend).await);
        let second: Vec<_> = claim(&store, queue.key, 2)
            .await
            .iter()
            .map(|letter| letter.claimed.attempt)
            .filter(|one| one.key == first[0].key)
            .collect();
        assert_eq!(second.len(), 1);
        store.give_back(queue.key, &second).await.unwrap();
        let before = queue.queued('p').await;
        record(&store, queue.key, &first, &outcome).await;
        assert_eq!((before - queue.queued('p').await, queue.messages('s').await), (ended, ended), "{outcome:?}");
        queue.assert_books().await;
    }
}

#[tokio::test]
async fn a_late_answer_is_kept_as_what_settled_the_doubt() {
    let queue = MailQueue::of(1).await;
    let store = queue.store();
    let attempts = begun(&store, queue.key, 1).await;
    record(&store, queue.key, &attempts, &in_doubt()).await;
    assert_eq!(record(&store, queue.key, &attempts, &sent()).await.sent, 1);
    let kept = "SELECT string_agg(decision::text || evidence::text || detail, ',') FROM delivery_decisions";
    assert_eq!(queue.text(kept).await, "slno reply after the dot");
}

/// A mail that is under way when its campaign is completed, to somebody who has walked to the end before.
#[tokio::test]
async fn nothing_is_queued_again_in_a_campaign_that_was_completed_meanwhile() {
    for by_hand in [false, true] {
        let queue = MailQueue::of(2).await;
        let store = queue.store();
        let attempts = begun(&store, queue.key, 2).await;
        record(&store, queue.key, &attempts[..1], &failed(false)).await;
        let under_way = if by_hand {
            retry_all(&queue, &store, &[Retriable::Failed]).await;
            begun(&store, queue.key, 1).await
        } else {
            queue.run("UPDATE enrollments SET status = 'c', ended_at = now()").await;
            queue.run("UPDATE campaign_counters SET open = 0, completed = 2").await;
            attempts[1..].to_vec()
        };
        complete(&queue, &store).await;
        let report = record(&store, queue.key, &under_way, &retry()).await;
        assert_eq!((report.again, report.cancelled), (0, 1), "by hand: {by_hand}");
        assert_eq!(queue.queued('p').await, 0);
        queue.assert_books().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn recording_and_completing_at_once_leave_nothing_queued() {
    for round in 0..20 {
        let queue = MailQueue::of(40).await;
        let store = queue.store();
        let attempts = begun(&store, queue.key, 40).await;
        queue.run("UPDATE enrollments SET status = 'c', ended_at = now() WHERE contact_no % 2 = 0").await;
        queue
            .run("UPDATE campaign_counters SET open = (SELECT count(*) FROM enrollments WHERE status <> 'c'), completed = (SELECT count(*) FROM enrollments WHERE status = 'c')")
            .await;
        let outcome = retry();
        let recording = attempts.chunks(4).map(|some| record(&store, queue.key, some, &outcome));
        tokio::join!(futures::future::join_all(recording), complete(&queue, &store));
        assert_eq!((queue.queued('p').await, queue.queued('s').await), (0, 0), "round {round}");
        assert_eq!(queue.messages('x').await, 40);
        queue.assert_books().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_at_once_begin_each_delivery_again_once() {
    let queue = MailQueue::of(200).await;
    let store = queue.store();
    let attempts = begun(&store, queue.key, 200).await;
    record(&store, queue.key, &attempts, &failed(false)).await;
    let all = (0..8).map(|_| retry_all(&queue, &store, &[Retriable::Failed, Retriable::InDoubt]));
    let retried: i64 = futures::future::join_all(all).await.into_iter().sum();
    assert_eq!((retried, queue.queued('p').await), (200, 200));
    queue.assert_books().await;
}

async fn list(
    queue: &MailQueue,
    store: &PgStore,
    state: Option<DeliveryState>,
    after: Option<DeliveryKey>,
) -> Vec<DeliveryView> {
    let filter = DeliveryFilter { campaign: None, state };
    queue.tell(store, async |tx, _| tx.deliveries().list(&filter, after, 2).await).await
}

#[tokio::test]
async fn deliveries_are_listed_in_pages_by_their_state_and_only_to_their_own() {
    use DeliveryState::{Failed, InDoubt, Pending, Sent};
    let queue = MailQueue::of(6).await;
    let store = queue.store();
    every_kind(&queue, &store).await;
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = list(&queue, &store, None, after).await;
        let Some(last) = page.last() else { break };
        after = Some(last.key);
        seen.extend(page.iter().map(|one| (one.key, one.state)));
    }
    let states: Vec<_> = seen.iter().map(|(_, state)| *state).collect();
    assert_eq!(states, [Sent, Failed, Failed, InDoubt, Pending, Sent]);
    assert!(seen.iter().zip(0..).all(|((key, _), index)| *key == queue.delivery(index)), "each once, in order");
    for (state, expected) in [(Failed, 2), (InDoubt, 1), (Pending, 1), (Sent, 2), (DeliveryState::Cancelled, 0)] {
        let page = list(&queue, &store, Some(state), None).await;
        assert_eq!(page.iter().filter(|one| one.state == state).count(), expected, "{state:?}");
    }
    let stranger = Workspace { workspace: WorkspaceNo(queue.workspace.workspace.0 + 1), ..queue.workspace };
    let key = queue.delivery(3);
    let foreign = in_tx(&store, stranger, async |tx| {
        let listed = tx.deliveries().list(&DeliveryFilter::default(), None, 9).await?;
        Ok::<_, muster_domain::ports::store::StoreError>((listed.len(), tx.deliveries().find(key).await?.is_some()))
    });
    assert_eq!(foreign.await.unwrap(), (0, false));
    let none = DeliveryFilter { campaign: Some(CampaignId(uuid::Uuid::nil())), state: None };
    assert_eq!(queue.tell(&store, async |tx, _| tx.deliveries().list(&none, None, 9).await).await, []);
}
