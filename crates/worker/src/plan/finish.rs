//! Completing campaigns in which nothing is open.

use super::PlanReport;
use crate::fault::{Fault, sort};
use muster_domain::model::ids::{CampaignKey, WorkspaceNo};
use muster_domain::ports::store::{Store, StoreResult, Workspace, in_tx};
use muster_domain::usecases::finish_campaign::{Finish, finish_campaign};

pub(super) async fn finish_done(
    store: &dyn Store,
    candidates: &[(CampaignKey, WorkspaceNo)],
    report: &mut PlanReport,
) -> StoreResult<()> {
    for (key, workspace) in candidates {
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
                    "a campaign cannot be completed: its books differ from its rows"
                );
            }
            Err(error) => match sort(error) {
                Fault::StorageAway(error) => return Err(error),
                Fault::ThisOne(error) => {
                    tracing::error!(campaign = key.campaign.0, %error, "a campaign could not be completed");
                }
            },
        }
    }
    Ok(())
}
