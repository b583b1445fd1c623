//! Adding one step.

use super::change_campaign::ChangeError;
use super::get_steps::CampaignSteps;
use super::replace_steps::{Pointers, open_steps, place_of, write_sequence};
use crate::authoring::step_input::StepInput;
use crate::model::ids::{CampaignId, StepId};
use crate::ports::store::Tx;
use crate::ports::templates::Templates;

/// Add this step to this campaign.
#[derive(Debug, Clone, PartialEq)]
pub struct AddStep {
    /// Which campaign.
    pub id: CampaignId,
    /// The version that the caller has read, if it minds.
    pub expected: Option<i32>,
    /// The step, without id and key; its order is the place it takes, the end when absent.
    pub step: StepInput,
}

/// Adds a step: steps whose author named no target flow into it and on, named targets stay.
pub async fn add_step(
    tx: &mut Tx,
    templates: &dyn Templates,
    command: AddStep,
) -> Result<(CampaignSteps, StepId), ChangeError> {
    let (campaign, _, mut inputs) = open_steps(tx, command.id, command.expected).await?;
    let place = place_of(&command.step.order, inputs.len() + 1, inputs.len())?;
    inputs.insert(place, StepInput { id: None, key: None, ..command.step });
    let steps = write_sequence(tx, templates, campaign, inputs, &Pointers::One(place)).await?;
    let id = steps.sequence.steps.get(place).map(|step| step.id).ok_or(ChangeError::NotFound)?;
    Ok((steps, id))
}
