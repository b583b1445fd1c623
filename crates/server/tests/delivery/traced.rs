//! Every step that the code takes on a real database is one that the models know.

use crate::{PATIENCE, deliveries};
use muster_adapters::postgres::PgStore;
use muster_domain::model::bounce::BounceClass;
use muster_domain::model::delivery::{RetryPolicy, SendOutcome};
use muster_domain::model::enrollment::ExitReason;
use muster_domain::model::ids::{CampaignId, ContactId, ContactNo};
use muster_domain::model::schedule::{OnInDoubt, Settings};
use muster_domain::ports::delivery::Reaper;
use muster_domain::ports::store::{StoreError, StoreResult, Tx, in_tx};
use muster_domain::ports::transport::TransportError;
use muster_domain::usecases::complete_campaign::{CompleteCampaign, complete_campaign};
use muster_domain::usecases::erase_contact::{EraseContact, EraseContactError, erase_contact};
use muster_domain::usecases::pause_campaign::TransitionError;
use muster_domain::usecases::unsubscribe::unsubscribe;
use muster_testkit::fake_mail::{FakeBehaviour, FakeMail};
use muster_testkit::mail_queue::{MailQueue, QueuePlan};
use muster_testkit::trace::{self, Seen};
use muster_worker::deliver::{DeliverLimits, DeliverPass};
use muster_worker::pace::{Nudge, Pace};
use muster_worker::plan::{PlanOptions, PlanPass};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;

const CONTACTS: i64 = 1_500;

/// A process: a runtime of its own, whose end is as sudden as a kill.
struct Process(Option<tokio::runtime::Runtime>);

