//! Removing a draft.

use super::change_campaign::{ChangeError, open};
use crate::model::ids::CampaignId;
use crate::model::lifecycle::Action;
use crate::ports::store::Tx;

/// Remove this campaign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeleteCampaign {
    /// Which.
    pub id: CampaignId,
    /// The version that the caller has read, if it minds.
    pub expected: Option<i32>,
}

/// Removes a draft with its steps. Whatever is scheduled or was launched stays.
pub async fn delete_campaign(tx: &mut Tx, command: DeleteCampaign) -> Result<(), ChangeError> {
    let campaign = open(tx, command.id, command.expected, Action::Delete).await?;
    Ok(tx.campaigns().delete(&campaign).await?)
}
