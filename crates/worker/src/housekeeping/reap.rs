//! Putting right what died without a trace: leases that ran out.

use crate::outcomes;
use muster_domain::model::delivery::RetryPolicy;
use muster_domain::ports::delivery::{ReapReport, Reaper};
use muster_domain::ports::store::StoreResult;

/// One round: expired claims are pending again, expired sends are in doubt. To be run after [`super::adopt`], which knows
/// more about the same deliveries.
pub async fn reap(reaper: &dyn Reaper, policy: &RetryPolicy) -> StoreResult<ReapReport> {
    let report = reaper.reap(policy).await?;
    if report.returned > 0 || !report.doubts.is_empty() {
        let (returned, in_doubt) = (report.returned, report.doubts.len());
        tracing::warn!(returned, in_doubt, "leases ran out; mail in doubt may have been delivered");
        metrics::counter!("muster_leases_expired_total", "state" => "claimed").increment(returned as u64);
        metrics::counter!("muster_leases_expired_total", "state" => "sending").increment(in_doubt as u64);
    }
    outcomes::tell_doubts(&report.doubts);
    outcomes::count(report.recorded);
    Ok(report)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::housekeeping::adopt::tests::attempt;
    use crate::outcomes::tests::{heard, says_doubt};
    use muster_domain::model::delivery::SendOutcome;
    use muster_domain::ports::delivery::{Finished, MockReaper, RecordReport};

    #[test]
    fn doubts_of_those_who_were_not_heard_of_any_more_are_said_and_counted_as_all_others() {
        let outcome = SendOutcome::InDoubt { reason: "silence".to_owned() };
        let doubts = [1, 2].map(|contact| Finished { attempt: attempt(contact), outcome: outcome.clone() }).to_vec();
        let mut reaper = MockReaper::new();
        // One of the two is to be sent once more.
        let recorded = RecordReport { in_doubt: 1, again: 1, sent: 3, ..RecordReport::default() };
        reaper.expect_reap().return_once(move |_| Ok(ReapReport { doubts, recorded, ..ReapReport::default() }));
        let (lines, page) = heard(async { drop(reap(&reaper, &RetryPolicy::default()).await.unwrap()) });
        let named = attempt(2).key;
        assert!(says_doubt(&lines, &outcomes::numbers(named)), "{lines:?}");
        for line in [
            "muster_deliveries_total{outcome=\"in_doubt\"} 1",
            "muster_deliveries_total{outcome=\"again\"} 1",
            "muster_deliveries_total{outcome=\"sent\"} 3",
            "muster_leases_expired_total{state=\"sending\"} 2",
        ] {
            assert!(page.contains(line), "{page}");
        }
    }
}
