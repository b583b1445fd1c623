//! Servers that take `RCPT` and `DATA` in one write (RFC 2920).

use crate::support::{Remembering, message, send, short_limits, transport_to};
use muster_domain::model::delivery::SendOutcome;
use muster_testkit::smtp_sink::{At, Rule, Script, SmtpSink, Verb};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;

/// A server that says what it thinks of a recipient when it has read `DATA`, too; for one connection and one message.
async fn server_that_reads_both(listener: TcpListener) -> std::io::Result<()> {
    let (tcp, _) = listener.accept().await?;
    let (reading, mut writing) = tcp.into_split();
    let mut lines = BufReader::new(reading).lines();
    writing.write_all(b"220 mx.test\r\n").await?;
    while let Some(line) = lines.next_line().await? {
        let replies: &[u8] = match line.split([' ', ':']).next().unwrap_or_default() {
            "EHLO" => b"250-mx.test\r\n250 PIPELINING\r\n",
            "DATA" => b"250 2.1.5 ok\r\n354 go on\r\n",
            "MAIL" | "." => b"250 2.0.0 ok\r\n",
            // RCPT among them: its reply waits for DATA.
            _ => b"",
        };
        writing.write_all(replies).await?;
    }
    Ok(())
}

#[tokio::test]
async fn recipient_and_data_are_written_together_where_the_server_offers_it() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let transport = transport_to(&format!("smtp://{}", listener.local_addr().unwrap()), short_limits());
    let server = tokio::spawn(server_that_reads_both(listener));
    let result = send(&transport, &message("one@x.test", b"x\r\n"), &Remembering::default()).await;
    assert!(matches!(result, Ok(SendOutcome::Sent { .. })), "{result:?}");
    server.abort();
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
