//! The sender of the next message behind the final dot of the one before, in one write (RFC 2920 section 3.1).

use crate::support::{Remembering, attempt, message, send, short_limits, transport_to};
use muster_adapters::smtp::SmtpTransport;
use muster_domain::model::delivery::SendOutcome;
use muster_domain::ports::transport::{MailSession, MailTransport, Phase, TransportError};
use muster_testkit::smtp_sink::{Act, At, Rule, Script, SmtpSink, Verb, Violations};
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;

const SOON: Duration = Duration::from_secs(5);

/// A sink with one connection to it, and how many messages went over that before.
struct Acquainted {
    sink: SmtpSink,
    transport: SmtpTransport,
    before: usize,
    /// Has reserved a message to one@x.test, which takes another behind it.
    session: Box<dyn MailSession>,
}

impl Acquainted {
    /// With a server that is quick, as soon as it was: a busy machine may be slow about a message.
    async fn with(script: Script) -> Self {
        let sink = SmtpSink::start(script).await.unwrap();
        let transport = transport_to(&(sink.url() + "?sessions=1"), short_limits());
        let one = message("one@x.test", b"x\r\n");
        let mut session = transport.session().await.unwrap();
        for before in 0..300 {
            session.reserve(&one).await.unwrap();
            if session.takes_another_behind() {
                return Self { sink, transport, before, session };
            }
            let sent = session.confirm(attempt(0), &one, &Remembering::default()).await;
            assert!(matches!(sent, SendOutcome::Sent { .. }), "{sent:?}");
        }
        panic!("nothing is taken behind a message");
    }

    /// The same, and from here on the server does this.
    async fn before(rule: Rule) -> Self {
        let acquainted = Self::with(Script::default()).await;
        acquainted.sink.set_rules(vec![rule]);
        acquainted
    }

    /// What becomes of the message that is reserved, and of one to two@x.test behind it.
    async fn with_another_behind(&mut self) -> (SendOutcome, Result<(), TransportError>) {
        with_another_behind(self.session.as_mut(), ("one@x.test", "two@x.test")).await
    }

    async fn confirm_the_second(&mut self) -> SendOutcome {
        self.session.confirm(attempt(2), &message("two@x.test", b"y\r\n"), &Remembering::default()).await
    }

    /// So many messages were accepted since, and so many connections were there in all, after another was sent.
    async fn goes_on(self) -> (usize, usize) {
        drop(self.session);
        let sent = send(&self.transport, &message("three@x.test", b"x\r\n"), &Remembering::default()).await;
        assert!(matches!(sent, Ok(SendOutcome::Sent { .. })), "{sent:?}");
        (self.sink.accepted() - self.before, self.sink.count(Verb::Connect))
    }
}

/// A session that has reserved a message to `to`.
async fn reserved(transport: &SmtpTransport, to: &str) -> Box<dyn MailSession> {
    let mut session = transport.session().await.unwrap();
    session.reserve(&message(to, b"x\r\n")).await.unwrap();
    session
}

/// What became of the message that is reserved, and of the next, which is named behind it.
async fn with_another_behind(
    session: &mut dyn MailSession,
    (to, next): (&str, &str),
) -> (SendOutcome, Result<(), TransportError>) {
    let (first, next) = (message(to, b"x\r\n"), message(next, b"y\r\n"));
    session.confirm_and_reserve(attempt(1), &first, &Remembering::default(), &next, SOON).await
}

#[tokio::test]
async fn what_was_named_behind_a_message_goes_out_as_if_it_had_been_named_by_itself() {
    let mut known = Acquainted::with(Script::default()).await;
    let (outcome, next) = known.with_another_behind().await;
    assert!(matches!(outcome, SendOutcome::Sent { .. }), "{outcome:?}");
    assert_eq!(next, Ok(()));
    let journal = Remembering::default();
    let outcome = known.session.confirm(attempt(2), &message("two@x.test", b"y\r\n"), &journal).await;
    assert!(matches!(outcome, SendOutcome::Sent { .. }), "{outcome:?}");
    assert!(matches!(journal.phases().as_slice(), [Phase::Dot, Phase::Replied { .. }]));
    let to: Vec<String> = known.sink.messages().into_iter().map(|message| message.to).collect();
    assert_eq!(to[known.before..], ["one@x.test", "two@x.test"]);
    assert_eq!(known.sink.events().iter().filter(|event| event.behind).count(), 1);
    assert_eq!((known.sink.count(Verb::Connect), known.sink.violations()), (1, Violations::default()));
}

