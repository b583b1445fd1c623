//! The judge is judged: what the sink counts, accepts and refuses, spoken to by hand.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use muster_testkit::smtp_sink::{Act, At, Decision, Rule, Script, SmtpSink, Verb, Violations, monotonic_ns};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Says all of `said` at once and returns the codes of all replies, until the sink hangs up.
async fn codes(sink: &SmtpSink, said: &[u8]) -> Vec<String> {
    let mut tcp = TcpStream::connect(sink.address()).await.unwrap();
    tcp.write_all(said).await.unwrap();
    tcp.shutdown().await.unwrap();
    let mut heard = String::new();
    tcp.read_to_string(&mut heard).await.unwrap();
    heard.lines().filter(|line| line.as_bytes().get(3) != Some(&b'-')).map(|line| line[..3].to_owned()).collect()
}

/// Says each of `lines` after the reply to the one before.
async fn politely(sink: &SmtpSink, lines: &[&str]) -> Vec<String> {
    let mut tcp = TcpStream::connect(sink.address()).await.unwrap();
    let mut codes = vec![reply(&mut tcp).await];
    for line in lines {
        tcp.write_all(format!("{line}\r\n").as_bytes()).await.unwrap();
        codes.push(reply(&mut tcp).await);
    }
    codes
}

async fn reply(tcp: &mut TcpStream) -> String {
    let mut heard = Vec::new();
    loop {
        let last = heard.split(|b| *b == b'\n').rev().nth(1).unwrap_or_default();
        if heard.ends_with(b"\r\n") && last.get(3) != Some(&b'-') {
            return String::from_utf8_lossy(&last[..3]).into_owned();
        }
        if tcp.read_buf(&mut heard).await.unwrap() == 0 {
            return "end".to_owned();
        }
    }
}

const BEGIN: [&str; 4] = ["EHLO a.test", "MAIL FROM:<a@x.test>", "RCPT TO:<b@x.test>", "DATA"];

#[tokio::test]
async fn a_polite_client_is_served_and_breaks_no_rule() {
    let sink = SmtpSink::start(Script::default()).await.unwrap();
    let mut lines = BEGIN.to_vec();
    lines.push("Message-ID: <m1@x.test>\r\nSubject: a\r\n folded\r\n\r\n..dots\r\n.");
    lines.push("QUIT");
    let before = monotonic_ns();
    assert_eq!(politely(&sink, &lines).await, ["220", "250", "250", "250", "354", "250", "221"]);
    let message = sink.messages().remove(0);
    assert_eq!((message.from.as_str(), message.to.as_str()), ("a@x.test", "b@x.test"));
    assert_eq!((message.message_id.as_str(), message.body()), ("m1@x.test", &b".dots\r\n"[..]));
    assert_eq!(message.header("subject").as_deref(), Some("a folded"));
    assert_eq!(sink.violations(), Violations::default());
    assert!(sink.events().iter().all(|event| event.at_ns >= before && event.at_ns <= monotonic_ns()));
}

#[tokio::test]
async fn only_crlf_dot_crlf_ends_a_message_and_every_other_line_end_is_counted() {
    let sink = SmtpSink::start(Script::default()).await.unwrap();
    let mut lines = BEGIN.to_vec();
    lines.push("\r\na\n.\nb\r.\rc\n.\r\nd\r.\r\n\u{0}ü\r\n.");
    assert_eq!(politely(&sink, &lines).await.last().unwrap(), "250");
    assert_eq!(sink.accepted(), 1);
    let found = sink.violations();
    assert_eq!(found, Violations { bare_cr: 3, bare_lf: 3, nul: 1, eight_bit: 1, ..Violations::default() });
}

#[tokio::test]
async fn impatience_and_disorder_are_counted() {
    let sink = SmtpSink::start(Script::default()).await.unwrap();
    assert_eq!(codes(&sink, b"EHLO a\r\nMAIL FROM:<a@x.test>\r\n").await, ["220", "250", "250"]);
    assert_eq!(sink.violations().early, 1);
    assert_eq!(politely(&sink, &["DATA", "RCPT TO:<a@x.test>", "HELLO"]).await, ["220", "503", "503", "500"]);
    assert_eq!(sink.violations().order, 3);
    assert_eq!(sink.accepted(), 0);
}

#[tokio::test]
async fn a_message_cut_off_before_its_dot_is_not_accepted() {
    let sink = SmtpSink::start(Script::default()).await.unwrap();
    codes(&sink, b"EHLO a\r\nMAIL FROM:<a@x>\r\nRCPT TO:<b@x>\r\nDATA\r\nSubject: x\r\n\r\nhello\r\n.").await;
    sink.until(Duration::from_secs(10), |sink| sink.count(Verb::Closed) == 1).await.unwrap();
    assert_eq!((sink.accepted(), sink.count(Verb::Dot)), (0, 0));
}

#[tokio::test]
async fn a_message_accepted_in_silence_is_written_down_as_accepted_and_not_answered() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("sink.log");
    let rules = vec![Rule::new(At::Dot, Act::AcceptThenDrop).to("b@x"), Rule::new(At::Dot, Act::Drop).to("c@x")];
    let script = Script { rules, log_file: Some(log.clone()), ..Script::default() };
    let sink = SmtpSink::start(script).await.unwrap();
    for (recipient, accepted) in [("b@x.test", true), ("c@x.test", false)] {
        let to = format!("RCPT TO:<{recipient}>");
        let lines = ["EHLO a", "MAIL FROM:<a@x>", &to, "DATA", "Message-ID: <m@x>\r\n\r\nhi\r\n."];
        assert_eq!(politely(&sink, &lines).await.last().unwrap(), "end");
        let dot = sink.events().into_iter().rfind(|event| event.verb == Verb::Dot).unwrap();
        assert_eq!((dot.decision == Decision::Accepted, dot.replied, dot.detail.as_str()), (accepted, false, "m@x"));
    }
    assert_eq!(sink.accepted(), 1);
    let written = std::fs::read_to_string(log).unwrap();
    let dots: Vec<serde_json::Value> = written
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .filter(|e: &serde_json::Value| e["verb"] == "Dot")
        .collect();
    assert_eq!(dots.len(), 2);
    assert_eq!((&dots[0]["accepted"], &dots[1]["accepted"]), (&true.into(), &false.into()));
}
