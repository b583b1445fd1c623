//! Reading a campaign's steps, each with its figures.

use super::get_campaign::ReadError;
use crate::model::campaign::Campaign;
use crate::model::figures::Counts;
use crate::model::ids::{CampaignId, StepNo};
use crate::model::sequence::Sequence;
use crate::ports::campaigns::CampaignWithFigures;
use crate::ports::store::{StoreError, Tx};
use std::collections::BTreeMap;

/// A campaign's steps as they are for those who enter now.
#[derive(Debug, Clone, PartialEq)]
pub struct CampaignSteps {
    /// The campaign.
    pub campaign: Campaign,
    /// Its steps.
    pub sequence: Sequence,
    /// What happened at each step over its whole life; steps without any mail are absent, removed ones may be there.
    pub counts: BTreeMap<StepNo, Counts>,
}

/// The campaign's steps, in their order.
pub async fn get_steps(tx: &mut Tx, id: CampaignId) -> Result<CampaignSteps, ReadError> {
    let found = tx.campaigns().find_with_figures(id).await?.ok_or(ReadError::NotFound)?;
    Ok(found.into())
}

impl From<CampaignWithFigures> for CampaignSteps {
    fn from(found: CampaignWithFigures) -> Self {
        Self { campaign: found.campaign, sequence: found.sequence, counts: found.counts }
    }
}

/// A campaign's steps with what has come of each.
pub(super) async fn with_counts(
    tx: &mut Tx,
    campaign: Campaign,
    sequence: Sequence,
) -> Result<CampaignSteps, StoreError> {
    let counts = if campaign.was_launched() { tx.analytics().lifetime(&campaign).await? } else { Vec::new() };
    Ok(CampaignSteps { campaign, sequence, counts: counts.into_iter().collect() })
}
