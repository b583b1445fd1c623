//! Which connections are used again, and which are not.

use crate::support::{Remembering, attempt, message, send, short_limits, transport, transport_to};
use muster_adapters::smtp::PhaseTimeouts;
use muster_domain::model::delivery::SendOutcome;
use muster_domain::ports::transport::{MailTransport, TransportError};
use muster_testkit::smtp_sink::{Act, At, Rule, Script, SmtpSink, Verb, Violations};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;

const SOON: Duration = Duration::from_secs(10);

fn is_sent(result: &Result<SendOutcome, TransportError>) -> bool {
    matches!(result, Ok(SendOutcome::Sent { .. }))
}

#[tokio::test]
async fn one_connection_serves_many_messages() {
    let sink = SmtpSink::start(Script::default()).await.unwrap();
    let transport = transport(&sink);
    for n in 0..50 {
        let result = send(&transport, &message(&format!("{n}@x.test"), b"Hello\r\n"), &Remembering::default()).await;
        assert!(is_sent(&result), "{result:?}");
    }
    assert_eq!((sink.count(Verb::Connect), sink.count(Verb::Ehlo), sink.accepted()), (1, 1, 50));
    assert_eq!(sink.violations(), Violations::default());
}

#[tokio::test]
async fn there_are_never_more_connections_than_sessions() {
    let sink = SmtpSink::start(Script::default()).await.unwrap();
    let transport = transport_to(&(sink.url() + "?sessions=3"), transport_limits());
    assert_eq!(transport.sessions_at_most(), 3);
    let sends = (0..40).map(|n| {
        let transport = transport.clone();
        async move { send(&transport, &message(&format!("{n}@x.test"), b"x\r\n"), &Remembering::default()).await }
    });
    let results = futures::future::join_all(sends).await;
    assert!(results.iter().all(is_sent), "{results:?}");
    assert_eq!(sink.accepted(), 40);
    assert!(sink.count(Verb::Connect) <= 3, "{}", sink.count(Verb::Connect));
}

fn transport_limits() -> PhaseTimeouts {
    PhaseTimeouts { reserve: SOON, ..Default::default() }
}

#[tokio::test]
async fn a_session_that_cannot_be_had_is_not_waited_for_for_ever() {
    let sink = SmtpSink::start(Script::default()).await.unwrap();
    let transport = transport_to(&(sink.url() + "?sessions=1"), short_limits());
    let held = transport.session().await.unwrap();
    assert!(matches!(transport.session().await, Err(TransportError::Unavailable(_))));
    drop(held);
    assert!(transport.session().await.is_ok());
    assert_eq!(sink.count(Verb::Connect), 1);
}

#[tokio::test]
async fn a_refused_message_leaves_the_connection_usable() {
    for at in [At::Rcpt, At::Data, At::Dot] {
        let sink = SmtpSink::start(Script::with([Rule::reply(at, "550 5.1.1 no").nth(1)])).await.unwrap();
        let transport = transport(&sink);
        let first = send(&transport, &message("a@x.test", b"x\r\n"), &Remembering::default()).await;
        assert!(matches!(first, Ok(SendOutcome::Failed { .. })), "{first:?}");
        assert!(is_sent(&send(&transport, &message("b@x.test", b"x\r\n"), &Remembering::default()).await));
        assert_eq!(sink.count(Verb::Connect), 1, "{at:?}");
        assert_eq!(sink.violations(), Violations::default(), "{at:?}");
    }
}

#[tokio::test]
async fn an_aborted_reservation_sends_nothing_and_keeps_the_connection() {
    let sink = SmtpSink::start(Script::default()).await.unwrap();
    let transport = transport(&sink);
    let mut session = transport.session().await.unwrap();
    session.reserve(&message("a@x.test", b"")).await.unwrap();
    session.abort().await;
    session.abort().await;
    let outcome = session.confirm(attempt(1), &message("a@x.test", b"x\r\n"), &Remembering::default()).await;
    assert!(matches!(outcome, SendOutcome::Retry { .. }), "{outcome:?}");
    drop(session);
    assert_eq!((sink.count(Verb::Data), sink.count(Verb::Rset)), (0, 1));
    assert!(is_sent(&send(&transport, &message("b@x.test", b"x\r\n"), &Remembering::default()).await));
    assert_eq!((sink.count(Verb::Connect), sink.accepted()), (1, 1));
}

