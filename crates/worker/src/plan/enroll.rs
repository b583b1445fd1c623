//! Enrolling large audiences, a chunk for each campaign in turn.

use super::PlanReport;
use crate::fault::{Fault, sort};
use muster_domain::model::ids::{CampaignKey, WorkspaceNo};
use muster_domain::ports::store::{Store, StoreResult, Workspace, in_tx};
use muster_domain::usecases::enroll_audience::enroll_audience;

pub(super) async fn enroll_running(
    store: &dyn Store,
    running: &[(CampaignKey, WorkspaceNo)],
    limit: i64,
    report: &mut PlanReport,
) -> StoreResult<()> {
    for (key, workspace) in running {
        let of = Workspace { tenant: key.tenant, workspace: *workspace };
        match in_tx(store, of, async |tx| enroll_audience(tx, key.campaign, limit).await).await {
            Ok(Some(chunk)) => report.enrolled += chunk.enrolled,
            Ok(None) => {}
            Err(error) => match sort(error) {
                Fault::StorageAway(error) => return Err(error),
                Fault::ThisOne(error) => {
                    tracing::error!(campaign = key.campaign.0, %error, "an audience could not be enrolled further");
                }
            },
        }
    }
    Ok(())
}
