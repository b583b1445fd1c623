//! Beginning.

use super::{Counter, begin, beginning, begun, claim, expire_leases, record, sent};
use async_trait::async_trait;
use muster_domain::model::delivery::{Attempt, SendOutcome};
use muster_domain::model::ids::ContactId;
use muster_domain::model::schedule::Settings;
use muster_domain::ports::delivery::{BeginReport, DeliveryStore, Reservations};
use muster_domain::ports::store::{StoreError, in_tx};
use muster_domain::usecases::erase_contact::{EraseContact, erase_contact};
use muster_domain::usecases::suppress_address::{SuppressAddress, suppress_address};
use muster_domain::usecases::unsubscribe::unsubscribe;
use muster_testkit::mail_queue::{MailQueue, QueuePlan};
use std::time::Duration;

#[tokio::test]
async fn what_is_reserved_begins_and_the_rest_is_pending_again_as_if_nothing_had_been() {
    let queue = MailQueue::of(3).await;
    let store = queue.store();
    let letters = claim(&store, queue.key, 3).await;
    let refused = letters[1].claimed.attempt;
    let mut counter = Counter { refuse: vec![refused], asked: Vec::new() };
    let batch: Vec<_> = letters.iter().map(beginning).collect();
    let report = store.begin(queue.key, &batch, &mut counter).await.unwrap();
    assert_eq!((report.begun.len(), report.returned.as_slice()), (2, [refused].as_slice()));
    assert_eq!(counter.asked.len(), 3);
    assert_eq!((queue.queued('s').await, queue.queued('p').await), (2, 1));
    assert_eq!(
        queue.text("SELECT attempts || '/' || coalesce(retry_at::text, '-') FROM outbox WHERE state = 'p'").await,
        "0/-"
    );
    assert_eq!(queue.in_flight(&store).await, 2);
    let again = claim(&store, queue.key, 3).await;
    assert_eq!(again[0].claimed.attempt.epoch.0, 2);
}

#[tokio::test]
async fn what_began_already_or_was_given_back_does_not_begin_under_its_old_claim() {
    for daily_limit in [None, Some(100)] {
        let settings = Settings { daily_limit, ..Settings::default() };
        let queue = MailQueue::with(QueuePlan { contacts: 2, settings, ..QueuePlan::default() }).await;
        let store = queue.store();
        let letters = claim(&store, queue.key, 2).await;
        assert_eq!(begin(&store, queue.key, &letters[..1]).await.begun.len(), 1);
        store.give_back(queue.key, &[letters[1].claimed.attempt]).await.unwrap();
        let again = begin(&store, queue.key, &letters).await;
        assert_eq!(again, BeginReport::default(), "{daily_limit:?}");
        assert_eq!(
            queue.text("SELECT string_agg(state::text || ':' || attempts, ',' ORDER BY state) FROM outbox").await,
            "p:0,s:1"
        );
    }
}

#[tokio::test]
async fn nothing_begins_while_the_campaign_is_paused() {
    let queue = MailQueue::of(3).await;
    let store = queue.store();
    let letters = claim(&store, queue.key, 3).await;
    queue.pause(&store).await;
    assert_eq!(queue.in_flight(&store).await, 0);
    let mut counter = Counter::default();
    let batch: Vec<_> = letters.iter().map(beginning).collect();
    let report = store.begin(queue.key, &batch, &mut counter).await.unwrap();
    assert_eq!((report.begun.len(), report.returned.len(), counter.asked.len()), (0, 3, 0));
    assert_eq!(queue.queued('p').await, 3);
    assert_eq!(queue.in_flight(&store).await, 0);
}

#[tokio::test]
async fn a_window_that_closes_between_claim_and_begin_lets_nothing_through() {
    let queue = MailQueue::of(2).await;
    let store = queue.store();
    let letters = claim(&store, queue.key, 2).await;
    let today = chrono::Utc::now().date_naive();
    let tomorrow = today.succ_opt().unwrap();
    queue
        .run(&format!(
            "UPDATE campaigns SET schedule = schedule || '{{\"blackoutDates\": [\"{today}\", \"{tomorrow}\"]}}'"
        ))
        .await;
    let report = begin(&store, queue.key, &letters).await;
    assert_eq!((report.begun.len(), report.returned.len()), (0, 2));
    assert_eq!(queue.queued('p').await, 2);
}

