//! The status graph of a campaign. This is its only source: the documentation's diagram is rendered from it, and
//! the database's CHECK constraints are tested against it.
//!
//! ```text
//! draft → scheduled → active ⇄ paused → completed
//! ```

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// Where a campaign stands, without the instants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Being written.
    Draft,
    /// Will start by itself.
    Scheduled,
    /// Sending.
    Active,
    /// Halted; nothing of it begins.
    Paused,
    /// Over, for good.
    Completed,
}

impl Status {
    /// Every status, in the order of a life.
    pub const ALL: [Status; 5] = [Status::Draft, Status::Scheduled, Status::Active, Status::Paused, Status::Completed];

    /// As written in answers and rows.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Draft => "draft",
            Status::Scheduled => "scheduled",
            Status::Active => "active",
            Status::Paused => "paused",
            Status::Completed => "completed",
        }
    }

    /// The status of that name.
    pub fn parse(name: &str) -> Option<Status> {
        Self::ALL.into_iter().find(|status| status.as_str() == name)
    }
}

/// What a command does to a campaign's status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Set a start.
    Schedule,
    /// Take the start back.
    Unschedule,
    /// Enroll the audience and begin.
    Launch,
    /// Halt.
    Pause,
    /// Go on.
    Resume,
    /// End, early or because everything is done.
    Complete,
    /// Remove it.
    Delete,
    /// Change the audience or what fixes it.
    ChangeAudience,
    /// Change name, sender, schedule, settings, steps.
    Edit,
    /// Take named contacts in.
    Enroll,
}

impl Action {
    /// Every action.
    pub const ALL: [Action; 10] = [
        Action::Schedule,
        Action::Unschedule,
        Action::Launch,
        Action::Pause,
        Action::Resume,
        Action::Complete,
        Action::Delete,
        Action::ChangeAudience,
        Action::Edit,
        Action::Enroll,
    ];

    /// As written in answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Action::Schedule => "schedule",
            Action::Unschedule => "unschedule",
            Action::Launch => "launch",
            Action::Pause => "pause",
            Action::Resume => "resume",
            Action::Complete => "complete",
            Action::Delete => "delete",
            Action::ChangeAudience => "change_audience",
            Action::Edit => "edit",
            Action::Enroll => "enroll",
        }
    }
}

/// A command that the campaign's status forbids.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a {} campaign does not allow {}", from.as_str(), action.as_str())]
pub struct InvalidTransition {
    /// Where the campaign stands.
    pub from: Status,
    /// What was asked.
    pub action: Action,
    /// What would be allowed.
    pub allowed: Vec<Action>,
}

/// The status that `action` leads to from `from`; the same status for actions that only touch the content.
pub fn target(from: Status, action: Action) -> Option<Status> {
    use Action as A;
    use Status as S;
    match (from, action) {
        (S::Draft, A::Schedule) | (S::Scheduled, A::ChangeAudience | A::Edit) => Some(S::Scheduled),
        (S::Scheduled, A::Unschedule) | (S::Draft, A::Delete | A::ChangeAudience | A::Edit) => Some(S::Draft),
        (S::Draft | S::Scheduled, A::Launch) | (S::Paused, A::Resume) | (S::Active, A::Edit | A::Enroll) => {
            Some(S::Active)
        }
        (S::Active, A::Pause) | (S::Paused, A::Edit | A::Enroll) => Some(S::Paused),
        (S::Active | S::Paused, A::Complete) => Some(S::Completed),
        (S::Draft, A::Unschedule | A::Pause | A::Resume | A::Complete | A::Enroll)
        | (S::Scheduled, A::Schedule | A::Pause | A::Resume | A::Complete | A::Delete | A::Enroll)
        | (S::Active, A::Schedule | A::Unschedule | A::Launch | A::Resume | A::Delete | A::ChangeAudience)
        | (S::Paused, A::Schedule | A::Unschedule | A::Launch | A::Pause | A::Delete | A::ChangeAudience)
        | (S::Completed, _) => None,
    }
}

/// What a campaign in `status` allows.
pub fn allowed(status: Status) -> Vec<Action> {
    Action::ALL.into_iter().filter(|action| target(status, *action).is_some()).collect()
}

/// `Ok` with the status that follows, or why not.
pub fn check(from: Status, action: Action) -> Result<Status, InvalidTransition> {
    target(from, action).ok_or_else(|| InvalidTransition { from, action, allowed: allowed(from) })
}

/// Where a campaign stands, with the instants that belong to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lifecycle {
    /// Being written.
    Draft,
    /// Starts by itself.
    Scheduled {
        /// When.
        start_at: DateTime<Utc>,
    },
    /// Sending.
    Active {
        /// Since when.
        launched_at: DateTime<Utc>,
    },
    /// Halted.
    Paused {
        /// When it was launched.
        launched_at: DateTime<Utc>,
        /// Since when it is halted.
        paused_at: DateTime<Utc>,
    },
    /// Over.
    Completed {
        /// When it was launched.
        launched_at: DateTime<Utc>,
        /// When it ended.
        completed_at: DateTime<Utc>,
    },
}

