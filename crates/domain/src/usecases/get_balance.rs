//! The books of a campaign.

use super::pause_campaign::TransitionError;
use crate::model::books::Balance;
use crate::model::ids::CampaignId;
use crate::ports::store::Tx;

/// The books as they are now: every term counted for itself.
pub async fn get_balance(tx: &mut Tx, id: CampaignId) -> Result<Balance, TransitionError> {
    let campaign = tx.campaigns().find(id).await?.ok_or(TransitionError::NotFound)?;
    Ok(tx.enrollments().balance(&campaign).await?)
}
