//! Mails that come back while others go out.

use crate::{Worker, until};
use futures::{StreamExt, stream};
use muster_adapters::feedback::MailReports;
use muster_adapters::postgres::PgStore;
use muster_adapters::tokens::SealedTokens;
use muster_domain::model::bounce::BounceClass;
use muster_domain::model::delivery::{RetryPolicy, SendOutcome};
use muster_domain::model::feedback::{Bounce, Feedback, FeedbackKind, MailName};
use muster_domain::model::guard_rails::GuardRails;
use muster_domain::model::hook::{HookKey, Receipt};
use muster_domain::model::schedule::Settings;
use muster_domain::ports::feedback::FeedbackFormat;
use muster_domain::ports::store::{StoreError, in_tx};
use muster_domain::ports::tokens::{TokenPurpose, Tokens};
use muster_domain::usecases::receive_feedback::{
    ReceiveError, ReceiveFeedback, Received, receive_feedback, workspace_of,
};
use muster_testkit::fake_mail::{FakeBehaviour, FakeMail, MailEvent};
use muster_testkit::mail_queue::{MailQueue, QueuePlan};
use muster_worker::housekeeping::guard;
use secrecy::SecretSlice;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// So many reports are taken in at the same time.
const AT_ONCE: usize = 8;

fn tokens() -> SealedTokens {
    SealedTokens::new(&SecretSlice::from(vec![7; 32]), &[])
}

/// Makes a hook of the queue's workspace.
async fn hook(queue: &MailQueue) -> HookKey {
    let made = in_tx(&queue.store(), queue.workspace, async |tx| tx.hooks().insert("test").await).await;
    made.unwrap().key
}

/// Takes a report in, as often as others come between.
async fn receive(store: &PgStore, hook: HookKey, index: i64, feedback: &Feedback) -> Received {
    let tokens = tokens();
    let mut id = [0; 32];
    id[..8].copy_from_slice(&index.to_be_bytes());
    let command = ReceiveFeedback { hook, receipt: Receipt { id, content: [0; 32] }, feedback };
    loop {
        match in_tx(store, workspace_of(hook), async |tx| receive_feedback(tx, &tokens, command).await).await {
            Ok(received) => return received,
            Err(ReceiveError::Store(StoreError::Conflict)) => {}
            Err(error) => panic!("{error:?}"),
        }
    }
}

/// Reports a hard bounce of the mail to the contact of that index, as a mail server would.
async fn report_bounce(store: &PgStore, queue: &MailQueue, hook: HookKey, index: i64) -> Received {
    let path = tokens().seal(TokenPurpose::ReturnPath, queue.delivery(index));
    let mail = format!(
        "To: {path}@bounces.example.com\nMIME-Version: 1.0\nContent-Type: multipart/report; boundary=b\n\n--b\n\
         Content-Type: message/delivery-status\n\nAction: failed\nStatus: 5.1.1\n\n--b--\n"
    );
    let read = MailReports.read(mail.as_bytes()).unwrap();
    receive(store, hook, index, &read[0]).await
}

/// Earlier mails come back while others to the same contacts go out at full speed.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_begins_to_an_address_after_its_hard_bounce_was_taken_in() {
    const CONTACTS: i64 = 800;
    let queue = MailQueue::with(QueuePlan { contacts: CONTACTS, steps: 1, ..QueuePlan::default() }).await;
    // Of an earlier pass through the step, which was sent.
    queue
        .run(
            "INSERT INTO messages SELECT tenant_no, campaign_no, contact_no, step, 7, 's', 1, 1, version, queued_at, now(), '250' FROM outbox; \
             UPDATE step_counters SET sent = pending, entered = entered + pending; \
             INSERT INTO stats (tenant_no, campaign_no, step, quarter, sent) \
                SELECT tenant_no, campaign_no, 1, date_bin('15 minutes', now(), '2026-01-01T00:00:00Z'), sent FROM step_counters",
        )
        .await;
    let hook = hook(&queue).await;
    let behaviour = FakeBehaviour { delay: Duration::from_millis(30), sessions: 4, ..FakeBehaviour::default() };
    let mail = FakeMail::new(behaviour);
    let workers = [Worker::start(Arc::new(queue.store()), &mail), Worker::start(Arc::new(queue.store()), &mail)];
    let store = queue.store();
    // From the far end, so that they meet the mail on its way.
    let reports = (0..CONTACTS).rev().step_by(4).map(async |index| {
        let received = report_earlier_bounce(&store, &queue, hook, index).await;
        assert_eq!(received, Received::Counted);
        (format!("c{}@example.org", index + 1), Instant::now())
    });
    let given_up: HashMap<String, Instant> = stream::iter(reports).buffer_unordered(AT_ONCE).collect().await;
    until(&queue, "SELECT count(*) FROM outbox", 0).await;
    for worker in workers {
        worker.stop().await;
    }
    let begun = mail.log().into_iter().filter(|entry| entry.event == MailEvent::Begin);
    let late: Vec<_> = begun
        .filter(|entry| given_up.get(&entry.recipient).is_some_and(|at| entry.at > *at))
        .map(|entry| entry.recipient)
        .collect();
    assert!(late.is_empty(), "begun too late: {late:?}");
    let kept = queue.number("SELECT count(*) FROM messages WHERE state IN ('u', 'x')").await;
    assert!(kept > 50, "only {kept} were stopped before their mail");
    assert_eq!(queue.number("SELECT count(*) FROM suppressions WHERE reason = 'bounced'").await, CONTACTS / 4);
    assert_eq!(queue.number("SELECT sum(returned) FROM stats").await, CONTACTS / 4);
    queue.assert_books().await;
}

