//! Resuming: `paused → active`. Every contact goes on from its current step.

use super::pause_campaign::{TransitionError, save};
use crate::model::campaign::Campaign;
use crate::model::ids::CampaignId;
use crate::ports::store::Tx;

/// Resume this campaign.
#[derive(Debug, Clone, Copy)]
pub struct ResumeCampaign {
    /// Which.
    pub id: CampaignId,
}

/// Makes a paused campaign active. What came due meanwhile goes on now.
pub async fn resume_campaign(tx: &mut Tx, command: ResumeCampaign) -> Result<Campaign, TransitionError> {
    let mut campaign = tx.campaigns().find_for_update(command.id).await?.ok_or(TransitionError::NotFound)?;
    let now = tx.now().await?;
    campaign.lifecycle = campaign.lifecycle.resume(now)?;
    // Why it was paused, if it paused itself.
    campaign.last_problem = None;
    save(tx, campaign).await
}
