//! A sequence as a graph: from what its author wrote to steps whose targets are resolved, or every reason why not.
//!
//! What comes out of [`plan`] always ends or waits: every target is there, every step can be reached, and every loop
//! passes a wait.

mod walk;

use crate::authoring::mails::{Own, settle};
use crate::authoring::step_input::{StepBody, StepInput, TargetRef};
use crate::model::campaign::CampaignType;
use crate::model::field::Field;
use crate::model::ids::{CampaignId, StepId, StepNo};
use crate::model::problem::FieldProblems;
use crate::model::rules::Mails;
use crate::model::sequence::{Explicit, MAX_STEPS, Sequence, Step, StepAction, StepKind, StepType, Target};
use crate::ports::campaigns::RegisteredStep;
use crate::ports::templates::Templates;
use std::collections::BTreeMap;

/// What a sequence is judged against.
pub struct Authoring<'a> {
    /// Its campaign.
    pub campaign: CampaignId,
    /// The kind of its campaign.
    pub kind: CampaignType,
    /// Whether the campaign was launched: steps that are taken out of it stay known.
    pub launched: bool,
    /// The steps whose ids may be named.
    pub registered: &'a [RegisteredStep],
    /// What the workspace has of what conditions name.
    pub mails: &'a Mails,
    /// The template engine.
    pub templates: &'a dyn Templates,
}

/// A target among the planned steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum To {
    Place(usize),
    End,
}

/// Where a step leads. A condition has both, the others `next` alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Links {
    next: To,
    on_true: To,
    on_false: To,
}

/// One step, judged.
#[derive(Debug, Clone, PartialEq)]
struct Planned {
    known: Option<(StepNo, StepId)>,
    name: Option<String>,
    body: StepBody,
    links: Links,
    explicit: Explicit,
}

/// A valid sequence whose new steps have no id and number yet.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Plan {
    steps: Vec<Planned>,
}

impl Plan {
    /// How many ids [`Plan::into_sequence`] needs.
    pub fn new_steps(&self) -> usize {
        self.steps.iter().filter(|step| step.known.is_none()).count()
    }

    /// The largest number that a step of it has already.
    pub fn last_no(&self) -> StepNo {
        self.steps.iter().filter_map(|step| step.known.map(|(no, _)| no)).max().unwrap_or(StepNo(0))
    }

    /// The sequence, its new steps numbered from `first` on; and the number that the next new step gets.
    /// `None` when the numbers or the ids are used up.
    pub fn into_sequence(self, ids: Vec<StepId>, first: StepNo) -> Option<(Sequence, StepNo)> {
        let mut ids = ids.into_iter();
        let mut fresh = first.0;
        let mut names = Vec::with_capacity(self.steps.len());
        for step in &self.steps {
            names.push(if let Some(known) = step.known {
                known
            } else {
                let no = StepNo(fresh);
                fresh = fresh.checked_add(1)?;
                (no, ids.next()?)
            });
        }
        let named: Vec<StepId> = names.iter().map(|(_, id)| *id).collect();
        let settled = |mut rule| {
            settle(&mut rule, &named);
            rule
        };
        let target = |to: To| match to {
            To::End => Target::End,
            To::Place(place) => names.get(place).map_or(Target::End, |(no, _)| Target::Step(*no)),
        };
        let steps = self.steps.into_iter().zip(1..).zip(&names).map(|((step, order), (no, id))| {
            let next = target(step.links.next);
            let kind = match step.body {
                StepBody::Email(content) => StepKind::Email { content, next },
                StepBody::Wait(wait) => StepKind::Wait { wait, next },
                StepBody::Action(action) => StepKind::Action { action, next },
                StepBody::Condition(rule) => StepKind::Condition {
                    rule: settled(rule),
                    on_true: target(step.links.on_true),
                    on_false: target(step.links.on_false),
                },
            };
            let name = step.name.unwrap_or_else(|| format!("Step {order}"));
            Step { no: *no, id: *id, order, name, kind, explicit: step.explicit }
        });
        let steps = steps.collect();
        Some((Sequence { steps }, StepNo(fresh)))
    }
}