#[tokio::test]
async fn suppressed_addresses_end_without_mail_and_leave_the_campaign() {
    let queue = MailQueue::of(3).await;
    let store = queue.store();
    let letters = claim(&store, queue.key, 3).await;
    queue
        .run(
            "INSERT INTO suppressions SELECT tenant_no, email_key, CASE contact_no % 3 WHEN 0 THEN 'manual' ELSE 'unsubscribed' END, \
             'test', now() FROM contacts ORDER BY contact_no LIMIT 2",
        )
        .await;
    let report = begin(&store, queue.key, &letters).await;
    assert_eq!((report.begun.len(), report.suppressed.len(), report.closed), (1, 2, 2));
    assert_eq!(queue.messages('u').await, 2);
    let exits = "SELECT count(DISTINCT (e.exit_reason, s.reason)) FROM enrollments e JOIN contacts c USING (tenant_no, contact_no) \
                 JOIN suppressions s ON s.tenant_no = c.tenant_no AND s.entry = c.email_key \
                 WHERE e.exit_reason = CASE s.reason WHEN 'unsubscribed' THEN 'u' ELSE 's' END::\"char\"";
    assert!(queue.number(exits).await >= 1);
    assert_eq!(queue.number("SELECT count(*) FROM enrollments WHERE status = 'x'").await, 2);
    assert_eq!(queue.number("SELECT count(*) FROM enrollment_history").await, 2);
    queue.assert_books().await;
}

#[tokio::test]
async fn a_domain_on_the_list_covers_its_addresses_and_not_those_of_its_subdomains() {
    let queue = MailQueue::of(4).await;
    let store = queue.store();
    for (index, email) in ["a@x.test", "b@mail.x.test", "c@x.test.test", "d@y.test"].into_iter().enumerate() {
        let number = queue.first_contact + i64::try_from(index).unwrap();
        queue
            .run(&format!("UPDATE contacts SET email = '{email}', email_key = '{email}' WHERE contact_no = {number}"))
            .await;
    }
    queue.run("INSERT INTO suppressions SELECT tenant_no, 'x.test', 'complained', 'test', now() FROM tenants").await;
    let letters = claim(&store, queue.key, 4).await;
    let report = begin(&store, queue.key, &letters).await;
    assert_eq!((report.begun.len(), report.suppressed.len()), (3, 1));
    assert_eq!(report.suppressed[0].key.contact.0, queue.first_contact);
    queue.assert_books().await;
}

#[tokio::test]
async fn whoever_was_erased_gets_no_mail_when_imported_again() {
    let queue = MailQueue::of(2).await;
    let store = queue.store();
    for (suppressed, exit) in [(false, 's'), (true, 'u')] {
        let index = i64::from(suppressed);
        let number = queue.first_contact + index;
        if suppressed {
            in_tx(&store, queue.workspace, async |tx| unsubscribe(tx, queue.delivery(index)).await).await.unwrap();
        }
        let email = queue.text(&format!("SELECT email FROM contacts WHERE contact_no = {number}")).await;
        let id = queue.text(&format!("SELECT id FROM contacts WHERE contact_no = {number}")).await;
        let command = EraseContact { id: ContactId(id.parse().unwrap()) };
        in_tx(&store, queue.workspace, async |tx| erase_contact(tx, command).await).await.unwrap();
        assert_eq!(queue.queued('p').await, i64::from(!suppressed));
        // The list from before the erasure, imported again and enrolled.
        queue
            .run(&format!(
                "WITH back AS (INSERT INTO contacts (tenant_no, workspace_no, id, email, email_key, created_at, updated_at) \
                    SELECT tenant_no, workspace_no, gen_random_uuid(), '{email}', lower('{email}'), now(), now() \
                    FROM contacts WHERE contact_no = {number} RETURNING tenant_no, contact_no), \
                 enrolled AS (INSERT INTO enrollments (tenant_no, campaign_no, contact_no, enrolled_at, version, pass, step, status) \
                    SELECT tenant_no, {campaign}, contact_no, now(), 1, 1, 1, 'd' FROM back), \
                 booked AS (UPDATE campaign_counters SET audience = audience + 1, open = open + 1), \
                 entered AS (UPDATE step_counters SET entered = entered + 1, pending = pending + 1 WHERE step = 1) \
                 INSERT INTO outbox (tenant_no, campaign_no, contact_no, step, pass, due_at, queued_at, version, next_step) \
                    SELECT tenant_no, {campaign}, contact_no, 1, 1, now() - interval '1 hour', now(), 1, 0 FROM back",
                campaign = queue.key.campaign.0
            ))
            .await;
        let again = claim(&store, queue.key, 2).await.into_iter().find(|letter| letter.recipient.as_str() == email);
        let report = begin(&store, queue.key, &[again.expect("it is due")]).await;
        assert_eq!((report.begun.len(), report.suppressed.len()), (0, 1), "unsubscribed before: {suppressed}");
        let exits =
            format!("SELECT count(*) FROM enrollments WHERE exit_reason = '{exit}' AND contact_no > {number} + 1");
        assert_eq!(queue.number(&exits).await, 1);
        expire_leases(&queue).await;
        queue.run("UPDATE outbox SET state = 'p', lease_until = NULL").await;
    }
    assert_eq!(queue.number("SELECT count(*) FROM suppressions").await, 0, "no address is kept");
    queue.assert_books().await;
}

