//! What is counted, and what the log says of a doubt.

use super::*;
use metrics_exporter_prometheus::PrometheusBuilder;
use muster_domain::model::delivery::{Attempt, Epoch};
use muster_domain::model::ids::{CampaignNo, ContactNo, Pass, StepNo, TenantNo};
use std::io;
use std::sync::{Arc, LazyLock, Mutex};

#[derive(Clone, Default)]
struct Page(Arc<Mutex<Vec<u8>>>);

impl io::Write for Page {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// While there is one subscriber alone, whichever thread comes to a line of code first is asked for its own, and the answer is
/// remembered for all threads (`has_just_one` in `tracing-core`): tests beside this one, which listen to nothing, would silence
/// it. So there is always another.
static ANOTHER: LazyLock<tracing::Dispatch> = LazyLock::new(|| tracing::Dispatch::new(tracing_subscriber::registry()));

/// What is logged, line by line, and what the page of metrics says, of what happens meanwhile on one thread.
pub(crate) fn heard(happens: impl Future<Output = ()>) -> (Vec<String>, String) {
    LazyLock::force(&ANOTHER);
    let page = Page::default();
    let writer = page.clone();
    let log = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
    let recorder = PrometheusBuilder::new().build_recorder();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    tracing::subscriber::with_default(log, || metrics::with_local_recorder(&recorder, || runtime.block_on(happens)));
    let written = page.0.lock().unwrap();
    (String::from_utf8_lossy(&written).lines().map(str::to_owned).collect(), recorder.handle().render())
}

/// Whether a line of the log says of this delivery that it may have been delivered.
pub(crate) fn says_doubt(lines: &[String], delivery: &str) -> bool {
    lines
        .iter()
        .any(|line| line.contains("may have been delivered") && line.contains(&format!("delivery=\"{delivery}\"")))
}

fn finished(contact: i64, outcome: SendOutcome) -> Finished {
    let key = DeliveryKey {
        tenant: TenantNo(1),
        campaign: CampaignNo(2),
        contact: ContactNo(contact),
        step: StepNo(4),
        pass: Pass(5),
    };
    Finished { attempt: Attempt { key, epoch: Epoch(6) }, outcome }
}

#[test]
fn the_log_says_of_each_doubt_and_of_nothing_else_that_the_mail_may_have_been_delivered() {
    let doubt = || SendOutcome::InDoubt { reason: "the connection was lost".to_owned() };
    let outcomes = [
        finished(31, doubt()),
        finished(32, SendOutcome::Sent { reply: "250 ok".to_owned() }),
        finished(33, SendOutcome::Retry { reason: "451 later".to_owned(), soft: false }),
        finished(34, SendOutcome::Failed { reason: "554 no".to_owned(), bounced: None }),
        finished(35, doubt()),
    ];
    let (lines, _) = heard(async { tell_doubts(&outcomes) });
    let expected = ["1/2/31/4/5", "1/2/35/4/5"];
    assert_eq!(lines.len(), expected.len(), "{lines:?}");
    for (line, delivery) in lines.iter().zip(expected) {
        assert!(line.contains("WARN"), "{line}");
        assert!(says_doubt(std::slice::from_ref(line), delivery), "{line}");
        assert!(line.contains("the connection was lost"), "{line}");
    }
}

#[test]
fn each_outcome_is_counted_under_its_name() {
    let report = RecordReport { sent: 1, again: 2, failed: 3, in_doubt: 4, cancelled: 5, closed: 6 };
    let (_, page) = heard(async {
        count(report);
        count(report);
    });
    for (outcome, twice) in [("sent", 2), ("again", 4), ("failed", 6), ("in_doubt", 8), ("cancelled", 10)] {
        let line = format!("muster_deliveries_total{{outcome=\"{outcome}\"}} {twice}");
        assert!(page.lines().any(|found| found == line), "{line} is not in:\n{page}");
    }
}
