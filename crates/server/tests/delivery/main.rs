//! The deliver pass over a real database: what must hold while several workers, people and faults are at it at once.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bounces;
mod faults;
mod order;
mod races;
mod retries;
mod traced;

use muster_domain::ports::delivery::DeliveryStore;
use muster_testkit::fake_mail::{FakeBehaviour, FakeJournal, FakeMail, FakeTransport, plain_desk};
use muster_testkit::mail_queue::MailQueue;
use muster_worker::deliver::{DeliverLimits, DeliverPass, Deliveries};
use muster_worker::pace::{Nudge, Pace};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Longer than this no test waits.
const PATIENCE: Duration = Duration::from_mins(1);

/// A deliver pass at work, as in a process of its own.
struct Worker {
    end: CancellationToken,
    task: JoinHandle<()>,
}

impl Worker {
    fn start(store: Arc<dyn DeliveryStore>, mail: &Arc<FakeMail>) -> Self {
        Self::start_with(store, mail, DeliverLimits::for_sessions(mail.sessions()))
    }

    fn start_with(store: Arc<dyn DeliveryStore>, mail: &Arc<FakeMail>, limits: DeliverLimits) -> Self {
        let pass = DeliverPass::new(deliveries(store, mail), limits);
        let end = CancellationToken::new();
        let pace = Pace { idle: Duration::from_millis(10), ..Pace::default() };
        let task = tokio::spawn(pass.run(pace, Nudge::default(), end.clone(), |_| ()));
        Self { end, task }
    }

    /// Ends it in order.
    async fn stop(self) {
        self.end.cancel();
        tokio::time::timeout(PATIENCE, self.task).await.expect("it ends in time").unwrap();
    }
}

fn deliveries(store: Arc<dyn DeliveryStore>, mail: &Arc<FakeMail>) -> Deliveries {
    let transport = Arc::new(FakeTransport(Arc::clone(mail)));
    Deliveries { store, transport, journal: Arc::new(FakeJournal::default()), desk: plain_desk() }
}

fn quick_mail() -> Arc<FakeMail> {
    FakeMail::new(FakeBehaviour::default())
}

/// Waits until the expression is that number.
async fn until(queue: &MailQueue, expression: &str, number: i64) {
    let begun = Instant::now();
    loop {
        let now = queue.number(expression).await;
        if now == number {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "{expression} is {now} and not {number}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn until_sent(queue: &MailQueue, number: i64) {
    until(queue, "SELECT count(*) FROM messages WHERE state = 's'", number).await;
}

/// Nobody got two.
fn assert_each_once(recipients: &[String], expected: usize) {
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for recipient in recipients {
        *counts.entry(recipient).or_default() += 1;
    }
    let twice: Vec<_> = counts.iter().filter(|(_, count)| **count > 1).collect();
    assert!(twice.is_empty(), "sent twice: {twice:?}");
    assert_eq!(counts.len(), expected);
}
