//! Beginning again what did not arrive, and nothing else.

use crate::model::campaign::Campaign;
use crate::model::decision::{Evidence, Retriable};
use crate::model::ids::CampaignId;
use crate::model::lifecycle::Status;
use crate::model::principal::Principal;
use crate::ports::store::{StoreError, Tx};

/// Begin again what ended so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryDeliveries {
    /// Of which campaign.
    pub id: CampaignId,
    /// Which endings, at least one.
    pub endings: Vec<Retriable>,
}

/// Why nothing was begun again.
#[derive(Debug, thiserror::Error)]
pub enum RetryError {
    /// There is no such campaign in this workspace.
    #[error("no such campaign")]
    NotFound,
    /// It was never launched: nothing can have failed.
    #[error("the campaign was never launched")]
    NotLaunched,
    /// Storage failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Queues the deliveries of a campaign again that failed, or are in doubt, as asked; and says how many. The status stays as
/// it is: of a paused campaign they begin after it is resumed, and of a completed one they begin all the same.
pub async fn retry_deliveries(
    tx: &mut Tx,
    caller: &Principal,
    command: RetryDeliveries,
) -> Result<(Campaign, i64), RetryError> {
    let campaign = tx.campaigns().find_for_update(command.id).await?.ok_or(RetryError::NotFound)?;
    match campaign.status() {
        Status::Draft | Status::Scheduled => return Err(RetryError::NotLaunched),
        Status::Active | Status::Paused | Status::Completed => {}
    }
    let now = tx.now().await?;
    let retried = tx.deliveries().retry(&campaign, &command.endings, Evidence::Hand(caller.user_id), now).await?;
    Ok((campaign, retried))
}