impl Process {
    fn start(store: PgStore, mail: &Arc<FakeMail>) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (ports, limits) =
            (deliveries(Arc::new(store), mail), DeliverLimits { batch: 8, ..DeliverLimits::for_sessions(8) });
        runtime.spawn(async move {
            let pace = Pace { idle: Duration::from_millis(5), ..Pace::default() };
            DeliverPass::new(ports, limits).run(pace, Nudge::default(), CancellationToken::new(), |_| ()).await;
        });
        Self(Some(runtime))
    }

    /// What it had in hand is left as it is, at whatever line it was.
    fn kill(mut self) {
        self.0.take().unwrap().shutdown_background();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// A server that refuses some, loses some, and is slow enough for leases to run out under it.
fn moody_mail() -> Arc<FakeMail> {
    let number = |to: &str| to.trim_start_matches('c').split('@').next().unwrap().parse::<usize>().unwrap();
    FakeMail::new(FakeBehaviour {
        sessions: 8,
        delay: Duration::from_millis(4),
        reserve: Box::new(move |envelope, before| match number(&envelope.to) % 12 {
            1 if before == 0 => Err(TransportError::Refused("451 later".to_owned())),
            2 => Err(TransportError::Rejected("550 no".to_owned())),
            3 if before == 0 => Err(TransportError::Unavailable("gone".to_owned())),
            _ => Ok(()),
        }),
        confirm: Box::new(move |envelope, before| match number(&envelope.to) % 12 {
            4 | 5 if before == 0 => SendOutcome::InDoubt { reason: "gone after the dot".to_owned() },
            6 => SendOutcome::Failed { reason: "554 no".to_owned(), bounced: Some(BounceClass::Hard) },
            _ => SendOutcome::Sent { reply: "250 ok".to_owned() },
        }),
        ..FakeBehaviour::default()
    })
}

async fn until_conflicts_end(attempt: impl AsyncFn() -> StoreResult<()>) {
    loop {
        match attempt().await {
            Err(StoreError::Conflict) => {}
            other => return other.unwrap(),
        }
    }
}

/// Unsubscribes, erases, or takes out.
async fn leave(queue: &MailQueue, store: &PgStore, index: i64) {
    let contact = ContactNo(queue.first_contact + index);
    let id = queue.text(&format!("SELECT id FROM contacts WHERE contact_no = {}", contact.0)).await;
    let (id, campaign) = (ContactId(id.parse().unwrap()), campaign_id(queue).await);
    until_conflicts_end(async || {
        in_tx(store, queue.workspace, async |tx: &mut Tx| match index % 3 {
            0 => unsubscribe(tx, queue.delivery(index)).await.map(|_| ()),
            1 => match erase_contact(tx, EraseContact { id }).await {
                Err(EraseContactError::Store(error)) => Err(error),
                other => other.map_err(|error| StoreError::Internal(error.into())),
            },
            _ => {
                let campaign = tx.campaigns().find(campaign).await?.unwrap();
                let now = tx.now().await?;
                tx.analytics().exit(&campaign, contact, ExitReason::Manual, now).await.map(|_| ())
            }
        })
        .await
    })
    .await;
}

async fn campaign_id(queue: &MailQueue) -> CampaignId {
    CampaignId(queue.text("SELECT id FROM campaigns").await.parse().unwrap())
}

/// Changes rows of the outbox beside those who work on them, in the order in which everybody locks them: whoever takes them as
/// they lie waits in a circle with the workers.
async fn meddle(queue: &MailQueue, set: &str, which: &str) {
    let sql = format!(
        "UPDATE outbox o SET {set} FROM (SELECT tenant_no, campaign_no, contact_no, step, pass FROM outbox WHERE {which} \
             ORDER BY tenant_no, campaign_no, contact_no, step, pass FOR UPDATE) AS a \
         WHERE (o.tenant_no, o.campaign_no, o.contact_no, o.step, o.pass) = (a.tenant_no, a.campaign_no, a.contact_no, a.step, a.pass)"
    );
    queue.run(&sql).await;
}

/// Has the leases of all that is under way run out.
async fn end_leases(queue: &MailQueue) {
    meddle(queue, "lease_until = now() - interval '1 second'", "state <> 'p'").await;
}

/// A campaign of two mails amid everything that may happen to it.
async fn troubled_campaign(on_in_doubt: OnInDoubt) -> MailQueue {
    let settings = Settings { on_in_doubt, ..Settings::default() };
    let queue = MailQueue::with(QueuePlan { contacts: CONTACTS, steps: 2, settings, ..QueuePlan::default() }).await;
    trace::watch(&queue.database).await;
    let (store, mail) = (queue.store(), moody_mail());
    let mut processes: Vec<Process> = (0..2).map(|_| Process::start(queue.store(), &mail)).collect();
    let ports = Arc::new(queue.store());
    let mut plan = PlanPass::new(ports.clone(), ports.clone(), ports.clone(), ports, PlanOptions::default());
    let begun = Instant::now();
    for round in 0_i64.. {
        plan.tick().await.unwrap();
        match round % 8 {
            1 => {
                processes.remove(0).kill();
                processes.push(Process::start(queue.store(), &mail));
            }
            // Under those that live, too: their answers come late.
            2 | 5 => {
                end_leases(&queue).await;
                until_conflicts_end(async || store.reap(&RetryPolicy::default()).await.map(|_| ())).await;
            }
            3 => {
                queue.pause(&store).await;
                queue.resume(&store).await;
            }
            4 if round < 100 => leave(&queue, &store, CONTACTS - 1 - round).await,
            _ => meddle(&queue, "retry_at = now()", "state = 'p' AND retry_at > now()").await,
        }
        if round > 40 && queue.messages('s').await > CONTACTS / 2 {
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "it gets nowhere: {}", queue.snapshot().await);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // What is still under way is left in doubt.
    processes.into_iter().for_each(Process::kill);
    let id = campaign_id(&queue).await;
    until_conflicts_end(async || {
        match in_tx(&store, queue.workspace, async |tx| complete_campaign(tx, CompleteCampaign { id }).await).await {
            Err(TransitionError::Store(error)) => Err(error),
            other => other.map(|_| ()).map_err(|error| StoreError::Internal(error.into())),
        }
    })
    .await;
    end_leases(&queue).await;
    until_conflicts_end(async || store.reap(&RetryPolicy::default()).await.map(|_| ())).await;
    queue
}

fn assert_took(seen: &Seen, steps: &[&str]) {
    for step in steps {
        assert!(seen.deliveries.contains(*step), "{step} was never taken: {seen:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_campaign_in_trouble_takes_no_step_that_the_models_do_not_know() {
    for on_in_doubt in [OnInDoubt::Hold, OnInDoubt::Resend] {
        let queue = troubled_campaign(on_in_doubt).await;
        let seen = trace::seen(&queue.database).await;
        println!("{on_in_doubt:?}: {} steps, {:?}, {:?}", seen.steps, seen.deliveries, seen.enrollments);
        assert_eq!(seen.unknown, Vec::<String>::new());
        assert!(seen.steps > 1_000, "{}", seen.steps);
        assert_took(
            &seen,
            &[
                "none → Pending",
                "Pending → Claimed",
                "Claimed → Pending",
                "Claimed → Sending",
                "Sending → Pending",
                "Sending → Sent",
                "Sending → Failed",
                "Pending → Cancelled",
            ],
        );
        if on_in_doubt == OnInDoubt::Hold {
            assert_took(&seen, &["Sending → InDoubt", "InDoubt → Sent"]);
        }
        assert_eq!(queue.number("SELECT count(*) FROM outbox").await, 0);
        queue.assert_books().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_the_models_do_not_know_is_reported() {
    let illegal = [
        "UPDATE messages SET state = 'f' WHERE state = 's'",
        "UPDATE messages SET epoch = epoch + 1",
        "UPDATE outbox SET state = 'p', lease_until = NULL, epoch = 0 WHERE contact_no = (SELECT max(contact_no) FROM outbox)",
        "UPDATE outbox SET epoch = epoch - 1, attempts = attempts + 1",
        "DELETE FROM outbox WHERE contact_no = (SELECT max(contact_no) FROM outbox)",
        "DELETE FROM messages WHERE state = 's'",
        "INSERT INTO messages (tenant_no, campaign_no, contact_no, step, pass, state, attempts, epoch, version, queued_at, ended_at) \
         SELECT tenant_no, campaign_no, contact_no, step, pass, 's', 1, 1, 1, now(), now() FROM outbox",
        "UPDATE enrollments SET status = 'w', due_at = now(), ended_at = NULL WHERE status = 'c'",
    ];
    for sql in illegal {
        let queue = MailQueue::of(4).await;
        queue
            .run(
                "WITH gone AS (DELETE FROM outbox WHERE contact_no = (SELECT min(contact_no) FROM outbox) RETURNING *), \
                 e AS (UPDATE enrollments SET status = 'c', ended_at = now() WHERE contact_no = (SELECT min(contact_no) FROM enrollments)) \
                 INSERT INTO messages (tenant_no, campaign_no, contact_no, step, pass, state, attempts, epoch, version, queued_at, ended_at) \
                 SELECT tenant_no, campaign_no, contact_no, step, pass, 's', 1, 1, 1, now(), now() FROM gone; \
                 UPDATE outbox SET lease_until = now(), state = 'c', epoch = 1",
            )
            .await;
        trace::watch(&queue.database).await;
        queue
            .run("UPDATE outbox SET state = 's', attempts = 1 WHERE contact_no = (SELECT min(contact_no) FROM outbox)")
            .await;
        assert_eq!(trace::seen(&queue.database).await.unknown, Vec::<String>::new());
        queue.run(sql).await;
        assert_ne!(trace::seen(&queue.database).await.unknown, Vec::<String>::new(), "{sql}");
    }
}