/// A server that answers a message after so long, and says whether something stood behind the end of each.
async fn server_with_an_eye_for_company(listener: &TcpListener, takes: &[u64]) -> std::io::Result<Vec<bool>> {
    let (mut tcp, _) = listener.accept().await?;
    tcp.set_nodelay(true)?;
    let (reading, mut writing) = tcp.split();
    let mut reading = BufReader::new(reading);
    writing.write_all(b"220 mx.test\r\n").await?;
    let (mut company, mut line) = (Vec::new(), String::new());
    while reading.read_line(&mut line).await? > 0 {
        let reply = match line.split([' ', ':', '\r']).next().unwrap_or_default() {
            "EHLO" => "250-mx.test\r\n250 PIPELINING\r\n",
            "MAIL" | "RCPT" => "250 ok\r\n",
            "DATA" => "354 go on\r\n",
            "." => {
                tokio::time::sleep(Duration::from_millis(takes[company.len()])).await;
                company.push(!reading.buffer().is_empty());
                "250 ok\r\n"
            }
            _ => "",
        };
        line.clear();
        writing.write_all(reply.as_bytes()).await?;
    }
    Ok(company)
}

#[tokio::test]
async fn nothing_stands_behind_a_message_before_the_server_was_quick_about_one_nor_soon_after_it_was_slow() {
    for (takes, expected) in [
        ([0, 0, 0, 0], [false, true, true, false]),
        ([100, 0, 0, 0], [false, false, false, false]),
        ([0, 100, 0, 0], [false, true, false, false]),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let transport = transport_to(&format!("smtp://{}?sessions=1", listener.local_addr().unwrap()), short_limits());
        let server = tokio::spawn(async move { server_with_an_eye_for_company(&listener, &takes).await });
        let mut session = reserved(&transport, "0@x.test").await;
        for (number, behind) in expected.into_iter().enumerate().take(3) {
            let (to, next) = (format!("{number}@x.test"), format!("{}@x.test", number + 1));
            assert_eq!(session.takes_another_behind(), behind, "{takes:?} {number}");
            let (outcome, next) = with_another_behind(session.as_mut(), (&to, &next)).await;
            assert!(matches!(outcome, SendOutcome::Sent { .. }), "{outcome:?}");
            assert_eq!(next, Ok(()));
        }
        let last = session.confirm(attempt(1), &message("3@x.test", b"x\r\n"), &Remembering::default()).await;
        assert!(matches!(last, SendOutcome::Sent { .. }), "{last:?}");
        drop((session, transport));
        assert_eq!(server.await.unwrap().unwrap(), expected, "{takes:?}");
    }
}

#[tokio::test]
async fn where_the_server_takes_one_command_at_a_time_the_next_is_named_after_the_message() {
    let sink = SmtpSink::start(Script { pipelining: false, ..Script::default() }).await.unwrap();
    let transport = transport_to(&(sink.url() + "?sessions=1"), short_limits());
    let mut session = reserved(&transport, "0@x.test").await;
    for number in 0..3 {
        assert!(!session.takes_another_behind());
        let (to, next) = (format!("{number}@x.test"), format!("{}@x.test", number + 1));
        let (outcome, next) = with_another_behind(session.as_mut(), (&to, &next)).await;
        assert!(matches!((outcome, next), (SendOutcome::Sent { .. }, Ok(()))));
    }
    assert_eq!((sink.count(Verb::Mail), sink.violations()), (4, Violations::default()));
}

#[tokio::test]
async fn a_message_that_is_refused_at_its_end_takes_nothing_from_the_one_behind_it() {
    for refusal in ["451 4.3.0 later", "554 5.6.0 never"] {
        let mut known = Acquainted::before(Rule::reply(At::Dot, refusal).first(1)).await;
        let (outcome, next) = known.with_another_behind().await;
        assert!(matches!(outcome, SendOutcome::Retry { .. } | SendOutcome::Failed { .. }), "{outcome:?}");
        assert_eq!(next, Ok(()), "{refusal}");
        assert!(matches!(known.confirm_the_second().await, SendOutcome::Sent { .. }));
        assert_eq!(known.goes_on().await, (2, 1));
    }
}

#[tokio::test]
async fn a_recipient_that_is_refused_takes_nothing_from_the_next_message() {
    let script = Script::with([Rule::reply(At::Rcpt, "550 5.1.1 unknown").to("gone")]);
    let mut known = Acquainted::with(script).await;
    assert_eq!(known.with_another_behind().await.1, Ok(()));
    assert!(matches!(known.confirm_the_second().await, SendOutcome::Sent { .. }));
    known.session.reserve(&message("gone@x.test", b"x\r\n")).await.unwrap();
    let (outcome, next) = with_another_behind(known.session.as_mut(), ("gone@x.test", "two@x.test")).await;
    assert!(matches!(outcome, SendOutcome::Failed { bounced: Some(_), .. }), "{outcome:?}");
    assert_eq!(next, Ok(()));
    assert!(matches!(known.confirm_the_second().await, SendOutcome::Sent { .. }));
    assert_eq!(known.goes_on().await, (4, 1));
}

