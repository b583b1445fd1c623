//! Servers that take `RCPT` and `DATA` in one write (RFC 2920).

use crate::support::{Remembering, attempt, message, send, short_limits, transport_to};
use muster_adapters::smtp::{PhaseTimeouts, SmtpTransport};
use muster_domain::model::delivery::SendOutcome;
use muster_domain::ports::transport::{MailTransport, TransportError};
use muster_testkit::smtp_sink::{Act, At, Rule, Script, SmtpSink, Verb, Violations};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;

/// A server that answers nothing but what it was asked last before it has to: replies to `MAIL` that had company, and to `RCPT`,
/// wait for `DATA`; there it takes as long as it is told for each message. For one connection; whether each `MAIL` had company.
async fn server_that_reads_all(listener: &TcpListener, takes: [Duration; 3]) -> std::io::Result<Vec<bool>> {
    let (mut tcp, _) = listener.accept().await?;
    let (reading, mut writing) = tcp.split();
    let mut reading = BufReader::new(reading);
    writing.write_all(b"220 mx.test\r\n").await?;
    let (mut company, mut owed) = (Vec::new(), String::new());
    let mut takes = takes.into_iter();
    let mut line = String::new();
    while reading.read_line(&mut line).await? > 0 {
        match line.split([' ', ':', '\r']).next().unwrap_or_default() {
            "EHLO" => owed.push_str("250-mx.test\r\n250 PIPELINING\r\n"),
            "MAIL" => {
                company.push(!reading.buffer().is_empty());
                owed.push_str("250 2.1.0 ok\r\n");
            }
            "RCPT" => owed.push_str("250 2.1.5 ok\r\n"),
            "DATA" => {
                owed.push_str("354 go on\r\n");
                tokio::time::sleep(takes.next().unwrap_or_default()).await;
            }
            "." => owed.push_str("250 2.0.0 ok\r\n"),
            _ => {}
        }
        line.clear();
        if reading.buffer().is_empty() {
            writing.write_all(std::mem::take(&mut owed).as_bytes()).await?;
        }
    }
    Ok(company)
}

#[tokio::test]
async fn commands_are_written_together_where_the_server_offers_it_and_is_quick() {
    let (quick, slow) = (Duration::ZERO, Duration::from_millis(100));
    for (takes, expected) in [
        ([quick, quick, quick], [false, true, true]),
        ([slow, quick, quick], [false, false, false]),
        ([quick, slow, quick], [false, true, false]),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let transport = transport_to(&format!("smtp://{}", listener.local_addr().unwrap()), short_limits());
        let server = tokio::spawn(async move { server_that_reads_all(&listener, takes).await });
        for to in ["one@x.test", "two@x.test", "three@x.test"] {
            let result = send(&transport, &message(to, b"x\r\n"), &Remembering::default()).await;
            assert!(matches!(result, Ok(SendOutcome::Sent { .. })), "{to}: {result:?}");
        }
        drop(transport);
        assert_eq!(server.await.unwrap().unwrap(), expected, "{takes:?}");
    }
}

#[tokio::test]
async fn after_a_group_without_a_reply_other_connections_ask_apart_too() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    // The second connection is greeted when the server is done with the first.
    let limits = PhaseTimeouts { greeting: Duration::from_secs(20), ..short_limits() };
    let transport = transport_to(&format!("smtp://{}?sessions=1", listener.local_addr().unwrap()), limits);
    let too_long = Duration::from_secs(1);
    let server = tokio::spawn(async move {
        let first = server_that_reads_all(&listener, [Duration::ZERO, too_long, Duration::ZERO]).await;
        (first, server_that_reads_all(&listener, [Duration::ZERO; 3]).await)
    });
    let journal = Remembering::default();
    assert!(matches!(send(&transport, &message("one@x.test", b"x\r\n"), &journal).await, Ok(SendOutcome::Sent { .. })));
    let mut session = transport.session().await.unwrap();
    let slow = message("slow@x.test", b"x\r\n");
    let given_up = tokio::time::timeout(Duration::from_millis(100), session.reserve(&slow)).await;
    assert!(given_up.is_err());
    drop(session);
    for to in ["slow@x.test", "two@x.test"] {
        let sent = send(&transport, &message(to, b"x\r\n"), &journal).await;
        assert!(matches!(sent, Ok(SendOutcome::Sent { .. })), "{to}: {sent:?}");
    }
    drop(transport);
    assert_eq!(server.await.unwrap().1.unwrap(), [false, false]);
}