#[tokio::test]
async fn reserving_twice_takes_the_first_back() {
    let sink = SmtpSink::start(Script::default()).await.unwrap();
    let mut session = transport(&sink).session().await.unwrap();
    session.reserve(&message("a@x.test", b"")).await.unwrap();
    session.reserve(&message("b@x.test", b"")).await.unwrap();
    let outcome = session.confirm(attempt(1), &message("b@x.test", b"x\r\n"), &Remembering::default()).await;
    assert!(matches!(outcome, SendOutcome::Sent { .. }), "{outcome:?}");
    assert_eq!(sink.violations(), Violations::default());
}

#[tokio::test]
async fn a_session_dropped_in_mid_transaction_closes_its_connection() {
    let sink = SmtpSink::start(Script::default()).await.unwrap();
    let transport = transport(&sink);
    let mut session = transport.session().await.unwrap();
    session.reserve(&message("a@x.test", b"")).await.unwrap();
    drop(session);
    sink.until(SOON, |sink| sink.count(Verb::Closed) == 1).await.unwrap();
    assert!(is_sent(&send(&transport, &message("b@x.test", b"x\r\n"), &Remembering::default()).await));
    assert_eq!(sink.count(Verb::Connect), 2);
}

#[tokio::test]
async fn a_confirmation_given_up_half_way_closes_its_connection() {
    let sink = SmtpSink::start(Script::with([Rule::new(At::Rcpt, Act::Stall).nth(1)])).await.unwrap();
    let transport = transport(&sink);
    let mut session = transport.session().await.unwrap();
    let wire = message("a@x.test", b"x\r\n");
    session.reserve(&wire).await.unwrap();
    let journal = Remembering::default();
    let stalled = tokio::time::timeout(Duration::from_millis(50), session.confirm(attempt(1), &wire, &journal)).await;
    assert!(stalled.is_err());
    drop(session);
    assert!(is_sent(&send(&transport, &message("b@x.test", b"x\r\n"), &journal).await));
    assert_eq!(sink.count(Verb::Connect), 2);
}

#[tokio::test]
async fn a_connection_the_server_closed_meanwhile_is_not_lent() {
    let sink =
        SmtpSink::start(Script::with([Rule::new(At::Dot, Act::Extra("421 4.4.2 idle for too long".into())).nth(1)]))
            .await
            .unwrap();
    let transport = transport(&sink);
    assert!(is_sent(&send(&transport, &message("a@x.test", b"x\r\n"), &Remembering::default()).await));
    assert!(is_sent(&send(&transport, &message("b@x.test", b"x\r\n"), &Remembering::default()).await));
    assert_eq!(sink.count(Verb::Connect), 2);
}

#[tokio::test]
async fn a_server_that_was_restarted_is_found_again() {
    let sink = SmtpSink::start(Script::with([Rule::new(At::Rset, Act::Drop)])).await.unwrap();
    let transport = transport(&sink);
    let mut session = transport.session().await.unwrap();
    session.reserve(&message("a@x.test", b"")).await.unwrap();
    session.abort().await;
    drop(session);
    assert!(is_sent(&send(&transport, &message("b@x.test", b"x\r\n"), &Remembering::default()).await));
    assert_eq!(sink.count(Verb::Connect), 2);
}

#[tokio::test]
async fn a_connection_is_retired_after_many_messages_with_a_good_bye() {
    let sink = SmtpSink::start(Script { keep_data: false, ..Script::default() }).await.unwrap();
    let transport = transport_to(&(sink.url() + "?sessions=1"), transport_limits());
    for n in 0..501 {
        let result = send(&transport, &message(&format!("{n}@x.test"), b"x\r\n"), &Remembering::default()).await;
        assert!(is_sent(&result), "{result:?}");
    }
    sink.until(SOON, |sink| sink.count(Verb::Quit) == 1).await.unwrap();
    assert_eq!((sink.count(Verb::Connect), sink.accepted()), (2, 501));
}

