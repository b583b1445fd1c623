//! What the journal is told, against what the server has seen at that moment.

use crate::support::{Remembering, message, send, transport};
use muster_domain::model::delivery::{Attempt, SendOutcome};
use muster_domain::ports::transport::{Journal, Phase};
use muster_testkit::smtp_sink::{Script, SmtpSink, Verb};
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Looks at the sink at the moment of each record.
struct Watching {
    sink: Arc<SmtpSink>,
    body_octets: u64,
    told: Remembering,
}

impl Journal for Watching {
    fn record(&self, attempt: Attempt, phase: &Phase) -> io::Result<()> {
        let dots = self.sink.count(Verb::Dot);
        match phase {
            Phase::Dot => {
                // The body was flushed: all of it arrives although nothing more is written until we return.
                let deadline = Instant::now() + Duration::from_secs(10);
                while self.sink.body_octets() < self.body_octets {
                    assert!(Instant::now() < deadline, "the body was not flushed before the dot was announced");
                    std::thread::yield_now();
                }
                assert_eq!((self.sink.body_octets(), dots), (self.body_octets, 0), "the dot came before its record");
            }
            Phase::Replied { .. } => assert_eq!(dots, 1, "a reply was recorded that was not given"),
            other => panic!("the session has no business recording {other:?}"),
        }
        self.told.record(attempt, phase)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_dot_is_recorded_after_the_body_and_before_its_first_octet() {
    let sink = Arc::new(SmtpSink::start(Script::default()).await.unwrap());
    let wire = message("a@x.test", &b"Hello\r\n".repeat(1000));
    let journal = Arc::new(Watching {
        sink: Arc::clone(&sink),
        body_octets: wire.data.len() as u64,
        told: Remembering::default(),
    });
    let outcome = send(&transport(&sink), &wire, &*journal).await.unwrap();
    assert!(matches!(outcome, SendOutcome::Sent { .. }), "{outcome:?}");
    assert_eq!(journal.told.phases(), [Phase::Dot, Phase::Replied { outcome }]);
}

/// A full disk.
struct Failing {
    at_dot: bool,
}

impl Journal for Failing {
    fn record(&self, _: Attempt, phase: &Phase) -> io::Result<()> {
        if self.at_dot == (*phase == Phase::Dot) { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }
}

#[tokio::test]
async fn without_a_journal_there_is_no_dot() {
    let sink = SmtpSink::start(Script::default()).await.unwrap();
    let outcome = send(&transport(&sink), &message("a@x.test", b"x\r\n"), &Failing { at_dot: true }).await.unwrap();
    assert!(matches!(outcome, SendOutcome::Retry { .. }), "{outcome:?}");
    sink.until(Duration::from_secs(10), |sink| sink.count(Verb::Closed) == 1).await.unwrap();
    assert_eq!((sink.count(Verb::Dot), sink.accepted()), (0, 0));
}

#[tokio::test]
async fn a_journal_lost_after_the_reply_does_not_change_what_happened() {
    let sink = SmtpSink::start(Script::default()).await.unwrap();
    let outcome = send(&transport(&sink), &message("a@x.test", b"x\r\n"), &Failing { at_dot: false }).await.unwrap();
    assert!(matches!(outcome, SendOutcome::Sent { .. }), "{outcome:?}");
}
