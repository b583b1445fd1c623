//! Making a campaign: a draft.

use crate::model::campaign::{Campaign, CampaignType};
use crate::model::content::{ContentInput, write_content};
use crate::model::ids::{SegmentId, SequenceVersion, StepNo};
use crate::model::principal::Principal;
use crate::model::problem::FieldProblems;
use crate::ports::campaigns::NewCampaign;
use crate::ports::store::{StoreError, Tx};

/// Make this campaign.
#[derive(Debug, Clone, PartialEq)]
pub struct CreateCampaign {
    /// Its kind; must be there.
    pub campaign_type: Option<CampaignType>,
    /// Its audience; must be there.
    pub segment_id: Option<SegmentId>,
    /// Everything else.
    pub content: ContentInput,
}

/// Why no campaign was made.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// The command says something impossible.
    #[error("{0}")]
    Invalid(FieldProblems),
    /// Storage failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Makes a draft that belongs to the caller's workspace and names the caller as its author.
pub async fn create_campaign(
    tx: &mut Tx,
    principal: &Principal,
    command: CreateCampaign,
) -> Result<Campaign, CreateError> {
    let found = match command.segment_id {
        Some(id) => tx.campaigns().find_segment(id).await?.map(|segment| (segment, id)),
        None => None,
    };
    let now = tx.now().await?;
    let mut problems = FieldProblems::default();
    let content = problems.keep("", write_content(None, command.content, now));
    if command.campaign_type.is_none() {
        problems.add("/campaignType", "required", "one of broadcast, drip, triggered, ab_test");
    }
    match (command.segment_id, found) {
        (None, _) => problems.add("/segmentId", "required", "a campaign needs an audience"),
        (Some(_), None) => problems.add("/segmentId", "unknown_segment", "there is no such segment"),
        (Some(_), Some(_)) => {}
    }
    let (Some(content), Some(campaign_type), Some((segment, segment_id))) = (content, command.campaign_type, found)
    else {
        return Err(CreateError::Invalid(problems));
    };
    let new = NewCampaign {
        campaign_type,
        segment,
        segment_id,
        content,
        sequence_version: SequenceVersion(0),
        next_step_no: StepNo(1),
        created_by: principal.user_id,
        created_at: now,
    };
    Ok(tx.campaigns().insert(&new).await?)
}