#[tokio::test]
async fn idle_connections_can_be_closed_with_a_good_bye() {
    let sink = SmtpSink::start(Script::default()).await.unwrap();
    let transport = transport(&sink);
    let both = (transport.session().await.unwrap(), transport.session().await.unwrap());
    drop(both);
    transport.close_idle().await;
    assert_eq!((sink.count(Verb::Connect), sink.count(Verb::Quit)), (2, 2));
}

#[tokio::test]
async fn a_connection_nobody_needs_is_closed_with_a_good_bye() {
    let sink = SmtpSink::start(Script::default()).await.unwrap();
    let limits = PhaseTimeouts { idle: Duration::from_millis(100), ..transport_limits() };
    let transport = transport_to(&sink.url(), limits);
    assert!(is_sent(&send(&transport, &message("a@x.test", b"x\r\n"), &Remembering::default()).await));
    sink.until(SOON, |sink| sink.count(Verb::Quit) == 1 && sink.count(Verb::Closed) == 1).await.unwrap();
    assert!(is_sent(&send(&transport, &message("b@x.test", b"x\r\n"), &Remembering::default()).await));
    sink.until(SOON, |sink| sink.count(Verb::Quit) == 2).await.unwrap();
}

#[tokio::test]
async fn a_connection_that_was_idle_for_a_while_is_asked_before_it_is_lent() {
    let sink = SmtpSink::start(Script::default()).await.unwrap();
    // Asked after 500 ms, closed after 6 s.
    let transport = transport_to(&sink.url(), PhaseTimeouts { idle: Duration::from_secs(6), ..transport_limits() });
    drop(transport.session().await.unwrap());
    tokio::time::sleep(Duration::from_millis(600)).await;
    drop(transport.session().await.unwrap());
    assert_eq!((sink.count(Verb::Noop), sink.count(Verb::Connect)), (1, 1));

    sink.set_rules(vec![Rule::new(At::Noop, Act::Drop)]);
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert!(is_sent(&send(&transport, &message("a@x.test", b"x\r\n"), &Remembering::default()).await));
    assert_eq!((sink.count(Verb::Noop), sink.count(Verb::Connect)), (2, 2));
}

/// A server that takes its time to part; how many connections it had at most at once.
async fn server_that_parts_slowly(listener: TcpListener, open: Arc<AtomicUsize>, most: Arc<AtomicUsize>) {
    while let Ok((tcp, _)) = listener.accept().await {
        let now = open.fetch_add(1, Ordering::SeqCst) + 1;
        most.fetch_max(now, Ordering::SeqCst);
        let open = Arc::clone(&open);
        tokio::spawn(async move {
            let (reading, mut writing) = tcp.into_split();
            let mut lines = BufReader::new(reading).lines();
            let mut reply: &[u8] = b"220 mx.test\r\n";
            while writing.write_all(reply).await.is_ok() {
                let Ok(Some(line)) = lines.next_line().await else { break };
                reply = match line.split([' ', ':']).next().unwrap_or_default() {
                    "EHLO" | "MAIL" | "RCPT" | "." => b"250 2.0.0 ok\r\n",
                    "DATA" => b"354 go on\r\n",
                    "QUIT" => {
                        tokio::time::sleep(Duration::from_millis(200)).await;
                        break;
                    }
                    _ => b"",
                };
            }
            open.fetch_sub(1, Ordering::SeqCst);
        });
    }
}

#[tokio::test]
async fn a_connection_that_has_had_its_messages_is_counted_until_it_is_closed() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let transport = transport_to(&format!("smtp://{}?sessions=1", listener.local_addr().unwrap()), transport_limits());
    let (open, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let server = tokio::spawn(server_that_parts_slowly(listener, open, Arc::clone(&most)));
    for n in 0..=500 {
        let sent = send(&transport, &message(&format!("{n}@x.test"), b"x\r\n"), &Remembering::default()).await;
        assert!(is_sent(&sent), "{n}: {sent:?}");
    }
    assert_eq!(most.load(Ordering::SeqCst), 1);
    server.abort();
}
