//! Starting what was scheduled.

use super::PlanReport;
use crate::fault::{Fault, sort};
use muster_domain::model::ids::{CampaignKey, WorkspaceNo};
use muster_domain::ports::store::{Store, StoreResult, Workspace, in_tx};
use muster_domain::usecases::launch_campaign::PostalAddressRule;
use muster_domain::usecases::start_campaign::{Start, start_campaign};

pub(super) async fn start_due(
    store: &dyn Store,
    due: &[(CampaignKey, WorkspaceNo)],
    postal_address: PostalAddressRule,
    report: &mut PlanReport,
) -> StoreResult<()> {
    for (key, workspace) in due {
        let of = Workspace { tenant: key.tenant, workspace: *workspace };
        match in_tx(store, of, async |tx| start_campaign(tx, key.campaign, postal_address).await).await {
            Ok(Start::Launched(_)) => {
                tracing::info!(campaign = key.campaign.0, "a scheduled campaign was launched");
                report.started += 1;
            }
            Ok(Start::Refused(reason)) => {
                tracing::warn!(campaign = key.campaign.0, %reason, "a scheduled campaign could not be launched and is a draft again");
                report.refused += 1;
            }
            Ok(Start::NotYet) => {}
            Err(error) => match sort(error) {
                Fault::StorageAway(error) => return Err(error),
                Fault::ThisOne(error) => {
                    tracing::error!(campaign = key.campaign.0, %error, "a scheduled campaign could not be started");
                }
            },
        }
    }
    Ok(())
}
