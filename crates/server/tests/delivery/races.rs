//! Pausing, unsubscribing, suppressing and erasing while mail goes out at full speed.

use crate::{PATIENCE, Worker, assert_each_once, quick_mail, until};
use muster_adapters::postgres::PgStore;
use muster_domain::model::ids::ContactId;
use muster_domain::ports::store::{StoreError, in_tx};
use muster_domain::usecases::erase_contact::{EraseContact, EraseContactError, erase_contact};
use muster_domain::usecases::suppress_address::{SuppressAddress, SuppressAddressError, suppress_address};
use muster_domain::usecases::unsubscribe::unsubscribe;
use muster_testkit::fake_mail::{FakeBehaviour, FakeMail, MailEvent};
use muster_testkit::mail_queue::MailQueue;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

#[tokio::test(flavor = "multi_thread")]
async fn nothing_begins_after_a_pause_has_returned() {
    let behaviour = FakeBehaviour { delay: Duration::from_micros(300), ..FakeBehaviour::default() };
    let campaign = Sending::with(behaviour).await;
    let mut pauses = Vec::new();
    for round in 0..60 {
        tokio::time::sleep(Duration::from_millis(2 + round % 7)).await;
        pauses.push(campaign.pause_a_while().await);
    }
    campaign.assert_none_began_within(&pauses).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nor_is_anything_named_behind_another() {
    // The longer a message takes, the longer it is from the locks of the next to its sender.
    let behaviour = FakeBehaviour { sessions: 4, message: Duration::from_millis(5), ..FakeBehaviour::default() };
    let campaign = Sending::with(behaviour).await;
    let mut pauses = Vec::new();
    for round in 0..20 {
        // Right when that happens, or a little after.
        campaign.until_one_more(MailEvent::Behind).await;
        tokio::time::sleep(Duration::from_micros(round % 5 * 500)).await;
        pauses.push(campaign.pause_a_while().await);
    }
    campaign.assert_none_began_within(&pauses).await;
}

/// A campaign that two workers send.
struct Sending {
    queue: MailQueue,
    store: PgStore,
    mail: Arc<FakeMail>,
    workers: [Worker; 2],
}

impl Sending {
    /// More mails than go out meanwhile.
    const MAILS: i64 = 60_000;

    async fn with(behaviour: FakeBehaviour) -> Self {
        let queue = MailQueue::of(Self::MAILS).await;
        let mail = FakeMail::new(behaviour);
        let workers = [(); 2].map(|()| Worker::start(Arc::new(queue.store()), &mail));
        Self { store: queue.store(), queue, mail, workers }
    }

    /// When the pause had returned, and when it was to end.
    async fn pause_a_while(&self) -> (Instant, Instant) {
        self.queue.pause(&self.store).await;
        let paused = Instant::now();
        tokio::time::sleep(Duration::from_millis(15)).await;
        let resumed = Instant::now();
        self.queue.resume(&self.store).await;
        (paused, resumed)
    }

    async fn until_one_more(&self, event: MailEvent) {
        let (before, asked) = (self.mail.count(event), Instant::now());
        while self.mail.count(event) == before {
            assert!(asked.elapsed() < PATIENCE, "no {event:?} any more, after {before}");
            tokio::time::sleep(Duration::from_micros(200)).await;
        }
    }

    /// And nothing was lost or sent twice.
    async fn assert_none_began_within(self, pauses: &[(Instant, Instant)]) {
        self.until_one_more(MailEvent::Begin).await;
        for worker in self.workers {
            worker.stop().await;
        }
        let begins = self.mail.log().into_iter().filter(|entry| entry.event == MailEvent::Begin);
        let begins: Vec<Instant> = begins.map(|entry| entry.at).collect();
        let within = |(paused, resumed): &&(Instant, Instant)| begins.iter().any(|at| paused < at && at < resumed);
        assert_eq!(pauses.iter().filter(within).count(), 0, "of {} pauses", pauses.len());
        assert!(begins.len() > pauses.len(), "mail went out between the pauses");
        let accepted = self.mail.accepted();
        assert_each_once(&accepted, accepted.len());
        assert_eq!(self.queue.messages('s').await, i64::try_from(accepted.len()).unwrap());
        self.queue.assert_books().await;
    }
}

/// Unsubscribes, suppresses or erases.
async fn stop_mail_to(store: &PgStore, queue: &MailQueue, contact: &str, index: i64, how: usize) {
    let delivery = queue.delivery(index);
    let email = format!("c{}@example.org", index + 1);
    loop {
        let stopped: Result<(), StoreError> = in_tx(store, queue.workspace, async |tx| match how % 3 {
            0 => unsubscribe(tx, delivery).await.map(|_| ()),
            1 => {
                let command = SuppressAddress { email: Some(email.clone()), domain: None, reason: None, source: None };
                match suppress_address(tx, &command).await {
                    Err(SuppressAddressError::Store(error)) => Err(error),
                    other => other.map(|_| ()).map_err(|error| StoreError::Internal(error.into())),
                }
            }
            _ => match erase_contact(tx, EraseContact { id: ContactId(contact.parse().unwrap()) }).await {
                Err(EraseContactError::Store(error)) => Err(error),
                other => other.map_err(|error| StoreError::Internal(error.into())),
            },
        })
        .await;
        match stopped {
            Ok(()) => return,
            Err(StoreError::Conflict) => {}
            Err(error) => panic!("{error:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_begins_to_who_has_unsubscribed_or_is_suppressed_or_erased() {
    const CONTACTS: i64 = 1_500;
    let queue = MailQueue::of(CONTACTS).await;
    let ids = queue.text("SELECT string_agg(id::text, ' ' ORDER BY contact_no) FROM contacts").await;
    let ids: Vec<&str> = ids.split(' ').collect();
    let behaviour = FakeBehaviour { delay: Duration::from_millis(8), sessions: 4, ..FakeBehaviour::default() };
    let mail = FakeMail::new(behaviour);
    let workers = [Worker::start(Arc::new(queue.store()), &mail), Worker::start(Arc::new(queue.store()), &mail)];
    let store = queue.store();
    let mut stopped: HashMap<String, Instant> = HashMap::new();
    // From the far end, so that they meet the mail on its way.
    for (how, index) in (0..CONTACTS).rev().step_by(5).enumerate() {
        stop_mail_to(&store, &queue, ids[usize::try_from(index).unwrap()], index, how).await;
        stopped.insert(format!("c{}@example.org", index + 1), Instant::now());
    }
    until(&queue, "SELECT count(*) FROM outbox", 0).await;
    for worker in workers {
        worker.stop().await;
    }
    let late: Vec<_> = mail
        .log()
        .into_iter()
        .filter(|entry| entry.event == MailEvent::Begin)
        .filter(|entry| stopped.get(&entry.recipient).is_some_and(|at| entry.at > *at))
        .map(|entry| entry.recipient)
        .collect();
    assert!(late.is_empty(), "begun too late: {late:?}");
    let kept = queue.number("SELECT count(*) FROM messages WHERE state IN ('u', 'x')").await;
    assert!(kept > 50, "only {kept} were stopped before their mail");
    assert_eq!(queue.messages('s').await + kept, CONTACTS);
    queue.assert_books().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_begins_to_a_domain_once_it_is_suppressed() {
    const CONTACTS: i64 = 3_000;
    const DOMAINS: i64 = 30;
    let queue = MailQueue::of(CONTACTS).await;
    queue
        .run(&format!(
            "UPDATE contacts SET email = a, email_key = a FROM (SELECT contact_no AS no, \
             'c' || contact_no || '@d' || contact_no % {DOMAINS} || '.test' AS a FROM contacts) AS u WHERE no = contact_no"
        ))
        .await;
    let behaviour = FakeBehaviour { delay: Duration::from_millis(4), sessions: 4, ..FakeBehaviour::default() };
    let mail = FakeMail::new(behaviour);
    let workers = [Worker::start(Arc::new(queue.store()), &mail), Worker::start(Arc::new(queue.store()), &mail)];
    let store = queue.store();
    let mut stopped: HashMap<String, Instant> = HashMap::new();
    for number in 0..DOMAINS / 2 {
        until(&queue, &format!("SELECT (count(*) >= {})::int FROM messages", 40 * number), 1).await;
        let domain = format!("d{number}.test");
        let command = SuppressAddress { email: None, domain: Some(domain.clone()), reason: None, source: None };
        in_tx(&store, queue.workspace, async |tx| suppress_address(tx, &command).await).await.unwrap();
        stopped.insert(domain, Instant::now());
    }
    until(&queue, "SELECT count(*) FROM outbox", 0).await;
    for worker in workers {
        worker.stop().await;
    }
    let domain = |recipient: &str| recipient.rsplit('@').next().unwrap_or_default().to_owned();
    let begins = mail.log().into_iter().filter(|entry| entry.event == MailEvent::Begin);
    let late: Vec<_> = begins
        .filter(|entry| stopped.get(&domain(&entry.recipient)).is_some_and(|at| entry.at > *at))
        .map(|entry| entry.recipient)
        .collect();
    assert!(late.is_empty(), "begun too late: {late:?}");
    let kept = queue.messages('u').await;
    assert!(kept > 300, "only {kept} were stopped before their mail");
    assert_eq!(queue.messages('s').await + kept, CONTACTS);
    queue.assert_books().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_under_load_is_quick() {
    let queue = MailQueue::of(3_000).await;
    let mail = quick_mail();
    let worker = Worker::start(Arc::new(queue.store()), &mail);
    while mail.accepted().len() < 200 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let store = queue.store();
    let asked = Instant::now();
    queue.pause(&store).await;
    let held = asked.elapsed();
    while queue.in_flight(&store).await > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let done = asked.elapsed();
    assert!(done < Duration::from_secs(2), "held after {held:?}, done after {done:?}");
    worker.stop().await;
    assert!(queue.queued('p').await > 0);
    queue.assert_books().await;
}
