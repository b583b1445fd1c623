//! Everything that happened to one contact in one campaign, and why.

use crate::model::campaign::Campaign;
use crate::model::ids::{CampaignId, ContactId, StepId, StepNo};
use crate::ports::analytics::{EnrollmentView, HistoryEvent};
use crate::ports::store::{StoreResult, Tx};

/// One contact's way.
#[derive(Debug, Clone, PartialEq)]
pub struct Way {
    /// The campaign.
    pub campaign: Campaign,
    /// Where the contact stands.
    pub enrollment: EnrollmentView,
    /// What happened, in order.
    pub events: Vec<HistoryEvent>,
    /// Every step the campaign ever had: number, id, name.
    pub steps: Vec<(StepNo, StepId, String)>,
}

/// The way of one contact; `None` when the campaign or the enrollment does not exist.
pub async fn get_enrollment(tx: &mut Tx, id: CampaignId, contact: ContactId) -> StoreResult<Option<Way>> {
    let Some(campaign) = tx.campaigns().find(id).await? else { return Ok(None) };
    let Some(enrollment) = tx.analytics().enrollment(&campaign, contact).await? else { return Ok(None) };
    let events = tx.analytics().history(&campaign, enrollment.contact).await?;
    let steps = tx.analytics().step_names(&campaign).await?;
    Ok(Some(Way { campaign, enrollment, events, steps }))
}
