//! What becomes of a message when a server misbehaves, for every phase and every way.

use crate::support::{LIMIT, Remembering, message, send, short_limits, transport_to};
use muster_domain::model::bounce::BounceClass;
use muster_domain::model::delivery::SendOutcome;
use muster_domain::ports::transport::{Phase, TransportError};
use muster_testkit::smtp_sink::{Act, At, Rule, Script, SmtpSink, Verb};
use std::time::{Duration, Instant};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Unavailable,
    Refused,
    Rejected,
    Retry,
    RetrySoft,
    Failed,
    Bounced,
    BouncedSoft,
    InDoubt,
    Sent,
}

fn fate(result: &Result<SendOutcome, TransportError>) -> Fate {
    match result {
        Err(TransportError::Unavailable(_)) => Fate::Unavailable,
        Err(TransportError::Refused(_)) => Fate::Refused,
        Err(TransportError::Rejected(_)) => Fate::Rejected,
        Ok(SendOutcome::Retry { soft: true, .. }) => Fate::RetrySoft,
        Ok(SendOutcome::Retry { soft: false, .. }) => Fate::Retry,
        Ok(SendOutcome::Failed { bounced: None, .. }) => Fate::Failed,
        Ok(SendOutcome::Failed { bounced: Some(BounceClass::Soft), .. }) => Fate::BouncedSoft,
        Ok(SendOutcome::Failed { bounced: Some(_), .. }) => Fate::Bounced,
        Ok(SendOutcome::InDoubt { .. }) => Fate::InDoubt,
        Ok(SendOutcome::Sent { .. }) => Fate::Sent,
    }
}

fn offering_auth(pipelining: bool) -> Script {
    Script { auth: Some("PLAIN LOGIN"), pipelining, ..Script::default() }
}

/// Bigger than all the buffers between the two, so that a fault in the body is met while writing it.
fn body(at: At) -> Vec<u8> {
    let lines = if at == At::Body { 400_000 } else { 3 };
    b"Hello, this is a line.\r\n".repeat(lines)
}

/// How commands are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Written {
    OneByOne,
    /// `RCPT` and `DATA` are.
    Together,
    /// With `MAIL`, too: as they are on a connection that has sent a message.
    All,
}

/// One fault; then the same transport must be able to send as if nothing had been. Of servers that take commands together,
/// and of those that do not.
async fn check(at: At, act: Act, expected: Fate, accepted: usize) {
    for written in [Written::OneByOne, Written::Together, Written::All] {
        // Before `MAIL` there is no message yet.
        if written != Written::All || matches!(at, At::Mail | At::Rcpt | At::Data | At::Body | At::Dot) {
            check_with(written, at, act.clone(), expected, accepted).await;
        }
    }
}

async fn check_with(written: Written, at: At, act: Act, expected: Fate, accepted: usize) {
    let case = format!("{at:?} {act:?}, {written:?}");
    let sink = SmtpSink::start(offering_auth(written != Written::OneByOne)).await.unwrap();
    let url = sink.url().replace("smtp://", "smtp://user:secret@") + "?sessions=1";
    let transport = transport_to(&url, short_limits());
    if written == Written::All {
        let first = send(&transport, &message("zero@x.test", &body(At::Dot)), &Remembering::default()).await;
        assert_eq!(fate(&first), Fate::Sent, "{case}: {first:?}");
    }
    let before = sink.accepted();
    sink.set_rules(vec![Rule::new(at, act.clone())]);
    let journal = Remembering::default();

    let begun = Instant::now();
    let result = send(&transport, &message("one@x.test", &body(at)), &journal).await;
    let took = begun.elapsed();

    assert_eq!(fate(&result), expected, "{case}: {result:?}");
    assert_eq!(sink.accepted() - before, accepted, "{case}: accepted");
    assert!(took < LIMIT * 8, "{case}: took {took:?}");
    if act == Act::Stall {
        assert!(took >= LIMIT, "{case}: gave up after {took:?}");
    }
    let dotted = journal.phases().contains(&Phase::Dot);
    assert_eq!(dotted, at == At::Dot, "{case}: {:?}", journal.phases());
    let replied = journal.phases().iter().any(|phase| matches!(phase, Phase::Replied { .. }));
    assert_eq!(replied, at == At::Dot && matches!(act, Act::Reply(_)), "{case}: {:?}", journal.phases());

    sink.set_rules(Vec::new());
    let second = send(&transport, &message("two@x.test", b"Hello\r\n"), &journal).await;
    assert_eq!(fate(&second), Fate::Sent, "{case}: afterwards {second:?}");
    assert_eq!(sink.messages().last().unwrap().to, "two@x.test", "{case}");
    let violations = sink.violations();
    assert_eq!((violations.early, violations.order), (0, 0), "{case}");
}

/// The five faults that are not a refusal: none of them is an answer.
async fn check_silence(at: At, expected: Fate) {
    for act in [Act::Drop, Act::Stall, Act::Garbage, Act::LongLine] {
        check(at, act, expected, 0).await;
    }
}

