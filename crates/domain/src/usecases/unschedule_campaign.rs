//! Taking a start back: `scheduled → draft`.

use super::change_campaign::{ChangeError, open, save};
use crate::model::campaign::Campaign;
use crate::model::ids::CampaignId;
use crate::model::lifecycle::Action;
use crate::ports::store::Tx;

/// Do not start this campaign by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnscheduleCampaign {
    /// Which.
    pub id: CampaignId,
}

/// Makes a scheduled campaign a draft again, without a start.
pub async fn unschedule_campaign(tx: &mut Tx, command: UnscheduleCampaign) -> Result<Campaign, ChangeError> {
    let mut campaign = open(tx, command.id, None, Action::Unschedule).await?;
    campaign.lifecycle = campaign.lifecycle.unschedule()?;
    campaign.content.schedule.start_at = None;
    save(tx, &campaign).await
}
