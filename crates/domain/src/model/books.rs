//! The books of a campaign: every term counted for itself, none derived as the remainder.

use super::ids::{StepId, StepNo};
use super::sequence::StepType;
use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What happened to those who entered one step.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StepFigures {
    /// Visits begun.
    pub entered: i64,
    /// Visits not over yet.
    pub pending: i64,
    /// Went on (steps without mail).
    pub passed: i64,
    /// Accepted by the mail server.
    pub sent: i64,
    /// Refused for good, or out of attempts.
    pub failed: i64,
    /// On the suppression list.
    pub suppressed: i64,
    /// Passed without mail by a rule.
    pub skipped: i64,
    /// May or may not have been accepted.
    pub in_doubt: i64,
    /// Exit, erasure or the campaign's end came first.
    pub cancelled: i64,
}

impl StepFigures {
    /// Whether the terms add up for a step of that type.
    pub fn balanced(&self, step_type: StepType) -> bool {
        self.entered
            == match step_type {
                StepType::Email => {
                    self.pending
                        + self.sent
                        + self.failed
                        + self.suppressed
                        + self.skipped
                        + self.in_doubt
                        + self.cancelled
                }
                StepType::Wait | StepType::Condition | StepType::Action => self.pending + self.passed + self.cancelled,
            }
    }
}

/// What became of those who were enrolled.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CampaignFigures {
    /// Ever enrolled.
    pub audience: i64,
    /// Under way.
    pub open: i64,
    /// Walked to the end.
    pub completed: i64,
    /// Left before the end.
    pub exited: i64,
}

impl CampaignFigures {
    /// Whether the terms add up.
    pub fn balanced(&self) -> bool {
        self.audience == self.open + self.completed + self.exited
    }
}

/// One step's row of the books.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepBalance {
    /// The step, as rows know it.
    pub no: StepNo,
    /// The step, as callers know it.
    pub id: StepId,
    /// Its place.
    pub order: i16,
    /// Its name.
    pub name: String,
    /// Its type.
    pub step_type: StepType,
    /// Its figures.
    pub figures: StepFigures,
}

/// The books of a campaign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Balance {
    /// Contacts.
    pub campaign: CampaignFigures,
    /// Steps, removed ones that were visited included, in their order.
    pub steps: Vec<StepBalance>,
}

impl Balance {
    /// Whether every equation holds.
    pub fn balanced(&self) -> bool {
        self.campaign.balanced() && self.steps.iter().all(|step| step.figures.balanced(step.step_type))
    }
}

/// What happened at a step within a quarter of an hour.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct QuarterFigures {
    /// Accepted by the mail server.
    pub sent: i64,
    /// Recipient refused for good.
    pub bounced: i64,
    /// Unsubscribed through this step's mail.
    pub unsubscribed: i64,
}

/// What one transaction adds to the books of one campaign; written once, at its end, in sorted order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BookEntries {
    /// Contacts.
    pub campaign: CampaignFigures,
    /// Steps.
    pub steps: BTreeMap<StepNo, StepFigures>,
    /// Figures by quarter-hour and step.
    pub quarters: BTreeMap<(DateTime<Utc>, StepNo), QuarterFigures>,
}

impl BookEntries {
    /// The line of a step.
    pub fn step(&mut self, no: StepNo) -> &mut StepFigures {
        self.steps.entry(no).or_default()
    }

    /// The line of a step in the quarter-hour of UTC that holds `at`.
    pub fn quarter(&mut self, at: DateTime<Utc>, no: StepNo) -> &mut QuarterFigures {
        let start = at.duration_trunc(TimeDelta::minutes(15)).unwrap_or(at);
        self.quarters.entry((start, no)).or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_term_unbalances_a_step() {
        let figures = StepFigures { entered: 3, sent: 1, in_doubt: 1, cancelled: 1, ..StepFigures::default() };
        assert!(figures.balanced(StepType::Email));
        assert!(!StepFigures { cancelled: 0, ..figures }.balanced(StepType::Email));
        assert!(!figures.balanced(StepType::Wait), "a wait sends nothing");
    }

    #[test]
    fn a_quarter_begins_on_the_quarter() {
        let mut entries = BookEntries::default();
        let at = "2026-03-29T01:44:59.999Z".parse().unwrap();
        entries.quarter(at, StepNo(1)).sent += 1;
        let (start, _) = entries.quarters.keys().next().unwrap();
        assert_eq!(start.to_rfc3339(), "2026-03-29T01:30:00+00:00");
    }
}
