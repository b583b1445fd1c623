//! Taking one contact out of a campaign.

use crate::model::campaign::Campaign;
use crate::model::enrollment::ExitReason;
use crate::model::ids::{CampaignId, ContactId};
use crate::ports::analytics::EnrollmentView;
use crate::ports::store::{StoreError, Tx};

/// Why nobody was taken out.
#[derive(Debug, thiserror::Error)]
pub enum ExitError {
    /// There is no such campaign or enrollment.
    #[error("no such enrollment")]
    NotFound,
    /// It has ended before.
    #[error("the enrollment has ended before")]
    Ended,
    /// Storage failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Ends the contact's enrollment with `manual`; mail that has not begun is cancelled, and none begins after this is committed.
pub async fn exit_enrollment(
    tx: &mut Tx,
    id: CampaignId,
    contact: ContactId,
) -> Result<(Campaign, EnrollmentView), ExitError> {
    let campaign = tx.campaigns().find(id).await?.ok_or(ExitError::NotFound)?;
    let enrollment = tx.analytics().enrollment(&campaign, contact).await?.ok_or(ExitError::NotFound)?;
    let now = tx.now().await?;
    if !tx.analytics().exit(&campaign, enrollment.contact, ExitReason::Manual, now).await? {
        return Err(ExitError::Ended);
    }
    let after = tx.analytics().enrollment(&campaign, contact).await?.ok_or(ExitError::NotFound)?;
    Ok((campaign, after))
}