#[tokio::test]
async fn on_a_connection_that_met_a_refused_recipient_the_next_are_asked_for_by_themselves() {
    let sink = SmtpSink::start(Script::with([Rule::reply(At::Rcpt, "550 5.1.1 unknown").to("gone")])).await.unwrap();
    let transport = transport_to(&(sink.url() + "?sessions=1"), short_limits());
    let journal = Remembering::default();
    for to in ["gone1@x.test", "gone2@x.test"] {
        let refused = send(&transport, &message(to, b"x\r\n"), &journal).await;
        assert!(matches!(refused, Ok(SendOutcome::Failed { bounced: Some(_), .. })), "{refused:?}");
    }
    assert_eq!((sink.count(Verb::Rcpt), sink.count(Verb::Data)), (2, 1));
    let sent = send(&transport, &message("here@x.test", b"x\r\n"), &journal).await;
    assert!(matches!(sent, Ok(SendOutcome::Sent { .. })), "{sent:?}");
    assert_eq!(sink.count(Verb::Connect), 1, "the connection stays usable");
    assert_eq!(sink.violations().order, 0);
}

#[tokio::test]
async fn a_server_that_wants_a_message_for_a_recipient_it_refused_gets_none() {
    for reply in ["354 go on", "250 2.0.0 eager", "421 4.3.2 enough"] {
        let rules = [Rule::reply(At::Rcpt, "550 5.1.1 unknown").first(1), Rule::reply(At::Data, reply).first(1)];
        let sink = SmtpSink::start(Script::with(rules)).await.unwrap();
        let transport = transport_to(&(sink.url() + "?sessions=1"), short_limits());
        let journal = Remembering::default();
        let refused = send(&transport, &message("gone@x.test", b"x\r\n"), &journal).await;
        assert!(matches!(refused, Ok(SendOutcome::Failed { bounced: Some(_), .. })), "{reply}: {refused:?}");
        assert_eq!(journal.phases(), [], "{reply}");
        let sent = send(&transport, &message("here@x.test", b"x\r\n"), &journal).await;
        assert!(matches!(sent, Ok(SendOutcome::Sent { .. })), "{reply}: {sent:?}");
        assert_eq!(sink.count(Verb::Connect), 2, "{reply}: the connection was kept");
        assert_eq!((sink.count(Verb::Dot), sink.accepted()), (1, 1), "{reply}");
    }
}

/// A sink and a connection to it on which one message was sent, so that the next is written together.
async fn acquainted(rules: impl IntoIterator<Item = Rule>) -> (SmtpSink, SmtpTransport) {
    acquainted_with(Script::with(rules)).await
}

async fn acquainted_with(script: Script) -> (SmtpSink, SmtpTransport) {
    let sink = SmtpSink::start(script).await.unwrap();
    let transport = transport_to(&(sink.url() + "?sessions=1"), short_limits());
    let sent = send(&transport, &message("first@x.test", b"x\r\n"), &Remembering::default()).await;
    assert!(matches!(sent, Ok(SendOutcome::Sent { .. })), "{sent:?}");
    (sink, transport)
}

/// So many `DATA` the server has read when the next message of that connection is reserved and taken back.
async fn data_read_when_reserved(sink: &SmtpSink, transport: &SmtpTransport) -> usize {
    let mut session = transport.session().await.unwrap();
    session.reserve(&message("next@x.test", b"x\r\n")).await.unwrap();
    session.abort().await;
    drop(session);
    // Whatever was written before is read by the time that this is.
    let sent = send(transport, &message("last@x.test", b"x\r\n"), &Remembering::default()).await;
    assert!(matches!(sent, Ok(SendOutcome::Sent { .. })), "{sent:?}");
    assert_eq!(sink.violations(), Violations::default());
    assert_eq!(sink.accepted(), sink.count(Verb::Dot), "of what was taken back the server has nothing");
    sink.count(Verb::Data) - sink.accepted()
}

#[tokio::test]
async fn what_was_taken_back_after_data_was_written_closes_its_connection() {
    let (sink, transport) = acquainted([]).await;
    assert_eq!(data_read_when_reserved(&sink, &transport).await, 1);
    assert_eq!((sink.count(Verb::Connect), sink.count(Verb::Rset), sink.accepted()), (2, 0, 2));
}

