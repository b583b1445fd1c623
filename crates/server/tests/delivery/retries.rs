//! What a mail server may answer, and what becomes of it.

use crate::{Worker, until, until_sent};
use muster_domain::model::delivery::SendOutcome;
use muster_domain::model::schedule::{OnInDoubt, Settings};
use muster_domain::ports::transport::TransportError;
use muster_testkit::fake_mail::{FakeBehaviour, FakeMail, MailEvent};
use muster_testkit::mail_queue::{MailQueue, QueuePlan};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn a_transient_refusal_is_tried_again_and_then_sent() {
    let queue = MailQueue::of(20).await;
    let mail = FakeMail::new(FakeBehaviour {
        reserve: Box::new(|envelope, before| match before {
            0 if envelope.to.starts_with("c1") => Err(TransportError::Refused("451 not now".to_owned())),
            _ => Ok(()),
        }),
        ..FakeBehaviour::default()
    });
    let worker = Worker::start(Arc::new(queue.store()), &mail);
    let put_off =
        "SELECT count(*) FROM outbox WHERE state = 'p' AND retry_at > now() + interval '25 seconds' AND attempts = 1";
    until(&queue, put_off, 11).await;
    queue.assert_books().await;
    queue.run("UPDATE outbox SET retry_at = now()").await;
    until_sent(&queue, 20).await;
    worker.stop().await;
    assert_eq!(queue.number("SELECT count(*) FROM messages WHERE attempts = 2").await, 11);
    queue.assert_books().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sender_refused_for_good_fails_and_is_not_tried_again() {
    let queue = MailQueue::of(3).await;
    let mail = FakeMail::new(FakeBehaviour {
        reserve: Box::new(|_, _| Err(TransportError::Rejected("550 not you".to_owned()))),
        ..FakeBehaviour::default()
    });
    let worker = Worker::start(Arc::new(queue.store()), &mail);
    until(&queue, "SELECT count(*) FROM messages WHERE state = 'f' AND detail LIKE '%550 not you%'", 3).await;
    worker.stop().await;
    assert_eq!(mail.recipients(MailEvent::Begin).len(), 3);
    queue.assert_books().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resend_is_the_same_mail() {
    let settings = Settings { on_in_doubt: OnInDoubt::Resend, ..Settings::default() };
    let queue = MailQueue::with(QueuePlan { contacts: 3, settings, ..QueuePlan::default() }).await;
    let mail = FakeMail::new(FakeBehaviour {
        confirm: Box::new(|_, before| match before {
            0 => SendOutcome::InDoubt { reason: "gone after the dot".to_owned() },
            _ => SendOutcome::Sent { reply: "250 ok".to_owned() },
        }),
        ..FakeBehaviour::default()
    });
    let worker = Worker::start(Arc::new(queue.store()), &mail);
    until(&queue, "SELECT count(*) FROM outbox WHERE resends = 1 AND retry_at > now() + interval '9 minutes'", 3).await;
    queue.run("UPDATE outbox SET retry_at = now()").await;
    until_sent(&queue, 3).await;
    worker.stop().await;
    let mut mails: Vec<_> = mail
        .log()
        .into_iter()
        .filter(|entry| entry.event == MailEvent::Accepted)
        .map(|entry| String::from_utf8(entry.data).unwrap())
        .collect();
    assert_eq!(mails.len(), 6);
    mails.sort_unstable();
    for pair in mails.chunks(2) {
        assert_eq!(pair[0], pair[1], "same Message-ID, same Date, same bytes");
        assert!(pair[0].starts_with("Message-ID: <MessageId-"));
    }
    queue.assert_books().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_doubt_is_not_sent_again() {
    let queue = MailQueue::of(3).await;
    let mail = FakeMail::new(FakeBehaviour {
        confirm: Box::new(|_, _| SendOutcome::InDoubt { reason: "gone after the dot".to_owned() }),
        ..FakeBehaviour::default()
    });
    let worker = Worker::start(Arc::new(queue.store()), &mail);
    until(&queue, "SELECT count(*) FROM messages WHERE state = 'd'", 3).await;
    worker.stop().await;
    assert_eq!((mail.accepted().len(), queue.number("SELECT count(*) FROM outbox").await), (3, 0));
    queue.assert_books().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_that_cannot_be_made_fails_alone() {
    let queue = MailQueue::of(40).await;
    queue.run("UPDATE contacts SET first_name = 'panic' WHERE email LIKE 'c1%'").await;
    queue.run("UPDATE contacts SET first_name = 'fail' WHERE email LIKE 'c2%'").await;
    let mail = FakeMail::new(FakeBehaviour::default());
    let worker = Worker::start(Arc::new(queue.store()), &mail);
    until_sent(&queue, 18).await;
    until(&queue, "SELECT count(*) FROM messages WHERE state = 'f' AND attempts = 0", 22).await;
    worker.stop().await;
    let reasons =
        queue.text("SELECT string_agg(DISTINCT detail, ' | ' ORDER BY detail) FROM messages WHERE state = 'f'").await;
    assert_eq!(reasons, "subjectLine: does not fit | the message could not be made");
    queue.assert_books().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_waits_for_a_mail_server_that_is_away() {
    let queue = MailQueue::of(50).await;
    let away = Arc::new(AtomicBool::new(true));
    let asked = Arc::clone(&away);
    let mail = FakeMail::new(FakeBehaviour {
        connect: Box::new(move || {
            if asked.load(Ordering::SeqCst) {
                Err(TransportError::Unavailable("connection refused".to_owned()))
            } else {
                Ok(())
            }
        }),
        ..FakeBehaviour::default()
    });
    let worker = Worker::start(Arc::new(queue.store()), &mail);
    tokio::time::sleep(Duration::from_millis(400)).await;
    until(&queue, "SELECT count(*) FROM outbox WHERE state = 'p' AND attempts = 0", 50).await;
    away.store(false, Ordering::SeqCst);
    until_sent(&queue, 50).await;
    worker.stop().await;
    queue.assert_books().await;
}
