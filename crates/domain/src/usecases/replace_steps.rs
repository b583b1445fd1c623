//! Writing a campaign's whole sequence at once; and what every change of steps comes down to.

use super::change_campaign::{ChangeError, open, save};
use super::get_steps::{CampaignSteps, with_counts};
use super::launch_campaign::entry;
use crate::authoring::graph::{Authoring, plan};
use crate::authoring::mails::named_by;
use crate::authoring::step_input::StepInput;
use crate::model::campaign::Campaign;
use crate::model::field::Field;
use crate::model::ids::{CampaignId, SequenceVersion, StepNo};
use crate::model::lifecycle::{Action, Status};
use crate::model::problem::{FieldProblem, FieldProblems};
use crate::model::rules::Mails;
use crate::model::sequence::Sequence;
use crate::ports::store::{StoreResult, Tx};
use crate::ports::templates::Templates;
use std::collections::BTreeSet;

/// Make these the steps of this campaign.
#[derive(Debug, Clone, PartialEq)]
pub struct ReplaceSteps {
    /// Which campaign.
    pub id: CampaignId,
    /// The version that the caller has read, if it minds.
    pub expected: Option<i32>,
    /// The steps, in their order unless each says its own.
    pub steps: Vec<StepInput>,
}

/// Replaces the whole sequence. A step that is sent with its id keeps number and figures; the others are new.
///
/// Once the campaign was launched this makes a version for those who enter later; those under way stay on theirs.
pub async fn replace_steps(
    tx: &mut Tx,
    templates: &dyn Templates,
    command: ReplaceSteps,
) -> Result<CampaignSteps, ChangeError> {
    let campaign = open(tx, command.id, command.expected, Action::Edit).await?;
    let (order, steps) = sorted(command.steps)?;
    write_sequence(tx, templates, campaign, steps, &Pointers::Array(order)).await
}

/// The steps in their order, each with its place in the request: by what they say, and a step that says nothing right
/// after the one before it.
fn sorted(steps: Vec<StepInput>) -> Result<(Vec<usize>, Vec<StepInput>), ChangeError> {
    let mut problems = FieldProblems::default();
    let mut taken = BTreeSet::new();
    let mut order = i64::MIN;
    let mut placed = Vec::with_capacity(steps.len());
    for (place, step) in steps.into_iter().enumerate() {
        if let Field::Value(says) = step.order {
            order = says;
            if !taken.insert(says) {
                let pointer = format!("/steps/{place}/stepOrder");
                problems.add(pointer, "duplicate", "another step has this stepOrder");
            }
        }
        placed.push((order, place, step));
    }
    problems.into_result().map_err(ChangeError::Invalid)?;
    // Stable: what has no order of its own stays behind what it follows.
    placed.sort_by_key(|(order, ..)| *order);
    Ok(placed.into_iter().map(|(_, place, step)| (place, step)).unzip())
}

/// How a step of the sequence is pointed at in the request.
pub(super) enum Pointers {
    /// Each as an element of `/steps`, at this place.
    Array(Vec<usize>),
    /// The request is about the one at this place; the others are named in words.
    One(usize),
    /// The request names no step: all are named in words.
    Nothing,
}

impl Pointers {
    /// Problems of [`plan`] as the caller can read them.
    fn relabel(&self, problems: FieldProblems) -> FieldProblems {
        FieldProblems(problems.0.into_iter().map(|problem| self.relabel_one(problem)).collect())
    }

    fn relabel_one(&self, problem: FieldProblem) -> FieldProblem {
        let (place, field) = split(&problem.pointer);
        match (self, place) {
            (Pointers::Array(order), Some(place)) => {
                let place = order.get(place).copied().unwrap_or(place);
                FieldProblem { pointer: format!("/steps/{place}{field}"), ..problem }
            }
            (Pointers::Array(_), None) => FieldProblem { pointer: "/steps".to_owned(), ..problem },
            (Pointers::One(subject), Some(place)) if *subject == place => {
                FieldProblem { pointer: field.to_owned(), ..problem }
            }
            (Pointers::One(_) | Pointers::Nothing, Some(place)) => {
                let named = field.trim_start_matches('/').replace('/', " ");
                let of = if named.is_empty() { String::new() } else { format!(", {named}") };
                let detail = format!("step {}{of}: {}", place + 1, problem.detail);
                FieldProblem { pointer: String::new(), detail, ..problem }
            }
            (Pointers::One(_) | Pointers::Nothing, None) => problem,
        }
    }
}

/// `/3/subjectLine` is the field `/subjectLine` of the step at place 3.
fn split(pointer: &str) -> (Option<usize>, &str) {
    let rest = pointer.strip_prefix('/').unwrap_or_default();
    let (place, _) = rest.split_once('/').unwrap_or((rest, ""));
    match place.parse() {
        Ok(number) => (Some(number), rest.strip_prefix(place).unwrap_or_default()),
        Err(_) => (None, pointer),
    }
}

