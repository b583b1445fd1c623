//! The books of a campaign: every term counted for itself, none derived as the remainder.

use super::figures::{Counts, Tally};
use super::ids::{LinkNo, StepId, StepNo};
use super::sequence::StepType;
use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ops::AddAssign;

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

impl AddAssign for StepFigures {
    fn add_assign(&mut self, other: Self) {
        self.entered += other.entered;
        self.pending += other.pending;
        self.passed += other.passed;
        self.sent += other.sent;
        self.failed += other.failed;
        self.suppressed += other.suppressed;
        self.skipped += other.skipped;
        self.in_doubt += other.in_doubt;
        self.cancelled += other.cancelled;
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

impl AddAssign for CampaignFigures {
    fn add_assign(&mut self, other: Self) {
        self.audience += other.audience;
        self.open += other.open;
        self.completed += other.completed;
        self.exited += other.exited;
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

/// What one transaction adds to the books of one campaign; written once, at its end, in sorted order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BookEntries {
    /// Contacts.
    pub campaign: CampaignFigures,
    /// Steps.
    pub steps: BTreeMap<StepNo, StepFigures>,
    /// Figures by quarter-hour and step.
    pub quarters: BTreeMap<(DateTime<Utc>, StepNo), Counts>,
    /// Clicks by quarter-hour, step and link.
    pub links: BTreeMap<(DateTime<Utc>, StepNo, LinkNo), Tally>,
}

impl BookEntries {
    /// The line of a step.
    pub fn step(&mut self, no: StepNo) -> &mut StepFigures {
        self.steps.entry(no).or_default()
    }

    /// The line of a step in the quarter-hour of UTC that holds `at`.
    pub fn quarter(&mut self, at: DateTime<Utc>, no: StepNo) -> &mut Counts {
        self.quarters.entry((quarter_of(at), no)).or_default()
    }

    /// The line of a link in the quarter-hour of UTC that holds `at`.
    pub fn link(&mut self, at: DateTime<Utc>, no: StepNo, link: LinkNo) -> &mut Tally {
        self.links.entry((quarter_of(at), no, link)).or_default()
    }
}

impl AddAssign for BookEntries {
    fn add_assign(&mut self, other: Self) {
        self.campaign += other.campaign;
        for (no, add) in other.steps {
            *self.steps.entry(no).or_default() += add;
        }
        for (at, add) in other.quarters {
            *self.quarters.entry(at).or_default() += add;
        }
        for (at, add) in other.links {
            *self.links.entry(at).or_default() += add;
        }
    }
}

/// When the quarter-hour of UTC began that holds `at`.
pub fn quarter_of(at: DateTime<Utc>) -> DateTime<Utc> {
    at.duration_trunc(TimeDelta::minutes(15)).unwrap_or(at)
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
