//! Scheduling: `draft → scheduled`.

use super::change_campaign::{ChangeError, open, save};
use super::launch_campaign::entry;
use crate::model::campaign::Campaign;
use crate::model::content::check_start;
use crate::model::ids::CampaignId;
use crate::model::lifecycle::Action;
use crate::model::problem::FieldProblems;
use crate::ports::store::Tx;
use chrono::{DateTime, Utc};

/// Start this campaign by itself, later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScheduleCampaign {
    /// Which.
    pub id: CampaignId,
    /// When; what its schedule says when absent.
    pub start_at: Option<DateTime<Utc>>,
}

/// Sets the start and waits for it. Steps that cannot be launched are refused now, so that the start does not fail
/// when nobody looks; the audience is judged at the start.
pub async fn schedule_campaign(tx: &mut Tx, command: ScheduleCampaign) -> Result<Campaign, ChangeError> {
    let mut campaign = open(tx, command.id, None, Action::Schedule).await?;
    let now = tx.now().await?;
    let mut problems = FieldProblems::default();
    let start_at = command.start_at.or(campaign.content.schedule.start_at);
    match start_at {
        None => problems.add("/startAt", "required", "when it is to start"),
        Some(start_at) => check_start(&mut problems, "/startAt", start_at, now),
    }
    let version = campaign.sequence_version;
    let sequence = tx.campaigns().sequence(&campaign, version).await?;
    problems.keep("", entry(campaign.campaign_type, &sequence));
    problems.into_result().map_err(ChangeError::Invalid)?;
    if let Some(start_at) = start_at {
        campaign.lifecycle = campaign.lifecycle.schedule(start_at)?;
        campaign.content.schedule.start_at = Some(start_at);
    }
    campaign.last_problem = None;
    save(tx, &campaign).await
}
