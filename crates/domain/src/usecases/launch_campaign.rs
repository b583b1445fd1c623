//! Launching: `draft | scheduled → active`, and enrolling the audience.

use crate::model::campaign::{Campaign, CampaignType, EnrollmentState};
use crate::model::ids::{CampaignId, ContactNo, StepNo};
use crate::model::lifecycle::{Action, InvalidTransition, check};
use crate::model::problem::{FieldProblem, FieldProblems};
use crate::model::sequence::{Sequence, StepKind, StepType};
use crate::ports::campaigns::Enrolling;
use crate::ports::enrollments::Audience;
use crate::ports::store::{StoreError, Tx};

/// Audiences up to this size are enrolled by the call itself; larger ones by the workers, chunk by chunk.
pub const ENROLL_AT_ONCE: i64 = 10_000;

/// Launch this campaign now.
#[derive(Debug, Clone, Copy)]
pub struct LaunchCampaign {
    /// Which.
    pub id: CampaignId,
    /// What to do without a postal address.
    pub postal_address: PostalAddressRule,
}

/// What an installation wants of campaigns without a postal address.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PostalAddressRule {
    /// They are launched, and it is said that it is missing.
    #[default]
    Recommended,
    /// They are not launched.
    Required,
}

/// What launching did.
#[derive(Debug, Clone, PartialEq)]
pub struct Launched {
    /// The campaign, active.
    pub campaign: Campaign,
    /// Contacts enrolled by the call itself.
    pub enrolled: i64,
}

/// Why a campaign was not launched; nothing has changed.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// There is no such campaign in this workspace.
    #[error("no such campaign")]
    NotFound,
    /// Its status forbids it.
    #[error(transparent)]
    InvalidTransition(#[from] InvalidTransition),
    /// It is not ready: no steps, no audience, or something that does not work yet.
    #[error("{0}")]
    NotReady(FieldProblems),
    /// Somebody changed it at the same moment.
    #[error("the campaign was changed at the same moment")]
    Stale,
    /// Storage failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Launches a campaign: makes it active and enrolls its audience, each contact once.
///
/// A small audience is enrolled here; of a large one `enrollment_state` says `Running`, workers go on with it, and no
/// mail is sent before everybody is in. A triggered campaign enrolls nobody.
pub async fn launch_campaign(tx: &mut Tx, command: LaunchCampaign) -> Result<Launched, LaunchError> {
    let found = tx.campaigns().find_with_steps_for_update(command.id).await?;
    let (campaign, sequence) = found.ok_or(LaunchError::NotFound)?;
    launch(tx, campaign, &sequence, command.postal_address).await
}

/// What is missing that the law asks for in most places.
pub fn missing_postal_address(campaign: &Campaign) -> Option<FieldProblem> {
    let detail = "no postal address stands in the footer of its mails, which the law asks for in most places";
    campaign.content.settings.postal_address.is_none().then(|| FieldProblem {
        pointer: "/settings/postalAddress".to_owned(),
        code: "required".to_owned(),
        detail: detail.to_owned(),
    })
}

/// Launches a campaign whose row is already locked, with its newest sequence.
pub(super) async fn launch(
    tx: &mut Tx,
    mut campaign: Campaign,
    sequence: &Sequence,
    postal_address: PostalAddressRule,
) -> Result<Launched, LaunchError> {
    check(campaign.status(), Action::Launch)?;
    let now = tx.now().await?;
    let mut entry = entry(campaign.campaign_type, sequence);
    if postal_address == PostalAddressRule::Required
        && let Some(missing) = missing_postal_address(&campaign)
    {
        let mut problems = entry.err().unwrap_or_default();
        problems.0.push(missing);
        entry = Err(problems);
    }
    let entry = entry.map_err(LaunchError::NotReady)?;
    campaign.lifecycle = campaign.lifecycle.launch(now)?;
    campaign.last_problem = None;
    let audience = tx.enrollments().count_audience(&campaign).await?;
    let nobody = audience.total == 0 && campaign.campaign_type != CampaignType::Triggered;
    if nobody {
        let detail = "the segment has no contact to send to";
        return Err(LaunchError::NotReady(FieldProblems::one("/segmentId", "empty_audience", detail)));
    }
    let enrolling = enroll(tx, &campaign, entry, audience).await?;
    let campaign = tx.campaigns().save_launched(&campaign, enrolling).await?.ok_or(LaunchError::Stale)?;
    Ok(Launched { campaign, enrolled: enrolling.enrolled })
}

/// Enrolls a small audience to its end; of a large one nothing, so that the answer comes at once. A triggered campaign
/// enrolls nobody: it is done.
async fn enroll(tx: &mut Tx, campaign: &Campaign, entry: StepNo, audience: Audience) -> Result<Enrolling, StoreError> {
    let Audience { total, mark, .. } = audience;
    let nobody_yet = Enrolling { state: EnrollmentState::Running, total, mark, through: ContactNo(0), enrolled: 0 };
    if campaign.campaign_type == CampaignType::Triggered {
        return Ok(Enrolling { state: EnrollmentState::Done, total: 0, ..nobody_yet });
    }
    if total > ENROLL_AT_ONCE {
        return Ok(nobody_yet);
    }
    let now = tx.now().await?;
    // One more than was counted: a contact that joins in between is judged too, and the chunk knows that it is the last.
    let chunk = tx.enrollments().enroll_at_once(campaign, &audience, entry, ENROLL_AT_ONCE + 1, now).await?;
    let state = if chunk.done { EnrollmentState::Done } else { EnrollmentState::Running };
    Ok(Enrolling { state, through: chunk.through, enrolled: chunk.enrolled, ..nobody_yet })
}

/// Where the audience enters, or everything that keeps this sequence from being launched.
pub(super) fn entry(kind: CampaignType, sequence: &Sequence) -> Result<StepNo, FieldProblems> {
    let mut problems = FieldProblems::default();
    let emails = sequence.steps.iter().filter(|step| step.step_type() == StepType::Email).count();
    if sequence.steps.is_empty() {
        problems.add("/steps", "no_steps", "a campaign needs at least one step before it can be launched");
    } else if emails == 0 {
        problems.add("/steps", "no_email_step", "a campaign needs an e-mail step before it can be launched");
    }
    if kind == CampaignType::Broadcast && emails > 1 {
        problems.add("/steps", "too_many_email_steps", "a broadcast sends one e-mail; use a drip for more");
    }
    let has_variants = sequence
        .steps
        .iter()
        .any(|step| matches!(&step.kind, StepKind::Email { content, .. } if !content.variants.is_empty()));
    if kind == CampaignType::AbTest || has_variants {
        problems.add("/campaignType", "not_supported", "sending variants is not supported yet");
    }
    problems.into_result()?;
    sequence.entry().map(|step| step.no).ok_or_else(FieldProblems::default)
}

/// Whether workers still enroll.
pub fn is_enrolling(campaign: &Campaign) -> bool {
    campaign.enrollment_state == EnrollmentState::Running
}
