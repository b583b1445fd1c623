//! Completing campaigns in which nothing is open.

use super::PlanReport;
use crate::fault::{Fault, sort};
use muster_domain::model::ids::{CampaignKey, WorkspaceNo};
use muster_domain::ports::store::{Store, StoreError, StoreResult, Workspace, in_tx};
use muster_domain::usecases::finish_campaign::{Finish, finish_campaign};
use muster_domain::usecases::pause_campaign::TransitionError;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// How long a campaign whose books differ is left alone: counting its rows again costs, and nothing mends itself in a second.
const LEFT_ALONE: Duration = Duration::from_mins(1);

/// Campaigns that could not be completed, and when they are looked at again.
#[derive(Debug, Default)]
pub(super) struct FinishTurns {
    not_before: HashMap<CampaignKey, Instant>,
}

impl FinishTurns {
    /// Completes those of `candidates` that are done.
    pub(super) async fn finish(
        &mut self,
        store: &dyn Store,
        candidates: &[(CampaignKey, WorkspaceNo)],
        report: &mut PlanReport,
    ) -> StoreResult<()> {
        let now = Instant::now();
        self.not_before.retain(|_, until| *until > now);
        for (key, workspace) in candidates {
            if self.not_before.contains_key(key) {
                continue;
            }
            let of = Workspace { tenant: key.tenant, workspace: *workspace };
            match in_tx(store, of, async |tx| finish_campaign(tx, key.campaign).await).await {
                Ok(Finish::Completed(_)) => {
                    tracing::info!(campaign = key.campaign.0, "a campaign is completed");
                    report.finished += 1;
                }
                Ok(Finish::NotYet) => {}
                Ok(Finish::BooksDiffer) => {
                    tracing::error!(
                        campaign = key.campaign.0,
                        "a campaign cannot be completed: its books differ from its rows; lastProblem says where"
                    );
                    self.not_before.insert(*key, now + LEFT_ALONE);
                }
                Err(error) => match sort(error) {
                    Fault::StorageAway(error) => return Err(error),
                    // Somebody else was at it; the next round looks again.
                    Fault::ThisOne(TransitionError::Stale | TransitionError::Store(StoreError::Conflict)) => {}
                    Fault::ThisOne(error) => {
                        tracing::error!(campaign = key.campaign.0, %error, "a campaign could not be completed");
                        self.not_before.insert(*key, now + LEFT_ALONE);
                    }
                },
            }
        }
        Ok(())
    }
}
