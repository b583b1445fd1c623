//! Copying a campaign with its steps.

use super::change_campaign::ChangeError;
use crate::model::campaign::Campaign;
use crate::model::content::MAX_NAME;
use crate::model::ids::{CampaignId, SequenceVersion, StepId, StepNo};
use crate::model::principal::Principal;
use crate::model::problem::FieldProblems;
use crate::model::sequence::{Sequence, StepKind, Target};
use crate::model::text::check_line;
use crate::ports::campaigns::NewCampaign;
use crate::ports::store::Tx;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use uuid::Uuid;

/// What a copy's name ends with, unless it is given one.
const SUFFIX: &str = " (Copy)";

/// Copy this campaign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloneCampaign {
    /// Which.
    pub id: CampaignId,
    /// What the copy is called; `<name> (Copy)` when absent.
    pub name: Option<String>,
}

/// Makes a draft with the same content and steps, whatever the status of the original. The copy's steps are its own
/// and lead to each other; it has no start, no figures, and the caller as its author.
pub async fn clone_campaign(
    tx: &mut Tx,
    principal: &Principal,
    command: CloneCampaign,
) -> Result<Campaign, ChangeError> {
    // Shared, so that content and steps are of one moment.
    let original = tx.campaigns().find_for_share(command.id).await?.ok_or(ChangeError::NotFound)?;
    let name = command.name.unwrap_or_else(|| copied_name(&original.content.name));
    let mut problems = FieldProblems::default();
    check_line(&mut problems, "/name", &name, MAX_NAME);
    problems.into_result().map_err(ChangeError::Invalid)?;
    let version = original.sequence_version;
    let sequence = tx.campaigns().sequence(&original, version).await?;
    let ids = tx.campaigns().new_step_ids(sequence.steps.len()).await?;
    let sequence = renumbered(sequence, original.id, ids);
    let mut content = original.content;
    content.name = name;
    content.schedule.start_at = None;
    let new = NewCampaign {
        campaign_type: original.campaign_type,
        segment: original.segment,
        segment_id: original.segment_id,
        content,
        sequence_version: SequenceVersion(i32::from(!sequence.steps.is_empty())),
        next_step_no: StepNo(sequence.steps.last().map_or(1, |step| step.no.0 + 1)),
        created_by: principal.user_id,
        created_at: tx.now().await?,
    };
    let copy = tx.campaigns().insert(&new).await?;
    if !sequence.steps.is_empty() {
        tx.campaigns().add_sequence(&copy, &sequence).await?;
    }
    Ok(copy)
}

/// The name shortened as far as needed for the whole suffix to fit.
fn copied_name(name: &str) -> String {
    let room = MAX_NAME - SUFFIX.chars().count();
    name.chars().take(room).chain(SUFFIX.chars()).collect()
}

/// The same steps under new ids and the numbers 1, 2, …, their targets among themselves.
fn renumbered(mut sequence: Sequence, original: CampaignId, ids: Vec<StepId>) -> Sequence {
    let numbers: BTreeMap<StepNo, StepNo> = sequence.steps.iter().map(|step| step.no).zip((1..).map(StepNo)).collect();
    let copies: BTreeMap<String, StepId> =
        sequence.steps.iter().map(|step| step.id.to_string()).zip(ids.iter().copied()).collect();
    // Without a campaign a condition asks of its own.
    let redirect = |which: &mut Map<String, Value>| {
        let id = |part: &Value| part.as_str().and_then(|text| Uuid::parse_str(text).ok());
        which.retain(|name, part| name != "campaignId" || id(part) != Some(original.0));
        if let Some(step) = which.get_mut("stepId")
            && let Some(copy) = id(step).and_then(|id| copies.get(&id.to_string()))
        {
            *step = copy.to_string().into();
        }
    };
    let follow = |target: &mut Target| {
        if let Target::Step(no) = target {
            *target = numbers.get(no).map_or(Target::End, |no| Target::Step(*no));
        }
    };
    for (step, id) in sequence.steps.iter_mut().zip(ids) {
        step.id = id;
        step.no = numbers.get(&step.no).copied().unwrap_or(step.no);
        match &mut step.kind {
            StepKind::Email { next, .. } | StepKind::Wait { next, .. } | StepKind::Action { next, .. } => follow(next),
            StepKind::Condition { rule, on_true, on_false } => {
                rule.redirect(&redirect);
                follow(on_true);
                follow(on_false);
            }
        }
    }
    sequence
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_of_a_long_name_still_says_that_it_is_one() {
        assert_eq!(copied_name("Spring"), "Spring (Copy)");
        let long = copied_name(&"é".repeat(200));
        assert_eq!(long.chars().count(), 200);
        assert!(long.ends_with("é (Copy)"));
    }
}