#[tokio::test]
async fn a_reply_that_comes_after_the_erasure_is_not_kept() {
    let queue = MailQueue::of(1).await;
    let store = queue.store();
    let attempts = begun(&store, queue.key, 1).await;
    let id = queue.text("SELECT id FROM contacts").await;
    let command = EraseContact { id: ContactId(id.parse().unwrap()) };
    in_tx(&store, queue.workspace, async |tx| erase_contact(tx, command).await).await.unwrap();
    let reply = SendOutcome::Failed {
        reason: "550 Ada Lovelace has left us".to_owned(),
        bounced: Some(muster_domain::model::bounce::BounceClass::Hard),
    };
    assert_eq!(record(&store, queue.key, &attempts, &reply).await.failed, 1);
    assert_eq!(queue.text("SELECT coalesce(detail, 'nothing') FROM messages").await, "nothing");
    queue.assert_books().await;
}

#[tokio::test]
async fn a_contact_whose_address_changed_since_the_claim_gets_its_mail_made_anew() {
    let queue = MailQueue::of(1).await;
    let store = queue.store();
    let letters = claim(&store, queue.key, 1).await;
    // The old address is suppressed: checking only the new one would let the mail out to the old.
    queue.run("INSERT INTO suppressions SELECT tenant_no, email_key, 'manual', 'test', now() FROM contacts").await;
    queue.run("UPDATE contacts SET email = 'New@example.org', email_key = 'new@example.org'").await;
    let report = begin(&store, queue.key, &letters).await;
    assert_eq!((report.begun.len(), report.returned.len()), (0, 1));
    let again = claim(&store, queue.key, 1).await;
    assert_eq!(again[0].recipient.as_str(), "New@example.org");
    assert_eq!(begin(&store, queue.key, &again).await.begun.len(), 1);
}

/// Holds the begin open and says when it does.
struct Slow {
    open: tokio::sync::mpsc::UnboundedSender<()>,
    go_on: Option<tokio::sync::oneshot::Receiver<()>>,
}

#[async_trait]
impl Reservations for Slow {
    async fn reserve(&mut self, attempts: &[Attempt]) -> Vec<Attempt> {
        self.open.send(()).unwrap();
        if let Some(go_on) = self.go_on.take() {
            go_on.await.unwrap();
        }
        attempts.to_vec()
    }
}

#[tokio::test]
async fn the_barrier_waits_for_a_begin_that_is_open() {
    let queue = MailQueue::of(1).await;
    let store = queue.store();
    let (release, begin) = open_begin(&queue).await;
    let barrier = queue.barrier(&store);
    tokio::pin!(barrier);
    assert!(tokio::time::timeout(Duration::from_millis(200), &mut barrier).await.is_err(), "a begin is open");
    release.send(()).unwrap();
    barrier.await;
    assert_eq!(begin.await.unwrap(), 1);
}

/// A begin that is open until told to go on.
async fn open_begin(queue: &MailQueue) -> (tokio::sync::oneshot::Sender<()>, tokio::task::JoinHandle<usize>) {
    let store = queue.store();
    let letters = claim(&store, queue.key, 1).await;
    let (open, mut opened) = tokio::sync::mpsc::unbounded_channel();
    let (release, go_on) = tokio::sync::oneshot::channel();
    let (key, batch) = (queue.key, letters.iter().map(beginning).collect::<Vec<_>>());
    let begin = tokio::spawn(async move {
        let mut slow = Slow { open, go_on: Some(go_on) };
        store.begin(key, &batch, &mut slow).await.unwrap().begun.len()
    });
    opened.recv().await.unwrap();
    (release, begin)
}

