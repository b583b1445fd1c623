//! What happens between the marks, the locks and the rounds.

use super::*;
use crate::postgres::PoolOptions;
use async_trait::async_trait;
use muster_domain::model::ids::{CampaignId, ContactId};
use muster_domain::model::schedule::{OnInDoubt, Settings};
use muster_domain::ports::delivery::{DeliveryStore, Reservations};
use muster_domain::ports::store::{StoreError, in_tx};
use muster_domain::usecases::complete_campaign::{CompleteCampaign, complete_campaign};
use muster_domain::usecases::exit_enrollment::exit_enrollment;
use muster_domain::usecases::unsubscribe::unsubscribe;
use muster_testkit::mail_queue::{MailQueue, QueuePlan};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// Reserves so many of its mails in each round, as long as there are rounds.
struct Seats {
    each_round: usize,
    rounds: usize,
    later: VecDeque<Attempt>,
    asked: Vec<Vec<Attempt>>,
    /// What was marked when the first round was asked for.
    marked: i64,
    queue: Arc<MailQueue>,
    meanwhile: Option<Meanwhile>,
}

/// What happens in a round.
enum Meanwhile {
    /// The session of the begin is killed in the round of that index.
    Killed(usize),
    /// It says that it is there in the round of that index, and waits.
    Waits(usize, mpsc::UnboundedSender<()>, Option<oneshot::Receiver<()>>),
}

impl Seats {
    fn of(queue: &Arc<MailQueue>, each_round: usize, rounds: usize) -> Self {
        let (later, asked) = (VecDeque::new(), Vec::new());
        Self { each_round, rounds, later, asked, marked: 0, queue: Arc::clone(queue), meanwhile: None }
    }

    async fn round(&mut self) -> Vec<Attempt> {
        match &mut self.meanwhile {
            Some(Meanwhile::Killed(round)) if *round == self.asked.len() => {
                let killed = "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity \
                              WHERE datname = current_database() AND state = 'idle in transaction'";
                assert_eq!(self.queue.number(killed).await, 1);
            }
            Some(Meanwhile::Waits(round, there, go_on)) if *round == self.asked.len() => {
                there.send(()).unwrap();
                go_on.take().unwrap().await.unwrap();
            }
            _ => {}
        }
        let round: Vec<Attempt> = self.later.drain(..self.each_round.min(self.later.len())).collect();
        self.asked.push(round.clone());
        round
    }
}

#[async_trait]
impl Reservations for Seats {
    async fn reserve(&mut self, attempts: &[Attempt]) -> Vec<Attempt> {
        self.marked = self.queue.queued('s').await;
        self.later = attempts.iter().copied().collect();
        self.round().await
    }

    fn in_rounds(&self) -> bool {
        true
    }

    fn has_more(&self) -> bool {
        !self.later.is_empty() && self.asked.len() < self.rounds
    }

    async fn further(&mut self) -> Vec<Attempt> {
        self.round().await
    }
}

fn store(queue: &MailQueue) -> PgStore {
    PgStore::new(queue.database.url(), PoolOptions { max_size: 1, wait: Duration::from_secs(5) }).unwrap()
}

/// Claims everything.
async fn claimed(queue: &MailQueue) -> (PgStore, Vec<Beginning>) {
    let store = store(queue);
    let letters = store.claim(queue.key, 100).await.unwrap().letters;
    let beginning = |letter: &muster_domain::ports::delivery::Letter| Beginning {
        attempt: letter.claimed.attempt,
        recipient: letter.recipient.clone(),
        first: letter.claimed.attempts == 0,
    };
    let batch = letters.iter().map(beginning).collect();
    (store, batch)
}

async fn states(queue: &MailQueue) -> String {
    queue.text("SELECT string_agg(state::text || ':' || attempts, ',' ORDER BY state, contact_no) FROM outbox").await
}

#[tokio::test]
async fn what_is_marked_lasts_before_the_first_of_it_is_reserved_and_begins_round_by_round() {
    let queue = Arc::new(MailQueue::of(7).await);
    let (store, batch) = claimed(&queue).await;
    let mut seats = Seats::of(&queue, 3, 9);
    let report = store.begin(queue.key, &batch, &mut seats).await.unwrap();
    assert_eq!((report.begun.len(), report.returned.len(), seats.marked), (7, 0, 7));
    assert_eq!(seats.asked.iter().map(Vec::len).collect::<Vec<_>>(), [3, 3, 1]);
    assert_eq!(states(&queue).await, ["s:1"; 7].join(","));
    assert_eq!(queue.in_flight(&queue.store()).await, 7);
}

#[tokio::test]
async fn what_was_marked_for_a_round_that_is_not_had_is_pending_again_as_if_nothing_had_been() {
    let queue = Arc::new(MailQueue::of(5).await);
    let (store, batch) = claimed(&queue).await;
    let report = store.begin(queue.key, &batch, &mut Seats::of(&queue, 2, 1)).await.unwrap();
    assert_eq!((report.begun.len(), report.returned.len()), (2, 3));
    assert_eq!(states(&queue).await, "p:0,p:0,p:0,s:1,s:1");
    assert_eq!(queue.number("SELECT count(*) FROM outbox WHERE retry_at IS NOT NULL").await, 0);
    assert_eq!(store.claim(queue.key, 9).await.unwrap().letters.len(), 3, "at once");
    queue.assert_books().await;
}

