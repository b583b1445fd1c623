//! What became of mail, as whoever runs this hears of it: figures, and a line of the log for each doubt.

use muster_domain::model::delivery::{DeliveryKey, SendOutcome};
use muster_domain::ports::delivery::{Finished, RecordReport};

/// Says what the worker's figures are, to whoever reads them.
pub(crate) fn describe() {
    metrics::describe_counter!(
        "muster_deliveries_total",
        "Outcomes recorded: sent, again, failed, in_doubt (may have been delivered), cancelled, suppressed"
    );
    metrics::describe_counter!("muster_deliveries_begun_total", "Attempts begun");
    metrics::describe_counter!(
        "muster_deliveries_unseated_total",
        "Attempts pending again because no session came in time"
    );
    metrics::describe_counter!("muster_leases_expired_total", "Claims and sends that nobody was heard of in time");
}

/// Counts what was recorded, whoever recorded it.
pub(crate) fn count(report: RecordReport) {
    let outcomes = [
        ("sent", report.sent),
        ("again", report.again),
        ("failed", report.failed),
        ("in_doubt", report.in_doubt),
        ("cancelled", report.cancelled),
    ];
    for (outcome, count) in outcomes {
        metrics::counter!("muster_deliveries_total", "outcome" => outcome).increment(count as u64);
    }
}

/// A delivery as a log may name it: by its numbers in the database. An address, or the `Message-ID`, by which feedback is
/// believed, is nothing for a log.
pub(crate) fn numbers(key: DeliveryKey) -> String {
    let DeliveryKey { tenant, campaign, contact, step, pass } = key;
    format!("{}/{}/{}/{}/{}", tenant.0, campaign.0, contact.0, step.0, pass.0)
}

/// Says of each that is in doubt that it may have been delivered, and why.
pub(crate) fn tell_doubts(finished: &[Finished]) {
    for Finished { attempt, outcome } in finished {
        let SendOutcome::InDoubt { reason } = outcome else { continue };
        tracing::warn!(delivery = numbers(attempt.key), reason, "a mail may have been delivered: it is in doubt");
    }
}

#[cfg(test)]
pub(crate) mod tests;
