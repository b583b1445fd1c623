//! Removing one step.

use super::change_campaign::ChangeError;
use super::get_steps::CampaignSteps;
use super::replace_steps::{Pointers, open_steps, write_sequence};
use crate::authoring::step_input::{StepInput, TargetRef};
use crate::model::field::Field;
use crate::model::ids::{CampaignId, StepId};
use crate::model::problem::FieldProblems;
use crate::ports::store::Tx;
use crate::ports::templates::Templates;

/// Remove this step from this campaign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RemoveStep {
    /// Which campaign.
    pub id: CampaignId,
    /// Which step.
    pub step: StepId,
    /// The version that the caller has read, if it minds.
    pub expected: Option<i32>,
}

/// Removes a step. Steps that came to it by order go on to the next; while another step names it as a target, or could
/// not be reached without it, removing it is refused: what is meant then cannot be guessed.
pub async fn remove_step(
    tx: &mut Tx,
    templates: &dyn Templates,
    command: RemoveStep,
) -> Result<CampaignSteps, ChangeError> {
    let (campaign, sequence, mut inputs) = open_steps(tx, command.id, command.expected).await?;
    let place = sequence.steps.iter().position(|step| step.id == command.step).ok_or(ChangeError::NotFound)?;
    inputs.remove(place);
    check_nobody_names(&inputs, command.step)?;
    write_sequence(tx, templates, campaign, inputs, &Pointers::Nothing).await
}

fn check_nobody_names(others: &[StepInput], removed: StepId) -> Result<(), ChangeError> {
    let removed = Field::Value(TargetRef::Step(removed.to_string()));
    let mut problems = FieldProblems::default();
    for step in others {
        let targets =
            [("nextStepId", &step.next), ("trueNextStepId", &step.on_true), ("falseNextStepId", &step.on_false)];
        for (field, _) in targets.into_iter().filter(|(_, target)| **target == removed) {
            let id = step.id.map(|id| id.to_string()).unwrap_or_default();
            problems.add("", "step_in_use", format!("step {id} leads here by its {field}; change that first"));
        }
    }
    problems.into_result().map_err(ChangeError::Invalid)
}
