//! Reading one campaign with its steps and what has come of them.

use super::get_steps::CampaignSteps;
use crate::model::figures::Counts;
use crate::model::ids::CampaignId;
use crate::ports::store::{StoreError, Tx};

/// A campaign as a reader wants it.
#[derive(Debug, Clone, PartialEq)]
pub struct CampaignView {
    /// The campaign with its steps.
    pub steps: CampaignSteps,
    /// What happened since the launch, all steps together, removed ones included; `None` before it.
    pub totals: Option<Counts>,
    /// Deliveries that have begun and whose outcome is not recorded yet.
    pub in_flight: i64,
}

/// Why there is nothing to read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// There is no such campaign in this workspace.
    #[error("no such campaign")]
    NotFound,
    /// Storage failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The campaign with its steps, its figures and what of it is under way.
pub async fn get_campaign(tx: &mut Tx, id: CampaignId) -> Result<CampaignView, ReadError> {
    let found = tx.campaigns().find_with_figures(id).await?.ok_or(ReadError::NotFound)?;
    let in_flight = found.in_flight;
    let steps = CampaignSteps::from(found);
    let totals = steps.campaign.was_launched().then(|| {
        steps.counts.values().fold(Counts::default(), |mut sum, counts| {
            sum += *counts;
            sum
        })
    });
    Ok(CampaignView { steps, totals, in_flight })
}
