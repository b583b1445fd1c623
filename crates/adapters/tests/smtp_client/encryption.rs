//! TLS and credentials.

use crate::support::{Remembering, message, send, short_limits, transport_to};
use muster_domain::model::delivery::SendOutcome;
use muster_domain::ports::transport::TransportError;
use muster_testkit::smtp_sink::{Act, At, Rule, Script, SmtpSink, Verb};
use std::path::Path;

type Sent = Result<SendOutcome, TransportError>;

fn is_sent(result: &Sent) -> bool {
    matches!(result, Ok(SendOutcome::Sent { .. }))
}

/// `scheme://user:secret@localhost:port?…`
fn url(sink: &SmtpSink, scheme: &str, account: &str, parameters: &str) -> String {
    format!("{scheme}://{account}localhost:{}?{parameters}", sink.address().port())
}

fn ca(file: &Path) -> String {
    format!("tlsCa={}", file.display())
}

async fn send_to(url: &str) -> Sent {
    send(&transport_to(url, short_limits()), &message("a@x.test", b"x\r\n"), &Remembering::default()).await
}

fn tls() -> Script {
    Script { starttls: true, auth: Some("PLAIN LOGIN"), ..Script::default() }
}

#[tokio::test]
async fn starttls_then_auth_then_a_message() {
    for mechanism in ["PLAIN", "LOGIN", "CRAM-MD5 LOGIN PLAIN"] {
        let sink = SmtpSink::start(Script { auth: Some(mechanism), ..tls() }).await.unwrap();
        let result = send_to(&url(&sink, "smtp", "user:secret@", &ca(&SmtpSink::ca_file()))).await;
        assert!(is_sent(&result), "{mechanism}: {result:?}");
        let verbs: Vec<Verb> = sink.events().iter().map(|event| event.verb).take(5).collect();
        assert_eq!(verbs, [Verb::Connect, Verb::Ehlo, Verb::StartTls, Verb::Ehlo, Verb::Auth], "{mechanism}");
    }
}

#[tokio::test]
async fn implicit_tls_sends() {
    let sink = SmtpSink::start(Script { implicit_tls: true, ..Script::default() }).await.unwrap();
    let result = send_to(&url(&sink, "smtps", "", &ca(&SmtpSink::ca_file()))).await;
    assert!(is_sent(&result), "{result:?}");
}

#[tokio::test]
async fn a_certificate_nobody_vouches_for_is_refused() {
    let sink = SmtpSink::start(tls()).await.unwrap();
    for parameters in ["tls=required", "tls=offered"] {
        let result = send_to(&url(&sink, "smtp", "user:secret@", parameters)).await;
        assert!(matches!(result, Err(TransportError::Unavailable(_))), "{parameters}: {result:?}");
    }
    assert_eq!((sink.count(Verb::Auth), sink.accepted()), (0, 0));
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused_unless_it_is_the_one_that_was_named() {
    let sink = SmtpSink::start(Script { self_signed: true, ..tls() }).await.unwrap();
    let wrong = send_to(&url(&sink, "smtp", "", &ca(&SmtpSink::ca_file()))).await;
    assert!(matches!(wrong, Err(TransportError::Unavailable(_))), "{wrong:?}");
    let pinned = send_to(&url(&sink, "smtp", "", &ca(&SmtpSink::self_signed_file()))).await;
    assert!(is_sent(&pinned), "{pinned:?}");
}

#[tokio::test]
async fn a_server_whose_offer_of_encryption_was_stripped_is_not_spoken_to() {
    let sink = SmtpSink::start(Script { starttls: false, ..tls() }).await.unwrap();
    let result = send_to(&url(&sink, "smtp", "user:secret@", "tls=required")).await;
    assert!(matches!(result, Err(TransportError::Unavailable(_))), "{result:?}");
    assert_eq!((sink.count(Verb::Auth), sink.accepted()), (0, 0));
}

#[tokio::test]
async fn what_was_said_before_the_handshake_does_not_count() {
    let sink = SmtpSink::start(tls()).await.unwrap();
    sink.set_rules(vec![Rule::new(At::StartTls, Act::Extra("250 2.0.0 injected".into()))]);
    let result = send_to(&url(&sink, "smtp", "user:secret@", &ca(&SmtpSink::ca_file()))).await;
    assert!(matches!(result, Err(TransportError::Unavailable(_))), "{result:?}");
    assert_eq!((sink.count(Verb::Auth), sink.accepted()), (0, 0));
}

#[tokio::test]
async fn every_fault_at_starttls_makes_the_server_unavailable() {
    let acts = [
        Act::Reply("454 4.7.0 later".into()),
        Act::Reply("554 5.7.0 no".into()),
        Act::Drop,
        Act::Stall,
        Act::Garbage,
        Act::LongLine,
    ];
    for act in acts {
        let sink = SmtpSink::start(tls()).await.unwrap();
        sink.set_rules(vec![Rule::new(At::StartTls, act.clone())]);
        let result = send_to(&url(&sink, "smtp", "user:secret@", &ca(&SmtpSink::ca_file()))).await;
        assert!(matches!(result, Err(TransportError::Unavailable(_))), "{act:?}: {result:?}");
        assert_eq!(sink.count(Verb::Auth), 0, "{act:?}");
    }
}

#[tokio::test]
async fn wrong_credentials_are_rejected_and_not_repeated_in_the_reason() {
    let sink = SmtpSink::start(Script { auth: Some("PLAIN"), ..Script::default() }).await.unwrap();
    let result = send_to(&url(&sink, "smtp", "user:hunter2@", "")).await;
    assert!(matches!(result, Err(TransportError::Rejected(_))), "{result:?}");
    assert!(!format!("{result:?}").contains("hunter2"));
}

#[tokio::test]
async fn a_server_without_a_known_mechanism_is_rejected() {
    let sink = SmtpSink::start(Script { auth: Some("CRAM-MD5"), ..Script::default() }).await.unwrap();
    let result = send_to(&url(&sink, "smtp", "user:secret@", "")).await;
    assert!(matches!(result, Err(TransportError::Rejected(_))), "{result:?}");
}
