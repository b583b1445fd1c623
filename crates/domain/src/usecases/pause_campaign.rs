//! Pausing: `active → paused`. One row, then a barrier, then the wait for what has begun.
//!
//! Three transactions, because each needs the one before it to be visible to everybody: [`pause_campaign`] flips the
//! status; after its commit [`await_begins`] waits for begins that had read the old status; after it [`in_flight`]
//! only ever falls.

use crate::model::campaign::Campaign;
use crate::model::ids::CampaignId;
use crate::model::lifecycle::InvalidTransition;
use crate::ports::campaigns::Saved;
use crate::ports::store::{StoreError, Tx};

/// Pause this campaign.
#[derive(Debug, Clone, Copy)]
pub struct PauseCampaign {
    /// Which.
    pub id: CampaignId,
}

/// Why a campaign was not paused, resumed or completed; nothing has changed.
#[derive(Debug, thiserror::Error)]
pub enum TransitionError {
    /// There is no such campaign in this workspace.
    #[error("no such campaign")]
    NotFound,
    /// Its status forbids it.
    #[error(transparent)]
    InvalidTransition(#[from] InvalidTransition),
    /// Somebody changed it at the same moment.
    #[error("the campaign was changed at the same moment")]
    Stale,
    /// Storage failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Makes an active campaign paused. Once this is committed and [`await_begins`] has returned, nothing of it begins.
pub async fn pause_campaign(tx: &mut Tx, command: PauseCampaign) -> Result<Campaign, TransitionError> {
    let mut campaign = tx.campaigns().find_for_update(command.id).await?.ok_or(TransitionError::NotFound)?;
    let now = tx.now().await?;
    campaign.lifecycle = campaign.lifecycle.pause(now)?;
    save(tx, campaign).await
}

/// Waits until every begin that may have read the old status has ended. In a transaction of its own, after the commit.
pub async fn await_begins(tx: &mut Tx, campaign: &Campaign) -> Result<(), StoreError> {
    tx.enrollments().barrier(campaign).await
}

/// How many deliveries of it are still between begin and outcome.
pub async fn in_flight(tx: &mut Tx, campaign: &Campaign) -> Result<i64, StoreError> {
    tx.enrollments().in_flight(campaign).await
}

/// Stores a campaign whose lifecycle has moved and reads it back.
pub(super) async fn save(tx: &mut Tx, campaign: Campaign) -> Result<Campaign, TransitionError> {
    match tx.campaigns().save(&campaign).await? {
        Saved::Stale => Err(TransitionError::Stale),
        Saved::Stored => tx.campaigns().find(campaign.id).await?.ok_or(TransitionError::NotFound),
    }
}
