//! Pausing campaigns that are past their guard rails.

use crate::fault::{Fault, sort};
use muster_domain::ports::store::{Store, StoreError, StoreResult, Workspace, in_tx};
use muster_domain::ports::work::WorkQueue;
use muster_domain::usecases::guard_campaign::guard_campaign;
use muster_domain::usecases::pause_campaign::TransitionError;

/// One round over every active campaign with guard rails; how many were paused. An error of one campaign is logged and
/// does not stop the others; an error here means that storage is away.
pub async fn guard(store: &dyn Store, queue: &dyn WorkQueue) -> StoreResult<usize> {
    let mut paused = 0;
    for (key, workspace) in queue.guarded().await? {
        let of = Workspace { tenant: key.tenant, workspace };
        match in_tx(store, of, async |tx| guard_campaign(tx, key.campaign).await).await {
            Ok(None) => {}
            Ok(Some(problem)) => {
                tracing::warn!(campaign = key.campaign.0, problem, "a campaign is past its guard rails");
                paused += 1;
            }
            Err(error) => match sort(error) {
                Fault::StorageAway(error) => return Err(error),
                // Somebody else was at it; the next round looks again.
                Fault::ThisOne(TransitionError::Stale | TransitionError::Store(StoreError::Conflict)) => {}
                Fault::ThisOne(error) => {
                    tracing::error!(campaign = key.campaign.0, %error, "a campaign could not be looked after");
                }
            },
        }
    }
    Ok(paused)
}