#[tokio::test]
async fn nothing_is_marked_of_a_campaign_with_limits_which_begins_as_ever() {
    let settings = Settings { daily_limit: Some(2), ..Settings::default() };
    let queue = Arc::new(MailQueue::with(QueuePlan { contacts: 2, settings, ..QueuePlan::default() }).await);
    let (store, batch) = claimed(&queue).await;
    let mut seats = Seats::of(&queue, 1, 9);
    let report = store.begin(queue.key, &batch, &mut seats).await.unwrap();
    assert_eq!((report.begun.len(), report.returned.len(), seats.marked, seats.asked.len()), (1, 1, 0, 1));
    assert_eq!(states(&queue).await, "p:0,s:1");
    assert_eq!(queue.number("SELECT sum(begun) FROM sending_quota").await, 1);
}

/// Marks all of four mails, lets something happen, and begins: how many began, and what is left in the outbox.
async fn after(resends: i16, happens: impl AsyncFnOnce(&MailQueue)) -> (usize, String) {
    let settings = Settings { on_in_doubt: OnInDoubt::Resend, ..Settings::default() };
    let queue = Arc::new(MailQueue::with(QueuePlan { contacts: 4, settings, ..QueuePlan::default() }).await);
    queue.run(&format!("UPDATE outbox SET resends = {resends}, attempts = {resends}")).await;
    let (store, batch) = claimed(&queue).await;
    let all: Vec<Attempt> = batch.iter().map(|one| one.attempt).collect();
    let marked = mark(&store, queue.key, &all).await.unwrap();
    assert_eq!(marked.len(), 4);
    happens(&queue).await;
    let mut seats = Seats::of(&queue, 4, 1);
    let report = begin(&store, queue.key, &batch, marked, &mut seats).await.unwrap();
    assert_eq!(seats.asked.concat(), report.begun);
    queue.assert_books().await;
    (report.begun.len(), states(&queue).await)
}

async fn contact(queue: &MailQueue) -> ContactId {
    ContactId(queue.text("SELECT id FROM contacts ORDER BY contact_no LIMIT 1").await.parse().unwrap())
}

async fn campaign(queue: &MailQueue) -> CampaignId {
    CampaignId(queue.text("SELECT id FROM campaigns").await.parse().unwrap())
}

#[tokio::test]
async fn whatever_comes_between_the_mark_and_the_locks_is_heeded() {
    const ALL_BACK: &str = "p:0,p:0,p:0,p:0";
    assert_eq!(after(0, async |_| ()).await, (4, "s:1,s:1,s:1,s:1".to_owned()));
    assert_eq!(after(0, async |queue| queue.pause(&queue.store()).await).await, (0, ALL_BACK.to_owned()));
    let limited = after(0, async |queue| {
        queue.run("UPDATE campaigns SET settings = settings || '{\"dailyLimit\": 9}'").await;
    });
    assert_eq!(limited.await, (0, ALL_BACK.to_owned()));
    let moved = after(0, async |queue| {
        queue.run("UPDATE contacts SET email_key = 'new@example.org' WHERE contact_no % 4 = 0").await;
    });
    assert_eq!(moved.await, (3, "p:0,s:1,s:1,s:1".to_owned()));
    let suppressed = after(0, async |queue| {
        queue
            .run("INSERT INTO suppressions SELECT tenant_no, email_key, 'manual', 'test', now() FROM contacts LIMIT 1")
            .await;
    });
    assert_eq!(suppressed.await, (3, "s:1,s:1,s:1".to_owned()), "it has ended");
    // Nobody leaves for a domain on the list, until a mail to it would begin.
    let domain = after(0, async |queue| {
        queue
            .run("INSERT INTO suppressions SELECT tenant_no, 'example.org', 'manual', 'test', now() FROM tenants")
            .await;
    });
    assert_eq!(domain.await, (0, String::new()));
}

#[tokio::test]
async fn nothing_begins_to_whom_has_left_between_the_mark_and_the_locks() {
    let left = (3, "s:1,s:1,s:1".to_owned());
    let unsubscribed = after(0, async |queue| {
        let delivery = queue.delivery(0);
        in_tx(&queue.store(), queue.workspace, async |tx| unsubscribe(tx, delivery).await).await.unwrap();
    });
    assert_eq!(unsubscribed.await, left);
    let taken_out = after(0, async |queue| {
        let (campaign, contact) = (campaign(queue).await, contact(queue).await);
        in_tx(&queue.store(), queue.workspace, async |tx| {
            exit_enrollment(tx, campaign, contact).await.map_err(|_| StoreError::Conflict)
        })
        .await
        .unwrap();
    });
    assert_eq!(taken_out.await, left);
    let ended = after(0, async |queue| {
        let id = campaign(queue).await;
        in_tx(&queue.store(), queue.workspace, async |tx| complete_campaign(tx, CompleteCampaign { id }).await)
            .await
            .unwrap();
    });
    assert_eq!(ended.await, (0, String::new()), "nothing is pending in a campaign that is over");
}