/// The same for the mail of the earlier pass.
async fn report_earlier_bounce(store: &PgStore, queue: &MailQueue, hook: HookKey, index: i64) -> Received {
    let mut delivery = queue.delivery(index);
    delivery.pass.0 = 7;
    let feedback = Feedback {
        kind: FeedbackKind::Bounced(Bounce { class: BounceClass::Hard, status: None }),
        mail: vec![MailName::MessageId(tokens().seal(TokenPurpose::MessageId, delivery))],
        occurred_at: None,
    };
    receive(store, hook, index, &feedback).await
}

/// A bounce may be quicker than the record of the sending it belongs to.
#[tokio::test(flavor = "multi_thread")]
async fn bounces_of_mails_that_are_just_being_sent_keep_the_books() {
    const CONTACTS: i64 = 200;
    let queue = MailQueue::of(CONTACTS).await;
    let hook = hook(&queue).await;
    let mail = FakeMail::new(FakeBehaviour { delay: Duration::from_millis(250), ..FakeBehaviour::default() });
    let worker = Worker::start(Arc::new(queue.store()), &mail);
    let store = queue.store();
    let mut reported = 0;
    while reported < usize::try_from(CONTACTS).unwrap() {
        let begun = mail.recipients(MailEvent::Begin).split_off(reported);
        reported += begun.len();
        let reports = begun.iter().map(async |recipient| {
            let n: i64 = recipient.trim_start_matches('c').trim_end_matches("@example.org").parse().unwrap();
            assert_eq!(report_bounce(&store, &queue, hook, n - 1).await, Received::Counted);
        });
        stream::iter(reports).buffer_unordered(AT_ONCE).collect::<()>().await;
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    until(&queue, "SELECT count(*) FROM outbox", 0).await;
    worker.stop().await;
    assert_eq!(queue.number("SELECT count(*) FROM suppressions WHERE reason = 'bounced'").await, CONTACTS);
    let exited = queue.number("SELECT exited FROM campaign_counters").await;
    assert!(exited > 20, "only {exited} were still being sent to");
    assert_eq!(queue.number("SELECT sum(returned + bounced) FROM stats").await, CONTACTS);
    queue.assert_books().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_refused_for_good_while_sending_is_suppressed_and_leaves_every_campaign() {
    let queue = MailQueue::of(20).await;
    // The same contacts wait in a second campaign of the tenant.
    queue
        .run(
            "INSERT INTO campaigns (tenant_no, workspace_no, id, name, campaign_type, status, segment_no, from_email, from_name, \
                schedule, settings, created_by, created_at, updated_at, launched_at, sequence_version, enrollment_state) \
             SELECT tenant_no, workspace_no, gen_random_uuid(), 'other', 'drip', 'active', segment_no, from_email, from_name, \
                schedule, settings, created_by, created_at, updated_at, launched_at, 1, 'done' FROM campaigns; \
             INSERT INTO enrollments (tenant_no, campaign_no, contact_no, due_at, enrolled_at, version, pass, step, status) \
             SELECT tenant_no, campaign_no + 1, contact_no, now() + interval '1 day', now(), 1, 0, 1, 'e' FROM enrollments; \
             INSERT INTO campaign_counters (tenant_no, campaign_no, audience, open) \
             SELECT tenant_no, campaign_no + 1, audience, open FROM campaign_counters",
        )
        .await;
    // Four mails of other campaigns to one of them came back in the weeks before.
    let soft = "INSERT INTO soft_bounces SELECT tenant_no, contact_no, 900 + n, 1, 1, now() - n * interval '9 days' \
        FROM contacts, generate_series(1, 4) n WHERE email_key = 'c7@example.org'";
    queue.run(soft).await;
    let mail = FakeMail::new(FakeBehaviour {
        confirm: Box::new(|envelope, _| {
            let reason = "RCPT: 550 5.1.1 no".to_owned();
            match envelope.to.as_str() {
                "c3@example.org" | "c4@example.org" => SendOutcome::Failed { reason, bounced: Some(BounceClass::Hard) },
                "c5@example.org" => SendOutcome::Failed { reason, bounced: None },
                "c6@example.org" | "c7@example.org" => SendOutcome::Failed { reason, bounced: Some(BounceClass::Soft) },
                _ => SendOutcome::Sent { reply: "250 ok".to_owned() },
            }
        }),
        ..FakeBehaviour::default()
    });
    let worker = Worker::start(Arc::new(queue.store()), &mail);
    until(&queue, "SELECT count(*) FROM outbox", 0).await;
    worker.stop().await;
    let suppressed = "SELECT string_agg(entry || ' ' || reason, ', ' ORDER BY entry) FROM suppressions";
    assert_eq!(queue.text(suppressed).await, "c3@example.org bounced, c4@example.org bounced, c7@example.org bounced");
    assert_eq!(queue.number("SELECT count(*) FROM soft_bounces").await, 6);
    assert_eq!(queue.number("SELECT count(*) FROM enrollments WHERE exit_reason = 'b'").await, 6, "of both campaigns");
    assert_eq!(queue.number("SELECT sum(bounced) FROM stats").await, 4, "the soft ones too");
    queue.assert_books().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_refused_for_now_until_no_attempt_is_left_has_bounced_softly() {
    let queue = MailQueue::of(6).await;
    let soft = "INSERT INTO soft_bounces SELECT tenant_no, contact_no, 900 + n, 1, 1, now() - n * interval '9 days' \
        FROM contacts, generate_series(1, 4) n WHERE email_key IN ('c2@example.org', 'c4@example.org')";
    queue.run(soft).await;
    // The next attempt is the last one of some of them.
    let last = i64::from(RetryPolicy::default().max_attempts) - 1;
    let until_last = format!(
        "UPDATE outbox SET attempts = {last} WHERE contact_no IN (SELECT contact_no FROM contacts \
         WHERE email_key IN ('c1@example.org', 'c2@example.org', 'c3@example.org'))"
    );
    queue.run(&until_last).await;
    let mail = FakeMail::new(FakeBehaviour {
        confirm: Box::new(|envelope, _| {
            let reason = "RCPT: 452 4.2.2 full".to_owned();
            match envelope.to.as_str() {
                "c1@example.org" | "c2@example.org" | "c4@example.org" => SendOutcome::Retry { reason, soft: true },
                "c3@example.org" => SendOutcome::Retry { reason, soft: false },
                _ => SendOutcome::Sent { reply: "250 ok".to_owned() },
            }
        }),
        ..FakeBehaviour::default()
    });
    let worker = Worker::start(Arc::new(queue.store()), &mail);
    until(&queue, "SELECT count(*) FROM messages", 5).await;
    until(&queue, "SELECT count(*) FROM outbox WHERE state = 'p' AND attempts = 1", 1).await;
    worker.stop().await;
    assert_eq!(queue.text("SELECT string_agg(entry, ', ' ORDER BY entry) FROM suppressions").await, "c2@example.org");
    assert_eq!(queue.number("SELECT count(*) FROM soft_bounces WHERE campaign_no < 900").await, 2, "the last ones");
    assert_eq!(queue.text("SELECT format('%s %s', sum(bounced), sum(sent)) FROM stats").await, "2 2");
    assert_eq!(
        queue.text("SELECT format('%s %s %s', pending, sent, failed) FROM step_counters WHERE step = 1").await,
        "1 2 3"
    );
    queue.assert_books().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_campaign_past_its_guard_rails_pauses_itself_and_says_why() {
    let rails = GuardRails { max_bounce_rate: Some(0.1), max_complaint_rate: None, min_sample: 20 };
    let settings = Settings { guard_rails: Some(rails), ..Settings::default() };
    let queue = MailQueue::with(QueuePlan { contacts: 60, settings, ..QueuePlan::default() }).await;
    let unguarded = queue.add(QueuePlan { contacts: 1, ..QueuePlan::default() }).await;
    let store = queue.store();
    assert_eq!(guard(&store, &store).await.unwrap(), 0, "nothing was sent yet");
    queue
        .run(
            "INSERT INTO stats (tenant_no, campaign_no, step, quarter, sent, bounced, returned) \
             SELECT tenant_no, campaign_no, 1, date_trunc('hour', now()), 27, 3, 1 FROM campaigns",
        )
        .await;
    assert_eq!(guard(&store, &store).await.unwrap(), 1);
    let paused =
        format!("SELECT count(*) FROM campaigns WHERE status = 'paused' AND campaign_no <> {}", unguarded.campaign.0);
    assert_eq!(queue.number(&paused).await, 1);
    let problem = queue.text("SELECT last_problem FROM campaigns WHERE status = 'paused'").await;
    assert!(problem.contains("4 of 30 mails bounced"), "{problem}");
    assert_eq!(guard(&store, &store).await.unwrap(), 0, "it is paused already");
    queue.resume(&store).await;
    assert_eq!(queue.text("SELECT max(last_problem) FROM campaigns").await, "");
    queue.run("UPDATE campaigns SET settings = jsonb_set(settings, '{guardRails,maxBounceRate}', '0.2')").await;
    assert_eq!(guard(&store, &store).await.unwrap(), 0, "the limit was raised");
}
