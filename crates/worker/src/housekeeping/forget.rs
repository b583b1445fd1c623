//! Letting single events go that are older than they are to be kept.

use muster_domain::ports::events::EventKeeper;
use muster_domain::ports::store::StoreResult;

/// Of one tenant at once: a transaction stays short however much is old.
const AT_ONCE: i64 = 5_000;

/// One round; whether more may be left.
pub async fn forget(keeper: &dyn EventKeeper, days: i32) -> StoreResult<bool> {
    let gone = keeper.forget_events(days, AT_ONCE).await?;
    if gone > 0 {
        tracing::info!(gone, days, "single events are kept no longer");
        metrics::counter!("muster_events_forgotten_total").increment(gone);
    }
    Ok(gone >= AT_ONCE.cast_unsigned())
}
