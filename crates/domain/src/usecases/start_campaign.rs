//! Starting what was scheduled, when its time has come.

use super::launch_campaign::{LaunchError, Launched, PostalAddressRule, launch};
use super::pause_campaign::TransitionError;
use crate::model::ids::CampaignNo;
use crate::model::lifecycle::Lifecycle;
use crate::ports::campaigns::Saved;
use crate::ports::store::{StoreError, Tx};

/// What became of a scheduled start.
#[derive(Debug, Clone, PartialEq)]
pub enum Start {
    /// It is launched.
    Launched(Box<Launched>),
    /// It is a draft again; `last_problem` says why.
    Refused(String),
    /// Its time has not come, or somebody else was quicker.
    NotYet,
}

/// Launches a scheduled campaign whose start has come. One that cannot be launched goes back to draft and says why, so that
/// nobody waits for a campaign that will never start.
pub async fn start_campaign(
    tx: &mut Tx,
    no: CampaignNo,
    postal_address: PostalAddressRule,
) -> Result<Start, TransitionError> {
    let Some(campaign) = tx.campaigns().find_by_no_for_update(no).await? else { return Ok(Start::NotYet) };
    let now = tx.now().await?;
    let Lifecycle::Scheduled { start_at } = campaign.lifecycle else { return Ok(Start::NotYet) };
    if start_at > now {
        return Ok(Start::NotYet);
    }
    let sequence = tx.campaigns().sequence(&campaign, campaign.sequence_version).await?;
    tx.savepoint().await?;
    match launch(tx, campaign.clone(), &sequence, postal_address).await {
        Ok(launched) => Ok(Start::Launched(Box::new(launched))),
        Err(LaunchError::Store(error)) => Err(error.into()),
        Err(refused) => {
            tx.rollback_to_savepoint().await?;
            let problem = refused.to_string();
            let mut draft = campaign;
            draft.lifecycle = draft.lifecycle.unschedule()?;
            draft.last_problem = Some(problem.clone());
            back_to_draft(tx, &draft).await?;
            Ok(Start::Refused(problem))
        }
    }
}

async fn back_to_draft(tx: &mut Tx, draft: &crate::model::campaign::Campaign) -> Result<(), TransitionError> {
    match tx.campaigns().save(draft).await? {
        Saved::Stored => Ok(()),
        Saved::Stale => Err(TransitionError::Store(StoreError::Conflict)),
    }
}