fn reply(line: &str) -> Act {
    Act::Reply(line.to_owned())
}

#[tokio::test]
async fn a_server_that_does_not_greet_is_unavailable() {
    check(At::Connect, reply("421 4.3.2 busy"), Fate::Unavailable, 0).await;
    check(At::Connect, reply("554 5.3.2 go away"), Fate::Unavailable, 0).await;
    check_silence(At::Connect, Fate::Unavailable).await;
}

#[tokio::test]
async fn a_server_that_refuses_ehlo_is_unavailable() {
    check(At::Ehlo, reply("421 4.3.2 busy"), Fate::Unavailable, 0).await;
    check(At::Ehlo, reply("451 4.3.2 busy"), Fate::Unavailable, 0).await;
    check(At::Ehlo, reply("550 5.7.1 not you"), Fate::Unavailable, 0).await;
    check_silence(At::Ehlo, Fate::Unavailable).await;
}

#[tokio::test]
async fn refused_credentials_are_told_from_a_server_that_is_down() {
    check(At::Auth, reply("454 4.7.0 later"), Fate::Refused, 0).await;
    check(At::Auth, reply("535 5.7.8 wrong"), Fate::Rejected, 0).await;
    check(At::Auth, reply("421 4.3.2 busy"), Fate::Unavailable, 0).await;
    check_silence(At::Auth, Fate::Unavailable).await;
}

#[tokio::test]
async fn without_an_accepted_sender_nothing_is_reserved() {
    check(At::Mail, reply("451 4.7.1 later"), Fate::Refused, 0).await;
    check(At::Mail, reply("550 5.7.1 not you"), Fate::Rejected, 0).await;
    check(At::Mail, reply("530 5.7.0 log in first"), Fate::Unavailable, 0).await;
    check(At::Mail, reply("535 5.7.8 no longer"), Fate::Unavailable, 0).await;
    check(At::Mail, reply("421 4.3.2 busy"), Fate::Unavailable, 0).await;
    check_silence(At::Mail, Fate::Unavailable).await;
}

#[tokio::test]
async fn a_refused_recipient_is_final_and_anything_else_at_rcpt_is_tried_again() {
    check(At::Rcpt, reply("450 4.2.1 busy"), Fate::RetrySoft, 0).await;
    check(At::Rcpt, reply("452 full"), Fate::RetrySoft, 0).await;
    check(At::Rcpt, reply("451 4.7.1 greylisted"), Fate::Retry, 0).await;
    check(At::Rcpt, reply("550 5.1.1 unknown"), Fate::Bounced, 0).await;
    check(At::Rcpt, reply("552 5.2.2 full"), Fate::BouncedSoft, 0).await;
    check(At::Rcpt, reply("554 5.7.1 policy"), Fate::Failed, 0).await;
    check(At::Rcpt, reply("421 4.3.2 busy"), Fate::Retry, 0).await;
    check(At::Rcpt, reply("354 what"), Fate::Retry, 0).await;
    check_silence(At::Rcpt, Fate::Retry).await;
}

#[tokio::test]
async fn a_loss_at_data_is_tried_again() {
    check(At::Data, reply("451 4.3.0 later"), Fate::Retry, 0).await;
    check(At::Data, reply("554 5.6.0 no"), Fate::Failed, 0).await;
    check(At::Data, reply("250 2.0.0 eager"), Fate::Retry, 0).await;
    check_silence(At::Data, Fate::Retry).await;
}

#[tokio::test]
async fn a_loss_within_the_body_is_tried_again() {
    check(At::Body, reply("451 4.3.0 full"), Fate::Retry, 0).await;
    check(At::Body, reply("552 5.3.4 too big"), Fate::Failed, 0).await;
    check_silence(At::Body, Fate::Retry).await;
}

#[tokio::test]
async fn only_a_loss_after_the_final_dot_is_in_doubt() {
    check(At::Dot, reply("451 4.3.0 later"), Fate::Retry, 0).await;
    check(At::Dot, reply("421 4.3.0 later"), Fate::Retry, 0).await;
    check(At::Dot, reply("554 5.7.1 spam"), Fate::Failed, 0).await;
    check(At::Dot, reply("250 2.9.9 whatever"), Fate::Sent, 1).await;
    check_silence(At::Dot, Fate::InDoubt).await;
    check(At::Dot, Act::AcceptThenDrop, Fate::InDoubt, 1).await;
}

