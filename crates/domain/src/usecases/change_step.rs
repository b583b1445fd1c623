//! Changing one step.

use super::change_campaign::ChangeError;
use super::get_steps::CampaignSteps;
use super::replace_steps::{Pointers, open_steps, place_of, write_sequence};
use crate::authoring::step_input::StepInput;
use crate::model::ids::{CampaignId, StepId};
use crate::ports::store::Tx;
use crate::ports::templates::Templates;

/// Change this step of this campaign. What is absent stays, null clears.
#[derive(Debug, Clone, PartialEq)]
pub struct ChangeStep {
    /// Which campaign.
    pub id: CampaignId,
    /// Which step.
    pub step: StepId,
    /// The version that the caller has read, if it minds.
    pub expected: Option<i32>,
    /// What changes; an order moves the step to that place.
    pub change: StepInput,
}

/// Changes a step, which keeps its id, number and figures.
pub async fn change_step(
    tx: &mut Tx,
    templates: &dyn Templates,
    command: ChangeStep,
) -> Result<CampaignSteps, ChangeError> {
    let (campaign, sequence, mut inputs) = open_steps(tx, command.id, command.expected).await?;
    let from = sequence.steps.iter().position(|step| step.id == command.step).ok_or(ChangeError::NotFound)?;
    let to = place_of(&command.change.order, inputs.len(), from)?;
    let current = inputs.remove(from);
    inputs.insert(to, command.change.over(current));
    write_sequence(tx, templates, campaign, inputs, &Pointers::One(to)).await
}
