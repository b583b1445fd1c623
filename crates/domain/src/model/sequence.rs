//! The steps that every contact of a campaign walks through.

use super::ids::{StepId, StepNo};
use super::rules::{Engaged, Rule};
use super::schedule::Weekday;
use chrono::{NaiveTime, TimeDelta};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// A campaign has no more steps than this.
pub const MAX_STEPS: usize = 100;

/// Where a contact goes from a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Target {
    /// To another step of the sequence.
    Step(StepNo),
    /// Out: the enrollment is completed.
    End,
}

/// How long a wait lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum WaitUnit {
    /// 60 s.
    Minutes,
    /// 60 minutes.
    Hours,
    /// 24 hours, absolute.
    Days,
    /// 7 days, absolute.
    Weeks,
}

impl WaitUnit {
    /// Every unit.
    pub const ALL: [WaitUnit; 4] = [WaitUnit::Minutes, WaitUnit::Hours, WaitUnit::Days, WaitUnit::Weeks];

    /// As written in requests and answers.
    pub fn as_str(self) -> &'static str {
        match self {
            WaitUnit::Minutes => "minutes",
            WaitUnit::Hours => "hours",
            WaitUnit::Days => "days",
            WaitUnit::Weeks => "weeks",
        }
    }

    /// The unit of that name.
    pub fn parse(name: &str) -> Option<WaitUnit> {
        Self::ALL.into_iter().find(|unit| unit.as_str() == name)
    }
}

/// What a wait waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Wait {
    /// A duration, absolute: 24 hours are 24 hours, whatever the clocks do.
    For {
        /// How many.
        value: i32,
        /// Of what.
        unit: WaitUnit,
    },
    /// The next such local instant after now, in the campaign's time zone.
    Until {
        /// On this day; any day when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        weekday: Option<Weekday>,
        /// At this time; midnight when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        time_of_day: Option<NaiveTime>,
    },
}

impl Wait {
    /// The absolute duration, for waits that have one. `None` also when it is beyond what can be computed.
    pub fn duration(&self) -> Option<TimeDelta> {
        let Wait::For { value, unit } = self else { return None };
        let value = i64::from(*value);
        match unit {
            WaitUnit::Minutes => TimeDelta::try_minutes(value),
            WaitUnit::Hours => TimeDelta::try_hours(value),
            WaitUnit::Days => TimeDelta::try_days(value),
            WaitUnit::Weeks => TimeDelta::try_weeks(value),
        }
    }
}

/// What an action step does to the contact.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum StepAction {
    /// Put a tag on the contact.
    AddTag {
        /// Which.
        tag: String,
    },
    /// Take a tag off the contact.
    RemoveTag {
        /// Which.
        tag: String,
    },
    /// Set a contact field or custom field.
    SetField {
        /// `firstName`, …, `leadScore` or `customFields.<name>`.
        field: String,
        /// The new value; null clears it.
        value: serde_json::Value,
    },
    /// Leave the campaign.
    Exit,
}

/// One variant of an e-mail in an A/B test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Variant {
    /// What it is called in reports.
    pub name: String,
    /// Its subject.
    pub subject_line: String,
    /// Its HTML.
    pub email_content: String,
}

/// What an e-mail step sends. All three texts are templates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EmailContent {
    /// `Subject`.
    pub subject_line: String,
    /// HTML part.
    pub email_content: String,
    /// Text part; made from the HTML when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text_content: Option<String>,
    /// Variants of an A/B test; empty otherwise.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub variants: Vec<Variant>,
}

/// What a step does, with where it leads.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "stepType", rename_all = "camelCase")]
pub enum StepKind {
    /// Send a mail.
    Email {
        /// What.
        content: EmailContent,
        /// Then.
        next: Target,
    },
    /// Stay here for a while.
    Wait {
        /// How long.
        wait: Wait,
        /// Then.
        next: Target,
    },
    /// Choose by what is known of the contact.
    Condition {
        /// By what.
        rule: Rule,
        /// When it holds.
        on_true: Target,
        /// When it does not.
        on_false: Target,
    },
    /// Change the contact, or leave.
    Action {
        /// How.
        action: StepAction,
        /// Then.
        next: Target,
    },
}

/// The four kinds of steps, as written in requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names say it")]
pub enum StepType {
    Email,
    Wait,
    Condition,
    Action,
}

impl StepType {
    /// Every type.
    pub const ALL: [StepType; 4] = [StepType::Email, StepType::Wait, StepType::Condition, StepType::Action];

    /// The type of that name.
    pub fn parse(name: &str) -> Option<StepType> {
        Self::ALL.into_iter().find(|step_type| step_type.as_str() == name)
    }

    /// As written in answers and rows.
    pub fn as_str(self) -> &'static str {
        match self {
            StepType::Email => "email",
            StepType::Wait => "wait",
            StepType::Condition => "condition",
            StepType::Action => "action",
        }
    }
}

/// Which of a step's targets its author named; the others follow the order of the steps, also when that changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Explicit {
    /// `nextStepId`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub next: bool,
    /// `trueNextStepId`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub on_true: bool,
    /// `falseNextStepId`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub on_false: bool,
}

impl Explicit {
    /// Whether the author named no target at all.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// One step of a sequence, its targets resolved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Step {
    /// Its number, which rows and targets use.
    pub no: StepNo,
    /// Its id, which callers use.
    pub id: StepId,
    /// Its place for the reader, from 1.
    pub order: i16,
    /// What it is called in reports.
    pub name: String,
    /// What it does.
    #[serde(flatten)]
    pub kind: StepKind,
    /// Which of its targets were named.
    #[serde(default, skip_serializing_if = "Explicit::is_none")]
    pub explicit: Explicit,
}

impl Step {
    /// What kind of step it is.
    pub fn step_type(&self) -> StepType {
        match self.kind {
            StepKind::Email { .. } => StepType::Email,
            StepKind::Wait { .. } => StepType::Wait,
            StepKind::Condition { .. } => StepType::Condition,
            StepKind::Action { .. } => StepType::Action,
        }
    }

    /// Every step it may lead to.
    pub fn targets(&self) -> Vec<Target> {
        match &self.kind {
            StepKind::Email { next, .. } | StepKind::Wait { next, .. } | StepKind::Action { next, .. } => vec![*next],
            StepKind::Condition { on_true, on_false, .. } => vec![*on_true, *on_false],
        }
    }
}

/// An immutable version of a campaign's steps, in their order; the first is where everybody enters.
///
/// Valid by construction where it comes from [`crate::authoring::graph`]; what is read back from storage is trusted to be.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sequence {
    /// The steps, sorted by `order`.
    pub steps: Vec<Step>,
}

impl Sequence {
    /// The step with that number.
    pub fn step(&self, no: StepNo) -> Option<&Step> {
        self.steps.iter().find(|step| step.no == no)
    }

    /// Where everybody enters.
    pub fn entry(&self) -> Option<&Step> {
        self.steps.first()
    }

    /// What its conditions ask of what contacts did.
    pub fn questions(&self) -> BTreeSet<Engaged> {
        let rules = self.steps.iter().filter_map(|step| match &step.kind {
            StepKind::Condition { rule, .. } => Some(rule.questions()),
            _ => None,
        });
        rules.flatten().collect()
    }

    /// Whether deciding needs to know the contact: there are conditions or actions that read or change it.
    pub fn needs_facts(&self) -> bool {
        self.steps.iter().any(|step| matches!(step.step_type(), StepType::Condition))
    }
}
