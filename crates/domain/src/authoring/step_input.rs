//! What may be written in one step: its fields, by type, before the sequence is judged as a graph.

mod body;

use crate::model::field::Field;
use crate::model::ids::StepId;
use crate::model::rules::Rule;
use crate::model::sequence::{EmailContent, Sequence, Step, StepAction, StepKind, StepType, Target, Variant, Wait};
use chrono::TimeDelta;
use serde_json::Value;

/// A subject has no more characters than this (RFC 5322 section 2.1.1).
pub const MAX_SUBJECT: usize = 998;
/// Each body has no more bytes than this.
pub const MAX_BODY: usize = 512 * 1024;
/// A step's name has no more characters than this.
pub const MAX_STEP_NAME: usize = 200;
/// A wait lasts no longer than this.
pub const MAX_WAIT: TimeDelta = TimeDelta::days(730);
/// An e-mail has no more variants than this.
pub const MAX_VARIANTS: usize = 10;

/// Where a step leads, as its author writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TargetRef {
    /// Out of the campaign.
    End,
    /// To the step with this id, or with this key in the same request.
    Step(String),
}

/// What a request says about one step.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StepInput {
    /// `id`, of a step that the campaign has.
    pub id: Option<StepId>,
    /// `key`, by which other steps of the same request name it.
    pub key: Option<String>,
    /// `stepOrder`.
    pub order: Field<i64>,
    /// `name`.
    pub name: Field<String>,
    /// `stepType`.
    pub step_type: Option<StepType>,
    /// `subjectLine`.
    pub subject_line: Field<String>,
    /// `emailContent`.
    pub email_content: Field<String>,
    /// `textContent`.
    pub text_content: Field<String>,
    /// `variants`.
    pub variants: Field<Vec<Variant>>,
    /// `waitDuration`, a [`Wait::For`].
    pub wait_duration: Field<Wait>,
    /// `waitUntil`, a [`Wait::Until`].
    pub wait_until: Field<Wait>,
    /// `conditionRules`, as sent; see [`Rule::parse`].
    pub condition_rules: Field<Value>,
    /// `action`.
    pub action: Field<StepAction>,
    /// `nextStepId`.
    pub next: Field<TargetRef>,
    /// `trueNextStepId`.
    pub on_true: Field<TargetRef>,
    /// `falseNextStepId`.
    pub on_false: Field<TargetRef>,
}

/// What a step does, checked; where it leads comes later.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum StepBody {
    Email(EmailContent),
    Wait(Wait),
    Condition(Rule),
    Action(StepAction),
}

impl StepInput {
    /// What its author would write to get `step` of `sequence` again: targets that follow the order are left out.
    pub fn of(step: &Step, sequence: &Sequence) -> Self {
        let name = |target: &Target| match target {
            Target::End => TargetRef::End,
            Target::Step(no) => TargetRef::Step(sequence.step(*no).map(|step| step.id.to_string()).unwrap_or_default()),
        };
        let named = |explicit: bool, target: &Target| if explicit { Field::Value(name(target)) } else { Field::Absent };
        let mut input = Self {
            id: Some(step.id),
            name: Field::Value(step.name.clone()),
            step_type: Some(step.step_type()),
            ..Self::default()
        };
        match &step.kind {
            StepKind::Email { content, next } => {
                input.subject_line = Field::Value(content.subject_line.clone());
                input.email_content = Field::Value(content.email_content.clone());
                input.text_content = content.text_content.clone().into();
                input.variants = Field::Value(content.variants.clone());
                input.next = named(step.explicit.next, next);
            }
            StepKind::Wait { wait, next } => {
                let field = match wait {
                    Wait::For { .. } => &mut input.wait_duration,
                    Wait::Until { .. } => &mut input.wait_until,
                };
                *field = Field::Value(wait.clone());
                input.next = named(step.explicit.next, next);
            }
            StepKind::Condition { rule, on_true, on_false } => {
                input.condition_rules = serde_json::to_value(rule).ok().into();
                input.on_true = named(step.explicit.on_true, on_true);
                input.on_false = named(step.explicit.on_false, on_false);
            }
            StepKind::Action { action, next } => {
                input.action = Field::Value(action.clone());
                input.next = named(step.explicit.next, next);
            }
        }
        input
    }

    /// This change laid over `current`. One kind of wait takes the place of the other.
    #[must_use]
    pub fn over(self, current: StepInput) -> StepInput {
        let swaps = |new: &Field<Wait>, other: Field<Wait>| if new.is_value() { Field::Null } else { other };
        let wait_duration = self.wait_duration.clone().or(swaps(&self.wait_until, current.wait_duration));
        let wait_until = self.wait_until.or(swaps(&self.wait_duration, current.wait_until));
        StepInput {
            id: current.id,
            key: None,
            order: self.order,
            name: self.name.or(current.name),
            step_type: self.step_type.or(current.step_type),
            subject_line: self.subject_line.or(current.subject_line),
            email_content: self.email_content.or(current.email_content),
            text_content: self.text_content.or(current.text_content),
            variants: self.variants.or(current.variants),
            wait_duration,
            wait_until,
            condition_rules: self.condition_rules.or(current.condition_rules),
            action: self.action.or(current.action),
            next: self.next.or(current.next),
            on_true: self.on_true.or(current.on_true),
            on_false: self.on_false.or(current.on_false),
        }
    }
}

#[cfg(test)]
mod tests;