#[tokio::test]
async fn what_is_taken_back_before_the_server_has_answered_leaves_nothing_for_a_message() {
    let late = Rule::new(At::Rcpt, Act::Delay(Duration::from_millis(200))).nth(2);
    let (sink, transport) = acquainted([late]).await;
    let before = sink.body_octets();
    let mut session = transport.session().await.unwrap();
    session.reserve(&message("one@x.test", b"x\r\n")).await.unwrap();
    session.abort().await;
    drop(session);
    sink.until(Duration::from_secs(10), |sink| sink.count(Verb::Closed) == 1).await.unwrap();
    assert_eq!((sink.body_octets(), sink.accepted()), (before, 1));
}

#[tokio::test]
async fn a_message_reserved_and_another_confirmed_reaches_nobody() {
    let (sink, transport) = acquainted([]).await;
    let mut session = transport.session().await.unwrap();
    session.reserve(&message("one@x.test", b"x\r\n")).await.unwrap();
    let outcome = session.confirm(attempt(1), &message("other@x.test", b"x\r\n"), &Remembering::default()).await;
    assert!(matches!(outcome, SendOutcome::Retry { .. }), "{outcome:?}");
    assert_eq!(sink.accepted(), 1);
}

#[tokio::test]
async fn where_recipients_take_their_time_the_sender_is_asked_by_itself() {
    for (delay, together) in [(0, true), (100, false)] {
        let (sink, transport) = acquainted([Rule::new(At::Rcpt, Act::Delay(Duration::from_millis(delay)))]).await;
        let data = data_read_when_reserved(&sink, &transport).await;
        assert_eq!(data, usize::from(together), "{delay:?}");
        assert_eq!(sink.count(Verb::Rset), usize::from(!together), "{delay:?}");
    }
}

#[tokio::test]
async fn what_the_server_is_known_not_to_take_is_not_opened() {
    let (sink, transport) = acquainted_with(Script { smtputf8: false, ..Script::default() }).await;
    let refused = send(&transport, &message("\u{fc}@x.test", b"x\r\n"), &Remembering::default()).await;
    assert!(matches!(refused, Ok(SendOutcome::Failed { bounced: None, .. })), "{refused:?}");
    assert_eq!((sink.count(Verb::Data), sink.count(Verb::Connect)), (1, 1));
}

#[tokio::test]
async fn after_a_refused_sender_the_replies_to_what_was_written_behind_it_are_read() {
    for refusal in ["450 4.7.1 later", "550 5.7.1 never"] {
        let (sink, transport) = acquainted([Rule::reply(At::Mail, refusal).nth(2)]).await;
        let refused = send(&transport, &message("one@x.test", b"x\r\n"), &Remembering::default()).await;
        assert!(refused.is_err(), "{refused:?}");
        for to in ["two@x.test", "three@x.test"] {
            let sent = send(&transport, &message(to, b"x\r\n"), &Remembering::default()).await;
            assert!(matches!(sent, Ok(SendOutcome::Sent { .. })), "{refusal}: {sent:?}");
        }
        assert_eq!((sink.count(Verb::Connect), sink.accepted()), (1, 3), "the connection stays usable");
        assert_eq!((sink.count(Verb::Mail), sink.count(Verb::Data)), (4, 4), "{refusal}");
    }
}

#[tokio::test]
async fn a_server_that_wants_a_message_of_a_sender_it_refused_gets_none() {
    let rules = [
        Rule::reply(At::Mail, "450 4.7.1 later").nth(2),
        Rule::reply(At::Rcpt, "550 5.1.1 no").nth(2),
        Rule::reply(At::Data, "354 go on").nth(2),
    ];
    let (sink, transport) = acquainted(rules).await;
    let refused = send(&transport, &message("one@x.test", b"x\r\n"), &Remembering::default()).await;
    assert!(matches!(refused, Err(TransportError::Refused(_))), "{refused:?}");
    let sent = send(&transport, &message("two@x.test", b"x\r\n"), &Remembering::default()).await;
    assert!(matches!(sent, Ok(SendOutcome::Sent { .. })), "{sent:?}");
    assert_eq!((sink.count(Verb::Connect), sink.accepted()), (2, 2));
}