#[tokio::test]
async fn a_connection_that_is_lost_with_a_message_is_lost_for_the_one_behind_it() {
    let acts = [Act::Drop, Act::AcceptThenDrop, Act::Garbage, Act::Reply("421 4.3.2 closing".to_owned()), Act::Stall];
    for act in acts {
        let mut known = Acquainted::before(Rule::new(At::Dot, act.clone()).first(1)).await;
        let (outcome, next) = known.with_another_behind().await;
        let closing = matches!(act, Act::Reply(_));
        assert_eq!(matches!(outcome, SendOutcome::Retry { .. }), closing, "{act:?}: {outcome:?}");
        assert_eq!(matches!(outcome, SendOutcome::InDoubt { .. }), !closing, "{act:?}: {outcome:?}");
        assert!(matches!(next, Err(TransportError::Unavailable(_))), "{act:?}: {next:?}");
        let late = known.confirm_the_second().await;
        assert!(matches!(late, SendOutcome::Retry { .. }), "{act:?}: {late:?}");
        let accepted = 1 + usize::from(act == Act::AcceptThenDrop);
        assert_eq!(known.goes_on().await, (accepted, 2), "{act:?}");
    }
}

#[tokio::test]
async fn after_a_loss_with_another_behind_a_message_all_connections_send_without_for_a_while() {
    let mut known = Acquainted::before(Rule::new(At::Dot, Act::Drop).first(1)).await;
    let (begun, one) = (Instant::now(), message("one@x.test", b"x\r\n"));
    assert!(known.with_another_behind().await.1.is_err());
    let lost = Instant::now();
    drop(known.session);
    let mut session = known.transport.session().await.unwrap();
    loop {
        session.reserve(&one).await.unwrap();
        if session.takes_another_behind() {
            break;
        }
        let sent = session.confirm(attempt(1), &one, &Remembering::default()).await;
        assert!(matches!(sent, SendOutcome::Sent { .. }), "{sent:?}");
        assert!(lost.elapsed() < Duration::from_secs(30), "and then it is tried again");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(begun.elapsed() >= Duration::from_secs(1), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_sender_that_is_refused_behind_a_message_leaves_the_connection_for_the_next() {
    let mut known = Acquainted::before(Rule::reply(At::Mail, "450 4.7.1 later").first(1)).await;
    let (outcome, next) = known.with_another_behind().await;
    assert!(matches!(outcome, SendOutcome::Sent { .. }), "{outcome:?}");
    assert!(matches!(next, Err(TransportError::Refused(_))), "{next:?}");
    assert_eq!(known.goes_on().await, (2, 1));
}

#[tokio::test]
async fn what_was_named_behind_a_message_and_is_taken_back_reaches_nobody() {
    let mut known = Acquainted::with(Script::default()).await;
    assert_eq!(known.with_another_behind().await.1, Ok(()));
    let named = known.sink.count(Verb::Mail);
    known.session.abort().await;
    assert_eq!(named - known.before, 2);
    assert_eq!(known.goes_on().await, (2, 2), "the connection is closed: its server waits for a message");
}

#[tokio::test]
async fn what_cannot_be_named_in_time_is_not_named_and_its_session_is_good_for_another() {
    let mut known = Acquainted::with(Script::default()).await;
    let (first, next) = (message("one@x.test", b"x\r\n"), message("two@x.test", b"y\r\n"));
    let journal = Remembering::default();
    let (outcome, next) = known.session.confirm_and_reserve(attempt(1), &first, &journal, &next, Duration::ZERO).await;
    assert!(matches!(outcome, SendOutcome::Sent { .. }), "{outcome:?}");
    assert!(matches!(next, Err(TransportError::Unavailable(_))), "{next:?}");
    assert_eq!(known.sink.count(Verb::Mail) - known.before, 1);
    assert_eq!(known.goes_on().await, (2, 1));
}

#[tokio::test]
async fn what_the_server_is_known_not_to_take_is_not_opened_behind_a_message() {
    let mut known = Acquainted::with(Script { smtputf8: false, ..Script::default() }).await;
    let (outcome, next) = with_another_behind(known.session.as_mut(), ("one@x.test", "\u{fc}@x.test")).await;
    assert!(matches!(outcome, SendOutcome::Sent { .. }), "{outcome:?}");
    assert_eq!(next, Ok(()), "its sender is taken, and what is wrong is said of the recipient");
    let journal = Remembering::default();
    let refused = known.session.confirm(attempt(2), &message("\u{fc}@x.test", b"y\r\n"), &journal).await;
    assert!(matches!(refused, SendOutcome::Failed { bounced: None, .. }), "{refused:?}");
    assert_eq!(known.sink.count(Verb::Data) - known.before, 1);
    assert_eq!(known.goes_on().await, (2, 1));
}

#[tokio::test]
async fn nothing_is_named_behind_the_last_message_of_a_connection() {
    let mut known = Acquainted::with(Script::default()).await;
    for _ in known.before + 1..500 {
        assert_eq!(with_another_behind(known.session.as_mut(), ("one@x.test", "one@x.test")).await.1, Ok(()));
    }
    assert!(!known.session.takes_another_behind());
    let one = message("one@x.test", b"x\r\n");
    let last = known.session.confirm(attempt(1), &one, &Remembering::default()).await;
    assert!(matches!(last, SendOutcome::Sent { .. }), "{last:?}");
    assert_eq!((known.sink.accepted(), known.sink.count(Verb::Connect)), (500, 1));
    assert_eq!(known.goes_on().await.1, 2);
}
