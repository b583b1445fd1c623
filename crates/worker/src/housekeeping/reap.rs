//! Putting right what died without a trace: leases that ran out.

use muster_domain::model::delivery::RetryPolicy;
use muster_domain::ports::delivery::{ReapReport, Reaper};
use muster_domain::ports::store::StoreResult;

/// One round: expired claims are pending again, expired sends are in doubt. To be run after [`super::adopt`], which knows
/// more about the same deliveries.
pub async fn reap(reaper: &dyn Reaper, policy: &RetryPolicy) -> StoreResult<ReapReport> {
    let report = reaper.reap(policy).await?;
    if report.returned > 0 || report.in_doubt > 0 {
        let (returned, in_doubt) = (report.returned, report.in_doubt);
        tracing::warn!(returned, in_doubt, "leases ran out; mail in doubt may have been delivered");
        metrics::counter!("muster_leases_expired_total", "state" => "claimed").increment(report.returned as u64);
        metrics::counter!("muster_leases_expired_total", "state" => "sending").increment(report.in_doubt as u64);
    }
    Ok(report)
}