/// Judges `inputs`, in the order in which they are walked through. Pointers are `/<index>/<field>`, with the index
/// into `inputs`; the sequence as a whole has the pointer `""`.
pub fn plan(inputs: &[StepInput], authoring: &Authoring<'_>) -> Result<Plan, FieldProblems> {
    let mut problems = FieldProblems::default();
    if inputs.len() > MAX_STEPS {
        problems.add("", "too_many", format!("a sequence has at most {MAX_STEPS} steps"));
        return Err(problems);
    }
    let mut steps = Vec::with_capacity(inputs.len());
    let names = names(inputs, &mut problems);
    let Authoring { campaign, launched: keeps, mails: known, .. } = *authoring;
    let own_steps = Own { campaign, keeps, names: &names, inputs, known };
    for (place, input) in inputs.iter().enumerate() {
        let mut own = FieldProblems::default();
        let known = known_step(input, authoring.registered, &mut own);
        let named = own_steps.named(input, &mut own);
        let body = named.body(authoring.kind, authoring.templates, &mut own);
        let links = link(input, place, inputs.len(), &names, &mut own);
        problems.extend_under(&format!("/{place}"), own);
        if let Some(body) = body {
            let name = input.name.clone().value();
            let explicit = Explicit {
                next: input.next.is_value(),
                on_true: input.on_true.is_value(),
                on_false: input.on_false.is_value(),
            };
            steps.push(Planned { known, name, body, links, explicit });
        }
    }
    check_one_email(inputs, authoring.kind, &mut problems);
    problems.into_result()?;
    let mut problems = FieldProblems::default();
    walk::check(&steps, &mut problems);
    problems.into_result()?;
    Ok(Plan { steps })
}

/// The places of the steps by key and by id.
fn names(inputs: &[StepInput], problems: &mut FieldProblems) -> BTreeMap<String, usize> {
    let mut names = BTreeMap::new();
    for (place, input) in inputs.iter().enumerate() {
        let id = input.id.map(|id| ("id", id.to_string()));
        let key = input.key.clone().map(|key| ("key", key));
        for (field, name) in id.into_iter().chain(key) {
            let pointer = format!("/{place}/{field}");
            if field == "key" && (name == "end" || name.is_empty() || name.chars().count() > 100) {
                problems.add(pointer, "invalid", "a key has 1 to 100 characters and is not \"end\"");
            } else if names.insert(name, place).is_some_and(|before| before != place) {
                problems.add(pointer, "duplicate", format!("another step has this {field}"));
            }
        }
    }
    names
}

/// The number of a step that is sent with its id. Its type stays: its figures are those of an e-mail, a wait, …
fn known_step(input: &StepInput, registered: &[RegisteredStep], own: &mut FieldProblems) -> Option<(StepNo, StepId)> {
    let id = input.id?;
    let Some(step) = registered.iter().find(|step| step.id == id) else {
        own.add("/id", "unknown_step", "the campaign has no step with this id; leave it out to make a new one");
        return None;
    };
    if input.step_type.is_some_and(|step_type| step_type != step.step_type) {
        let detail =
            format!("the step is of type {} and stays so; leave its id out to make a new one", step.step_type.as_str());
        own.add("/stepType", "fixed", detail);
    }
    Some((step.no, step.id))
}

fn link(
    input: &StepInput,
    place: usize,
    count: usize,
    names: &BTreeMap<String, usize>,
    own: &mut FieldProblems,
) -> Links {
    let following = if place + 1 < count { To::Place(place + 1) } else { To::End };
    let exits = input.action == Field::Value(StepAction::Exit);
    let mut resolve = |pointer: &str, field: &Field<TargetRef>| match field {
        Field::Absent | Field::Null => following,
        Field::Value(TargetRef::End) => To::End,
        Field::Value(TargetRef::Step(_)) if exits => {
            own.add(pointer, "not_applicable", "whoever exits goes nowhere");
            To::End
        }
        Field::Value(TargetRef::Step(name)) => {
            // Ids are read without regard to case.
            if let Some(place) = names.get(name).or_else(|| names.get(&name.to_lowercase())) {
                To::Place(*place)
            } else {
                own.add(pointer, "unknown_step", "the id or key of a step of this sequence, or \"end\"");
                To::End
            }
        }
    };
    let next = resolve("/nextStepId", &input.next);
    let on_true = resolve("/trueNextStepId", &input.on_true);
    let on_false = resolve("/falseNextStepId", &input.on_false);
    Links { next: if exits { To::End } else { next }, on_true, on_false }
}

fn check_one_email(inputs: &[StepInput], kind: CampaignType, problems: &mut FieldProblems) {
    if kind != CampaignType::Broadcast {
        return;
    }
    let emails = inputs.iter().enumerate().filter(|(_, input)| input.step_type == Some(StepType::Email));
    for (place, _) in emails.skip(1) {
        problems.add(
            format!("/{place}/stepType"),
            "too_many_email_steps",
            "a broadcast sends one e-mail; use a drip for more",
        );
    }
}

impl Planned {
    /// Its targets, each with the field that names it.
    fn targets(&self) -> Vec<(&'static str, To)> {
        match self.body {
            StepBody::Condition(_) => {
                vec![("trueNextStepId", self.links.on_true), ("falseNextStepId", self.links.on_false)]
            }
            StepBody::Email(_) | StepBody::Wait(_) | StepBody::Action(_) => vec![("nextStepId", self.links.next)],
        }
    }
}

#[cfg(test)]
mod tests;