#[tokio::test]
async fn a_slow_server_is_waited_for_within_the_limits() {
    let delay = Act::Delay(Duration::from_millis(60));
    let all = [At::Connect, At::Ehlo, At::Mail, At::Rcpt, At::Data, At::Body, At::Dot];
    let sink = SmtpSink::start(Script::with(all.map(|at| Rule::new(at, delay.clone())))).await.unwrap();
    let transport = transport_to(&sink.url(), short_limits());
    let result = send(&transport, &message("one@x.test", b"Hello\r\n"), &Remembering::default()).await;
    assert_eq!(fate(&result), Fate::Sent, "{result:?}");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unavailable() {
    let sink = SmtpSink::start(Script::default()).await.unwrap();
    let url = sink.url();
    sink.stop().await;
    let result = send(&transport_to(&url, short_limits()), &message("a@x.test", b""), &Remembering::default()).await;
    assert_eq!(fate(&result), Fate::Unavailable, "{result:?}");
}

#[tokio::test]
async fn a_server_that_knows_only_helo_is_spoken_to() {
    let sink = SmtpSink::start(Script { ehlo: false, ..Script::default() }).await.unwrap();
    let transport = transport_to(&sink.url(), short_limits());
    let result = send(&transport, &message("a@x.test", b"x\r\n"), &Remembering::default()).await;
    assert_eq!(fate(&result), Fate::Sent, "{result:?}");
    assert_eq!(sink.count(Verb::Helo), 1);
}

#[tokio::test]
async fn a_refusal_names_nobody() {
    let sink = SmtpSink::start(Script::with([Rule::reply(
        At::Rcpt,
        "550 5.1.1 <carol.jones@x.test>: carol.jones is unknown",
    )]))
    .await
    .unwrap();
    let transport = transport_to(&sink.url(), short_limits());
    let result = send(&transport, &message("carol.jones@x.test", b"x\r\n"), &Remembering::default()).await;
    let shown = format!("{result:?}");
    assert!(!shown.contains("carol") && shown.contains("550 5.1.1 <address>"), "{shown}");
}

#[tokio::test]
async fn a_reply_nobody_asked_for_is_never_taken_for_the_next_answer() {
    // A second 250 after the reply to RCPT would pass for the one to DATA, or after the dot for the next message's replies.
    let phases = [At::Mail, At::Rcpt, At::Data, At::Dot];
    for (at, pipelining) in phases.into_iter().flat_map(|at| [(at, false), (at, true)]) {
        let sink = SmtpSink::start(Script { pipelining, ..Script::default() }).await.unwrap();
        sink.set_rules(vec![Rule::new(at, Act::Extra("250 2.0.0 and one more".into())).nth(1)]);
        let transport = transport_to(&(sink.url() + "?sessions=1"), short_limits());
        let first = send(&transport, &message("one@x.test", b"x\r\n"), &Remembering::default()).await;
        let expected = if at == At::Dot { Fate::Sent } else { Fate::Retry };
        assert_eq!(fate(&first), expected, "{at:?}: {first:?}");
        // It is noticed before anything more is said.
        let said = (sink.count(Verb::Rcpt), sink.count(Verb::Data), sink.count(Verb::Dot));
        let meant = match at {
            At::Mail => (0, 0, 0),
            At::Rcpt => (1, usize::from(pipelining), 0),
            At::Data => (1, 1, 0),
            _ => (1, 1, 1),
        };
        assert_eq!(said, meant, "{at:?}");
        let second = send(&transport, &message("two@x.test", b"x\r\n"), &Remembering::default()).await;
        assert_eq!(fate(&second), Fate::Sent, "{at:?}: {second:?}");
        assert_eq!(sink.count(Verb::Connect), 2, "{at:?}: the connection was kept");
        assert_eq!(sink.messages().last().unwrap().to, "two@x.test");
    }
}

#[tokio::test]
async fn what_the_server_is_known_not_to_take_is_not_sent_to_it() {
    let sink = SmtpSink::start(Script { smtputf8: false, size: Some(100), ..Script::default() }).await.unwrap();
    let transport = transport_to(&(sink.url() + "?sessions=1"), short_limits());
    let journal = Remembering::default();
    let big = send(&transport, &message("a@x.test", &b"0123456789\r\n".repeat(20)), &journal).await;
    assert_eq!(fate(&big), Fate::Failed, "{big:?}");
    let abroad = send(&transport, &message("jürgen@x.test", b"x\r\n"), &journal).await;
    assert_eq!(fate(&abroad), Fate::Failed, "{abroad:?}");
    let injected = send(&transport, &message("a@x.test>\r\nRCPT TO:<b@x.test", b"x\r\n"), &journal).await;
    assert_eq!(fate(&injected), Fate::Failed, "{injected:?}");
    assert_eq!(sink.count(Verb::Rcpt), 0);
    assert_eq!(sink.count(Verb::Connect), 1, "the connection stays usable");
    let small = send(&transport, &message("a@x.test", b"x\r\n"), &journal).await;
    assert_eq!(fate(&small), Fate::Sent, "{small:?}");
}

#[tokio::test]
async fn an_international_address_is_announced() {
    let sink = SmtpSink::start(Script::default()).await.unwrap();
    let transport = transport_to(&sink.url(), short_limits());
    let result = send(&transport, &message("jürgen@x.test", b"x\r\n"), &Remembering::default()).await;
    assert_eq!(fate(&result), Fate::Sent, "{result:?}");
    let mail = sink.events().into_iter().find(|event| event.verb == Verb::Mail).unwrap();
    assert!(mail.detail.contains("SMTPUTF8"), "{}", mail.detail);
    assert_eq!(sink.messages()[0].to, "jürgen@x.test");
}