impl Lifecycle {
    /// Without the instants.
    pub fn status(&self) -> Status {
        match self {
            Lifecycle::Draft => Status::Draft,
            Lifecycle::Scheduled { .. } => Status::Scheduled,
            Lifecycle::Active { .. } => Status::Active,
            Lifecycle::Paused { .. } => Status::Paused,
            Lifecycle::Completed { .. } => Status::Completed,
        }
    }

    /// When it is to start, if that is set.
    pub fn start_at(&self) -> Option<DateTime<Utc>> {
        if let Lifecycle::Scheduled { start_at } = self { Some(*start_at) } else { None }
    }

    /// When it was launched.
    pub fn launched_at(&self) -> Option<DateTime<Utc>> {
        match self {
            Lifecycle::Draft | Lifecycle::Scheduled { .. } => None,
            Lifecycle::Active { launched_at }
            | Lifecycle::Paused { launched_at, .. }
            | Lifecycle::Completed { launched_at, .. } => Some(*launched_at),
        }
    }

    /// When it ended.
    pub fn completed_at(&self) -> Option<DateTime<Utc>> {
        if let Lifecycle::Completed { completed_at, .. } = self { Some(*completed_at) } else { None }
    }

    /// `draft → scheduled`.
    pub fn schedule(self, start_at: DateTime<Utc>) -> Result<Self, InvalidTransition> {
        check(self.status(), Action::Schedule).map(|_| Lifecycle::Scheduled { start_at })
    }

    /// `scheduled → draft`.
    pub fn unschedule(self) -> Result<Self, InvalidTransition> {
        check(self.status(), Action::Unschedule).map(|_| Lifecycle::Draft)
    }

    /// `draft | scheduled → active`.
    pub fn launch(self, now: DateTime<Utc>) -> Result<Self, InvalidTransition> {
        check(self.status(), Action::Launch).map(|_| Lifecycle::Active { launched_at: now })
    }

    /// `active → paused`.
    pub fn pause(self, now: DateTime<Utc>) -> Result<Self, InvalidTransition> {
        check(self.status(), Action::Pause)?;
        Ok(Lifecycle::Paused { launched_at: self.launched_at().unwrap_or(now), paused_at: now })
    }

    /// `paused → active`.
    pub fn resume(self, now: DateTime<Utc>) -> Result<Self, InvalidTransition> {
        check(self.status(), Action::Resume)?;
        Ok(Lifecycle::Active { launched_at: self.launched_at().unwrap_or(now) })
    }

    /// `active | paused → completed`.
    pub fn complete(self, now: DateTime<Utc>) -> Result<Self, InvalidTransition> {
        check(self.status(), Action::Complete)?;
        Ok(Lifecycle::Completed { launched_at: self.launched_at().unwrap_or(now), completed_at: now })
    }
}

/// The status graph as a Mermaid state diagram.
pub fn mermaid() -> String {
    let mut out = String::from("stateDiagram-v2\n    [*] --> draft\n");
    for from in Status::ALL {
        for action in Action::ALL {
            match target(from, action) {
                Some(to) if to != from => {
                    let line = ["    ", from.as_str(), " --> ", to.as_str(), ": ", action.as_str(), "\n"];
                    out.push_str(&line.concat());
                }
                Some(_) | None => {}
            }
        }
    }
    out.push_str("    completed --> [*]\n");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_completed_campaign_allows_nothing() {
        assert_eq!(allowed(Status::Completed), []);
    }

    #[test]
    fn a_refusal_says_from_where_what_and_what_is_allowed() {
        let refused = check(Status::Paused, Action::Launch).unwrap_err();
        assert_eq!(refused.from, Status::Paused);
        assert_eq!(refused.action, Action::Launch);
        assert_eq!(refused.allowed, [Action::Resume, Action::Complete, Action::Edit, Action::Enroll]);
    }

    #[test]
    fn every_method_agrees_with_the_graph() {
        let now = DateTime::UNIX_EPOCH;
        let states = [
            Lifecycle::Draft,
            Lifecycle::Scheduled { start_at: now },
            Lifecycle::Active { launched_at: now },
            Lifecycle::Paused { launched_at: now, paused_at: now },
            Lifecycle::Completed { launched_at: now, completed_at: now },
        ];
        for state in states {
            let from = state.status();
            let reached = [
                (Action::Schedule, state.schedule(now)),
                (Action::Unschedule, state.unschedule()),
                (Action::Launch, state.launch(now)),
                (Action::Pause, state.pause(now)),
                (Action::Resume, state.resume(now)),
                (Action::Complete, state.complete(now)),
            ];
            for (action, result) in reached {
                assert_eq!(result.ok().map(|s| s.status()), target(from, action), "{from:?} {action:?}");
            }
        }
    }
}