#[tokio::test]
async fn a_mark_whose_lease_ran_out_and_that_is_somebody_elses_does_not_begin() {
    let reaped = after(0, async |queue| {
        queue.run("UPDATE outbox SET epoch = epoch + 1 WHERE contact_no % 4 = 0").await;
    });
    assert_eq!(reaped.await, (3, "s:1,s:1,s:1,s:1".to_owned()));
}

#[tokio::test]
async fn a_mail_that_may_have_arrived_before_counts_as_that_when_its_contact_has_left() {
    let ended = after(1, async |queue| {
        let id = campaign(queue).await;
        in_tx(&queue.store(), queue.workspace, async |tx| complete_campaign(tx, CompleteCampaign { id }).await)
            .await
            .unwrap();
        assert_eq!(queue.queued('s').await, 4, "what is marked is left to its worker");
    });
    assert_eq!(ended.await, (0, String::new()));
}

#[tokio::test]
async fn a_begin_that_loses_its_session_goes_on_with_no_round() {
    for (killed_in, begun) in [(0, 0), (1, 2)] {
        let queue = Arc::new(MailQueue::of(6).await);
        let (store, batch) = claimed(&queue).await;
        let mut seats = Seats::of(&queue, 2, 9);
        seats.meanwhile = Some(Meanwhile::Killed(killed_in));
        assert!(store.begin(queue.key, &batch, &mut seats).await.is_err());
        // What was reserved in the round before that has gone, and nothing else.
        assert_eq!(seats.asked.len(), killed_in + 1);
        let gone = seats.asked[..killed_in].concat();
        let others: Vec<Attempt> =
            batch.iter().map(|one| one.attempt).filter(|attempt| !gone.contains(attempt)).collect();
        assert_eq!(store.give_back(queue.key, &others).await.unwrap().again, others.len());
        assert_eq!((queue.queued('s').await, queue.queued('p').await), (begun, 6 - begun));
        queue.assert_books().await;
    }
}

#[tokio::test]
async fn a_pause_and_whoever_leaves_wait_until_the_last_round_is_over() {
    let queue = Arc::new(MailQueue::of(4).await);
    let (store, batch) = claimed(&queue).await;
    let ((there, mut is_there), (go_on, waits)) = (mpsc::unbounded_channel(), oneshot::channel());
    let mut seats = Seats::of(&queue, 2, 9);
    seats.meanwhile = Some(Meanwhile::Waits(1, there, Some(waits)));
    let key = queue.key;
    let begin = tokio::spawn(async move { store.begin(key, &batch, &mut seats).await.unwrap().begun.len() });
    is_there.recv().await.unwrap();
    let other = queue.store();
    let (barrier, last) = (queue.barrier(&other), queue.delivery(3));
    let leaves = in_tx(&other, queue.workspace, async |tx| unsubscribe(tx, last).await);
    tokio::pin!(barrier, leaves);
    assert!(tokio::time::timeout(Duration::from_millis(200), &mut barrier).await.is_err());
    assert!(tokio::time::timeout(Duration::from_millis(200), &mut leaves).await.is_err());
    go_on.send(()).unwrap();
    barrier.await;
    leaves.await.unwrap();
    assert_eq!(begin.await.unwrap(), 4);
}

#[tokio::test]
async fn a_mail_of_which_a_sign_has_come_is_not_sent_once_more() {
    const OPENED: &str = "INSERT INTO engagements (tenant_no, campaign_no, contact_no, step, pass, kind, total, human_total) \
        SELECT tenant_no, campaign_no, contact_no, step, pass, 'o', 1, 1 FROM outbox WHERE contact_no % 4 = 0";
    for (resends, begun) in [(0, (4, "s:1,s:1,s:1,s:1")), (1, (3, "s:2,s:2,s:2"))] {
        let after = after(resends, async |queue| queue.run(OPENED).await).await;
        assert_eq!((after.0, after.1.as_str()), begun, "in doubt before: {resends}");
    }
}

#[tokio::test]
async fn what_was_begun_again_by_hand_in_a_campaign_that_is_over_is_taken_back_as_any_other() {
    let queue = Arc::new(MailQueue::of(3).await);
    let (store, batch) = claimed(&queue).await;
    let all: Vec<Attempt> = batch.iter().map(|one| one.attempt).collect();
    let marked = mark(&store, queue.key, &all).await.unwrap();
    queue.run("UPDATE outbox SET by_hand = true").await;
    queue.run("UPDATE campaigns SET status = 'completed', completed_at = now(), retrying = true").await;
    let report = begin(&store, queue.key, &batch, marked, &mut Seats::of(&queue, 1, 1)).await.unwrap();
    assert_eq!((report.begun.len(), states(&queue).await.as_str()), (1, "p:0,p:0,s:1"));
    assert_eq!(queue.number("SELECT count(*) FROM outbox WHERE retry_at IS NOT NULL").await, 0);
}