#[tokio::test]
async fn unsubscribing_suppressing_and_erasing_wait_for_a_begin_that_is_open() {
    for how in ["unsubscribe", "suppress", "erase"] {
        let queue = MailQueue::of(1).await;
        let store = queue.store();
        let contact = queue.text("SELECT id FROM contacts").await;
        let (release, begin) = open_begin(&queue).await;
        let story = in_tx(&store, queue.workspace, async |tx| match how {
            "unsubscribe" => unsubscribe(tx, queue.delivery(0)).await.map(|_| ()),
            "suppress" => {
                let command = SuppressAddress {
                    email: Some("c1@example.org".to_owned()),
                    domain: None,
                    reason: None,
                    source: None,
                };
                suppress_address(tx, &command).await.map(|_| ()).map_err(|error| StoreError::Internal(error.into()))
            }
            _ => {
                let command = EraseContact { id: ContactId(contact.parse().unwrap()) };
                erase_contact(tx, command).await.map_err(|error| StoreError::Internal(error.into()))
            }
        });
        tokio::pin!(story);
        let early = tokio::time::timeout(Duration::from_millis(200), &mut story).await;
        assert!(early.is_err(), "{how}: a begin is open");
        release.send(()).unwrap();
        story.await.unwrap();
        assert_eq!(begin.await.unwrap(), 1);
        assert_eq!(queue.queued('s').await, 1, "{how}: what has begun is left to its worker");
        queue.assert_books().await;
    }
}

#[tokio::test]
async fn an_address_does_not_change_while_a_begin_to_it_is_open() {
    let queue = MailQueue::of(1).await;
    let (release, begin) = open_begin(&queue).await;
    let change = queue.run("UPDATE contacts SET email = 'new@example.org', email_key = 'new@example.org'");
    tokio::pin!(change);
    assert!(tokio::time::timeout(Duration::from_millis(200), &mut change).await.is_err(), "a begin is open");
    release.send(()).unwrap();
    change.await;
    assert_eq!(begin.await.unwrap(), 1);
}

/// A begin whose session is killed under it.
struct Killed(MailQueue);

#[async_trait]
impl Reservations for Killed {
    async fn reserve(&mut self, attempts: &[Attempt]) -> Vec<Attempt> {
        let killed = "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity \
                      WHERE datname = current_database() AND state = 'idle in transaction'";
        assert_eq!(self.0.number(killed).await, 1);
        attempts.to_vec()
    }
}

#[tokio::test]
async fn a_begin_that_loses_its_database_session_begins_nothing() {
    let queue = MailQueue::of(2).await;
    let store = queue.store();
    let letters = claim(&store, queue.key, 2).await;
    let batch: Vec<_> = letters.iter().map(beginning).collect();
    let key = queue.key;
    let mut killed = Killed(queue);
    assert!(store.begin(key, &batch, &mut killed).await.is_err());
    let queue = killed.0;
    assert_eq!((queue.queued('c').await, queue.queued('s').await), (2, 0));
    let attempts: Vec<_> = batch.iter().map(|one| one.attempt).collect();
    assert_eq!(store.give_back(key, &attempts).await.unwrap().again, 2);
    assert_eq!(queue.queued('p').await, 2);
}

#[tokio::test]
async fn a_begin_that_did_commit_after_all_is_taken_back_by_giving_back() {
    let queue = MailQueue::of(2).await;
    let store = queue.store();
    let letters = claim(&store, queue.key, 2).await;
    let attempts = begin(&store, queue.key, &letters).await.begun;
    assert_eq!(store.give_back(queue.key, &attempts).await.unwrap().again, 2);
    assert_eq!(queue.queued('p').await, 2);
    let again = claim(&store, queue.key, 2).await;
    assert_eq!(again.len(), 2, "at once, without a backoff");
    let attempts = begin(&store, queue.key, &again).await.begun;
    assert_eq!(record(&store, queue.key, &attempts, &sent()).await.sent, 2);
    queue.assert_books().await;
}
