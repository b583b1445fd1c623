//! Completing early: `active | paused → completed`, everything open is ended.

use super::pause_campaign::{TransitionError, save};
use crate::model::campaign::Campaign;
use crate::model::ids::CampaignId;
use crate::ports::store::Tx;

/// End this campaign now.
#[derive(Debug, Clone, Copy)]
pub struct CompleteCampaign {
    /// Which.
    pub id: CampaignId,
}

/// Ends a campaign before everybody has walked to the end: mail that has not begun is cancelled, open enrollments exit
/// with `campaign_ended`. Mail under way keeps its outcome.
pub async fn complete_campaign(tx: &mut Tx, command: CompleteCampaign) -> Result<Campaign, TransitionError> {
    let mut campaign = tx.campaigns().find_for_update(command.id).await?.ok_or(TransitionError::NotFound)?;
    let now = tx.now().await?;
    campaign.lifecycle = campaign.lifecycle.complete(now)?;
    let campaign = save(tx, campaign).await?;
    tx.enrollments().end_all(&campaign, now).await?;
    Ok(campaign)
}
