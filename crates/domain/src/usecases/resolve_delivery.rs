//! Settling a delivery in doubt by hand.

use crate::model::decision::{Evidence, Resolution};
use crate::model::delivery::{DeliveryKey, DeliveryState};
use crate::model::principal::Principal;
use crate::ports::deliveries::DeliveryView;
use crate::ports::store::{StoreError, Tx};

/// Why a delivery was not settled.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// There is no such delivery in this workspace.
    #[error("no such delivery")]
    NotFound,
    /// It is not in doubt.
    #[error("the delivery is not in doubt")]
    NotInDoubt,
    /// It was to be sent once more, and its contact has left the campaign.
    #[error("the contact has left the campaign")]
    ContactLeft,
    /// Storage failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Settles the delivery and answers with how it stands now.
pub async fn resolve_delivery(
    tx: &mut Tx,
    caller: &Principal,
    key: DeliveryKey,
    resolution: Resolution,
) -> Result<DeliveryView, ResolveError> {
    let found = tx.deliveries().find(key).await?.ok_or(ResolveError::NotFound)?;
    if found.state != DeliveryState::InDoubt {
        return Err(ResolveError::NotInDoubt);
    }
    let now = tx.now().await?;
    if !tx.deliveries().resolve(key, resolution, Evidence::Hand(caller.user_id), now).await? {
        let after = tx.deliveries().find(key).await?.ok_or(ResolveError::NotFound)?;
        let left = after.state == DeliveryState::InDoubt && resolution == Resolution::Resend;
        return Err(if left { ResolveError::ContactLeft } else { ResolveError::NotInDoubt });
    }
    tx.deliveries().find(key).await?.ok_or(ResolveError::NotFound)
}
