//! Enrolling named contacts: into a triggered campaign, or late into another.

use super::launch_campaign::entry;
use crate::model::campaign::{CampaignType, EnrollmentState};
use crate::model::ids::{CampaignId, ContactId, ContactNo};
use crate::model::lifecycle::{Action, InvalidTransition, Status, allowed};
use crate::model::problem::FieldProblems;
use crate::ports::analytics::Joined;
use crate::ports::store::{StoreError, Tx};
use std::collections::{BTreeSet, HashMap};

/// Enroll these contacts.
#[derive(Debug, Clone)]
pub struct EnrollContacts {
    /// Into which campaign.
    pub id: CampaignId,
    /// Whom.
    pub contacts: Vec<ContactId>,
}

/// Why nobody was enrolled.
#[derive(Debug, thiserror::Error)]
pub enum EnrollError {
    /// There is no such campaign in this workspace.
    #[error("no such campaign")]
    NotFound,
    /// Only an active or paused campaign takes contacts in.
    #[error(transparent)]
    InvalidTransition(#[from] InvalidTransition),
    /// Its own audience is being enrolled at this moment.
    #[error("the campaign's audience is still being enrolled; try again when that is done")]
    Enrolling,
    /// Some contacts cannot be enrolled.
    #[error("{0}")]
    Invalid(FieldProblems),
    /// Storage failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Enrolls contacts of this workspace, each once; those who are or were in stay as they are.
///
/// A triggered campaign takes only contacts of its segment.
pub async fn enroll_contacts(tx: &mut Tx, command: EnrollContacts) -> Result<Joined, EnrollError> {
    let found = tx.campaigns().find_with_steps_for_update(command.id).await?;
    let (campaign, sequence) = found.ok_or(EnrollError::NotFound)?;
    let from = campaign.status();
    if !matches!(from, Status::Active | Status::Paused) {
        return Err(InvalidTransition { from, action: Action::Enroll, allowed: allowed(from) }.into());
    }
    if campaign.enrollment_state == EnrollmentState::Running {
        return Err(EnrollError::Enrolling);
    }
    let known: HashMap<_, _> = tx.analytics().known_contacts(&command.contacts).await?.into_iter().collect();
    let welcome = match campaign.campaign_type {
        CampaignType::Triggered => {
            let all: Vec<ContactNo> = known.values().copied().collect();
            Some(tx.analytics().in_segment(&campaign, &all).await?.into_iter().collect::<BTreeSet<_>>())
        }
        CampaignType::Broadcast | CampaignType::Drip | CampaignType::AbTest => None,
    };
    let contacts = check(&command.contacts, &known, welcome.as_ref()).map_err(EnrollError::Invalid)?;
    let first = entry(campaign.campaign_type, &sequence).map_err(EnrollError::Invalid)?;
    let now = tx.now().await?;
    Ok(tx.analytics().join(&campaign, &contacts, first, now).await?)
}

/// The numbers of all that were asked for, or every one that cannot be enrolled.
fn check(
    asked: &[ContactId],
    known: &HashMap<ContactId, ContactNo>,
    welcome: Option<&BTreeSet<ContactNo>>,
) -> Result<Vec<ContactNo>, FieldProblems> {
    let mut problems = FieldProblems::default();
    let mut numbers = BTreeSet::new();
    for (at, id) in asked.iter().enumerate() {
        let pointer = format!("/contactIds/{at}");
        match known.get(id) {
            None => problems.add(pointer, "unknown_contact", "there is no such contact in this workspace"),
            Some(no) if welcome.is_some_and(|welcome| !welcome.contains(no)) => {
                problems.add(pointer, "not_in_segment", "the contact is not in the campaign's segment");
            }
            Some(no) => {
                numbers.insert(*no);
            }
        }
    }
    problems.into_result()?;
    Ok(numbers.into_iter().collect())
}