/// Judges `inputs` as the campaign's steps and stores them as its next version.
pub(super) async fn write_sequence(
    tx: &mut Tx,
    templates: &dyn Templates,
    mut campaign: Campaign,
    inputs: Vec<StepInput>,
    pointers: &Pointers,
) -> Result<CampaignSteps, ChangeError> {
    let registered = tx.campaigns().registered_steps(&campaign).await?;
    let mails = known_mails(tx, named_by(&inputs)).await?;
    let authoring = Authoring {
        campaign: campaign.id,
        kind: campaign.campaign_type,
        launched: campaign.was_launched(),
        registered: &registered,
        mails: &mails,
        templates,
    };
    let plan = plan(&inputs, &authoring).map_err(|problems| ChangeError::Invalid(pointers.relabel(problems)))?;
    // Before the first launch nothing refers to a number, so that editing a draft does not use them up.
    let first = if campaign.was_launched() { campaign.next_step_no } else { StepNo(plan.last_no().0 + 1) };
    let ids = tx.campaigns().new_step_ids(plan.new_steps()).await?;
    let Some((sequence, next_step_no)) = plan.into_sequence(ids, first) else {
        let detail = "the campaign has had too many steps in its life; clone it to go on";
        return Err(ChangeError::Invalid(FieldProblems::one("", "too_many", detail)));
    };
    if campaign.status() != Status::Draft {
        // Whoever enters later must find a way in, and a start that is set must not fail for want of one.
        entry(campaign.campaign_type, &sequence).map_err(ChangeError::Invalid)?;
    }
    campaign.sequence_version = SequenceVersion(campaign.sequence_version.0 + 1);
    campaign.next_step_no = next_step_no;
    tx.campaigns().add_sequence(&campaign, &sequence).await?;
    let campaign = save(tx, &campaign).await?;
    Ok(with_counts(tx, campaign, sequence).await?)
}

/// Those of these campaigns and steps that the workspace has.
pub(super) async fn known_mails(tx: &mut Tx, named: Mails) -> StoreResult<Mails> {
    if named.is_empty() { Ok(named) } else { tx.campaigns().known_mails(&named).await }
}

/// The campaign, open for changes of its steps, with the steps as their author would write them.
pub(super) async fn open_steps(
    tx: &mut Tx,
    id: CampaignId,
    expected: Option<i32>,
) -> Result<(Campaign, Sequence, Vec<StepInput>), ChangeError> {
    let campaign = open(tx, id, expected, Action::Edit).await?;
    let version = campaign.sequence_version;
    let sequence = tx.campaigns().sequence(&campaign, version).await?;
    let inputs = sequence.steps.iter().map(|step| StepInput::of(step, &sequence)).collect();
    Ok((campaign, sequence, inputs))
}

/// The place, from 0, that `stepOrder` names among `count` steps; `absent` without one.
pub(super) fn place_of(order: &Field<i64>, count: usize, absent: usize) -> Result<usize, ChangeError> {
    let Field::Value(order) = order else { return Ok(absent) };
    match usize::try_from(*order) {
        Ok(order) if (1..=count).contains(&order) => Ok(order - 1),
        _ => {
            let detail = format!("a place from 1 to {count}");
            Err(ChangeError::Invalid(FieldProblems::one("/stepOrder", "out_of_range", detail)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ordered(order: i64) -> StepInput {
        StepInput { order: Field::Value(order), ..StepInput::default() }
    }

    fn relabelled(pointers: &Pointers, pointer: &str) -> (String, String) {
        let problems = pointers.relabel(FieldProblems::one(pointer, "code", "wrong"));
        let problem = problems.0.into_iter().next().unwrap();
        (problem.pointer, problem.detail)
    }

    #[test]
    fn problems_point_into_the_request_whatever_order_it_was_in() {
        let (order, _) = sorted(vec![ordered(30), ordered(10), ordered(20)]).unwrap();
        assert_eq!(order, [1, 2, 0]);
        let array = Pointers::Array(order);
        assert_eq!(relabelled(&array, "/2/variants/0/name").0, "/steps/0/variants/0/name");
        assert_eq!(relabelled(&array, "/0").0, "/steps/1");
        assert_eq!(relabelled(&array, "").0, "/steps");
    }

    #[test]
    fn a_request_about_one_step_names_the_others_in_words() {
        let one = Pointers::One(1);
        assert_eq!(relabelled(&one, "/1/nextStepId"), ("/nextStepId".into(), "wrong".into()));
        assert_eq!(relabelled(&one, "/0/nextStepId"), (String::new(), "step 1, nextStepId: wrong".into()));
        assert_eq!(relabelled(&one, "/1"), (String::new(), "wrong".into()));
        assert_eq!(relabelled(&Pointers::Nothing, "/1"), (String::new(), "step 2: wrong".into()));
    }

    #[test]
    fn a_step_without_an_order_follows_the_one_before_it() {
        let places = |steps| sorted(steps).map(|(places, _)| places).unwrap();
        assert_eq!(places(vec![StepInput::default(), StepInput::default()]), [0, 1]);
        assert_eq!(places(vec![ordered(2), StepInput::default(), ordered(1)]), [2, 0, 1]);
        assert_eq!(places(vec![StepInput::default(), ordered(2), ordered(1)]), [0, 2, 1]);
    }

    #[test]
    fn no_two_steps_have_the_same_order() {
        let Err(ChangeError::Invalid(problems)) = sorted(vec![ordered(1), StepInput::default(), ordered(1)]) else {
            panic!("accepted");
        };
        assert_eq!(problems.0[0].pointer, "/steps/2/stepOrder");
    }
}
