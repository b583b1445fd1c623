//! Listing campaigns, each with its headline figures.

use crate::ports::campaigns::{CampaignQuery, CampaignSummary};
use crate::ports::store::{StoreResult, Tx};

/// A page of the workspace's campaigns, in order.
pub async fn list_campaigns(tx: &mut Tx, query: &CampaignQuery) -> StoreResult<Vec<CampaignSummary>> {
    tx.campaigns().list(query).await
}
