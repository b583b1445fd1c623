//! One message in is one message out, with the same lines.

use crate::support::{Remembering, message, send, transport};
use muster_domain::model::delivery::SendOutcome;
use muster_testkit::smtp_sink::{Script, SmtpSink, Verb, Violations};

async fn arrives_as(bodies: &[(&[u8], &[u8])]) {
    let sink = SmtpSink::start(Script::default()).await.unwrap();
    let transport = transport(&sink);
    for (n, (body, _)) in bodies.iter().enumerate() {
        let result = send(&transport, &message(&format!("{n}@x.test"), body), &Remembering::default()).await;
        assert!(matches!(result, Ok(SendOutcome::Sent { .. })), "{body:?}: {result:?}");
    }
    let messages = sink.messages();
    assert_eq!(messages.len(), bodies.len());
    for (message, (body, expected)) in messages.iter().zip(bodies) {
        assert_eq!(String::from_utf8_lossy(message.body()), String::from_utf8_lossy(expected), "{body:?}");
    }
    assert_eq!(sink.count(Verb::Unknown), 0);
    assert_eq!(sink.violations(), Violations::default());
}

#[tokio::test]
async fn no_body_can_end_itself_or_hide_another_message() {
    let smuggled = b"a\n.\nMAIL FROM:<evil@x.test>\nRCPT TO:<b@x.test>\nDATA\nhi\n.\n";
    let made_whole = b"a\r\n.\r\nMAIL FROM:<evil@x.test>\r\nRCPT TO:<b@x.test>\r\nDATA\r\nhi\r\n.\r\n";
    arrives_as(&[
        (b"", b""),
        (b"no line end", b"no line end\r\n"),
        (b".\r\n", b".\r\n"),
        (b"..\r\n...\r\n", b"..\r\n...\r\n"),
        (b"a\n.\nb\r\n", b"a\r\n.\r\nb\r\n"),
        (b"a\r.\r\nb\r\n", b"a\r\n.\r\nb\r\n"),
        (b"a\n.\r\nb\r\n", b"a\r\n.\r\nb\r\n"),
        (b"a\r\n.\nb\r\n", b"a\r\n.\r\nb\r\n"),
        (b"a\r\n.\rb\r\n", b"a\r\n.\r\nb\r\n"),
        (b"a\r\r\n.\r\nb", b"a\r\n\r\n.\r\nb\r\n"),
        (smuggled, made_whole),
    ])
    .await;
}

#[tokio::test]
async fn a_body_larger_than_every_buffer_arrives_whole() {
    let body = b".0123456789 lorem ipsum dolor sit amet\r\n".repeat(100_000);
    arrives_as(&[(&body, &body)]).await;
}
