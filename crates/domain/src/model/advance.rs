//! The step engine: one pure function that moves an enrollment on.
//!
//! The same function that sends can simulate and explain, because it knows nothing but its arguments.

use super::books::BookEntries;
use super::calendar::next_local;
use super::contact::ContactFacts;
use super::effects::ContactChange;
use super::enrollment::{DueEnrollment, ExitReason, Passage, Standing};
use super::ids::StepNo;
use super::sequence::{MAX_STEPS, Sequence, StepAction, StepKind, Target, Wait};
use chrono::{DateTime, Utc};
use chrono_tz::Tz;

/// Where an enrollment comes to rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Landing {
    /// A mail of this step is to be sent; what follows depends on nothing but its end.
    Deliver {
        /// The e-mail step.
        step: StepNo,
        /// Where it leads.
        next: Target,
    },
    /// Waits in this step.
    Wait {
        /// The wait step.
        step: StepNo,
        /// When it goes on.
        until: DateTime<Utc>,
    },
    /// Walked to the end.
    Completed {
        /// The last step it passed.
        step: StepNo,
    },
    /// Left before the end.
    Exited {
        /// The step at which it left.
        step: StepNo,
        /// Why.
        reason: ExitReason,
    },
}

/// One move of an enrollment: the way it took, what it did to the contact, where it came to rest.
#[derive(Debug, Clone, PartialEq)]
pub struct Advanced {
    /// What happened at each step, in order.
    pub path: Vec<(StepNo, Passage)>,
    /// What the contact's fields and tags become, in order.
    pub changes: Vec<ContactChange>,
    /// Where it is now.
    pub landing: Landing,
}

/// An enrollment that cannot be moved on; it stays where it is, and says why in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AdvanceError {
    /// Its sequence has no such step.
    #[error("step {0:?} is not in the sequence")]
    UnknownStep(StepNo),
    /// It walked longer than any valid sequence allows without a wait.
    #[error("the sequence never comes to rest")]
    Runaway,
    /// A wait ends beyond what a date can hold.
    #[error("step {0:?} waits for ever")]
    EndlessWait(StepNo),
    /// A step sets a field to what the field cannot hold.
    #[error("step {0:?} sets a field that cannot be set so")]
    BadChange(StepNo),
}

/// Moves `due` on through every step that needs neither a delivery nor time.
///
/// `facts` is what is known of the contact and is needed when the sequence has conditions; changes made on the way
/// are seen by the conditions after them. Waits count from the moment before them that is known exactly: the sending of the
/// mail, or the launch; after another wait, from `now`.
pub fn advance(
    due: &DueEnrollment,
    sequence: &Sequence,
    mut facts: ContactFacts,
    timezone: Tz,
    now: DateTime<Utc>,
) -> Result<Advanced, AdvanceError> {
    let mut path = Vec::with_capacity(4);
    let mut changes = Vec::new();
    let mut at = due.step;
    let mut since = due.due_at.min(now);
    if due.standing == Standing::Waiting {
        path.push((at, Passage::WaitEnded));
        since = now;
        match next_of_wait(sequence, at)? {
            Target::Step(next) => at = next,
            Target::End => return Ok(ended(path, changes, at)),
        }
    }
    for _ in 0..=MAX_STEPS {
        let step = sequence.step(at).ok_or(AdvanceError::UnknownStep(at))?;
        let next = match &step.kind {
            StepKind::Email { next, .. } => {
                path.push((at, Passage::Queued));
                return Ok(Advanced { path, changes, landing: Landing::Deliver { step: at, next: *next } });
            }
            StepKind::Wait { wait, .. } => {
                path.push((at, Passage::WaitBegan));
                let until = wait_until(wait, since, timezone).ok_or(AdvanceError::EndlessWait(at))?;
                return Ok(Advanced { path, changes, landing: Landing::Wait { step: at, until } });
            }
            StepKind::Condition { rule, on_true, on_false } => {
                let held = rule.holds(&facts);
                path.push((at, if held { Passage::True } else { Passage::False }));
                if held { *on_true } else { *on_false }
            }
            StepKind::Action { action: StepAction::Exit, .. } => {
                path.extend([(at, Passage::Acted), (at, Passage::Left(ExitReason::Goal))]);
                return Ok(Advanced { path, changes, landing: Landing::Exited { step: at, reason: ExitReason::Goal } });
            }
            StepKind::Action { action, next } => {
                let change = ContactChange::of(action).ok_or(AdvanceError::BadChange(at))?;
                change.apply(&mut facts);
                changes.push(change);
                path.push((at, Passage::Acted));
                *next
            }
        };
        match next {
            Target::Step(next) => at = next,
            Target::End => return Ok(ended(path, changes, at)),
        }
    }
    Err(AdvanceError::Runaway)
}

fn ended(mut path: Vec<(StepNo, Passage)>, changes: Vec<ContactChange>, at: StepNo) -> Advanced {
    path.push((at, Passage::Ended));
    Advanced { path, changes, landing: Landing::Completed { step: at } }
}

fn next_of_wait(sequence: &Sequence, at: StepNo) -> Result<Target, AdvanceError> {
    match sequence.step(at).map(|step| &step.kind) {
        Some(StepKind::Wait { next, .. }) => Ok(*next),
        _ => Err(AdvanceError::UnknownStep(at)),
    }
}

/// When a wait that begins at `since` is over.
fn wait_until(wait: &Wait, since: DateTime<Utc>, timezone: Tz) -> Option<DateTime<Utc>> {
    match wait {
        Wait::For { .. } => since.checked_add_signed(wait.duration()?),
        Wait::Until { weekday, time_of_day } => next_local(*weekday, *time_of_day, timezone, since),
    }
}

impl Advanced {
    /// Enters this move into the books.
    pub fn book(&self, entries: &mut BookEntries) {
        for (step, passage) in &self.path {
            let line = entries.step(*step);
            match passage {
                Passage::WaitBegan | Passage::Queued => {
                    line.entered += 1;
                    line.pending += 1;
                }
                Passage::WaitEnded => {
                    line.pending -= 1;
                    line.passed += 1;
                }
                Passage::True | Passage::False | Passage::Acted => {
                    line.entered += 1;
                    line.passed += 1;
                }
                Passage::WaitCancelled => {
                    line.pending -= 1;
                    line.cancelled += 1;
                }
                Passage::Ended => {
                    entries.campaign.open -= 1;
                    entries.campaign.completed += 1;
                }
                Passage::Left(_) => {
                    entries.campaign.open -= 1;
                    entries.campaign.exited += 1;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ids::{ContactNo, Pass, SequenceVersion, StepId};
    use crate::model::rules::Rule;
    use crate::model::sequence::{EmailContent, Explicit, Step, WaitUnit};
    use chrono_tz::UTC;
    use serde_json::json;

    fn step(no: i16, kind: StepKind) -> Step {
        Step {
            no: StepNo(no),
            id: StepId(uuid::Uuid::nil()),
            order: no,
            name: String::new(),
            kind,
            explicit: Explicit::default(),
        }
    }

    fn email(next: Target) -> StepKind {
        let content = EmailContent {
            subject_line: "s".into(),
            email_content: "c".into(),
            text_content: None,
            variants: Vec::new(),
        };
        StepKind::Email { content, next }
    }

    fn wait(days: i32, next: Target) -> StepKind {
        StepKind::Wait { wait: Wait::For { value: days, unit: WaitUnit::Days }, next }
    }

    fn tag(name: &str, next: Target) -> StepKind {
        StepKind::Action { action: StepAction::AddTag { tag: name.into() }, next }
    }

    fn if_tagged(name: &str, on_true: Target, on_false: Target) -> StepKind {
        let rule: Rule = serde_json::from_value(json!({"field": "tags", "op": "contains", "value": name})).unwrap();
        StepKind::Condition { rule, on_true, on_false }
    }

    fn to(no: i16) -> Target {
        Target::Step(StepNo(no))
    }

    fn sequence(kinds: Vec<StepKind>) -> Sequence {
        Sequence { steps: (1..).zip(kinds).map(|(no, kind)| step(no, kind)).collect() }
    }

    fn at(instant: &str) -> DateTime<Utc> {
        instant.parse().unwrap()
    }

    fn due(step: i16, standing: Standing) -> DueEnrollment {
        DueEnrollment {
            contact: ContactNo(1),
            version: SequenceVersion(1),
            step: StepNo(step),
            pass: Pass(0),
            standing,
            due_at: at("2026-01-01T00:00:00Z"),
        }
    }

    fn walk(due: &DueEnrollment, sequence: &Sequence) -> Result<Advanced, AdvanceError> {
        advance(due, sequence, ContactFacts::default(), UTC, at("2026-01-03T00:00:00Z"))
    }

    #[test]
    fn a_new_enrollment_stops_at_its_first_mail() {
        let moved = walk(&due(1, Standing::Enrolled), &sequence(vec![email(Target::End)])).unwrap();
        assert_eq!(moved.landing, Landing::Deliver { step: StepNo(1), next: Target::End });
        assert_eq!(moved.path, [(StepNo(1), Passage::Queued)]);
    }

    #[test]
    fn a_wait_counts_from_the_sending_and_not_from_when_it_is_looked_at() {
        let moved = walk(&due(2, Standing::Ready), &sequence(vec![email(to(2)), wait(5, to(1))])).unwrap();
        assert_eq!(moved.landing, Landing::Wait { step: StepNo(2), until: at("2026-01-06T00:00:00Z") });
    }

    #[test]
    fn a_wait_after_a_wait_counts_from_now() {
        let steps = sequence(vec![wait(1, to(2)), wait(1, Target::End)]);
        let moved = walk(&due(1, Standing::Waiting), &steps).unwrap();
        assert_eq!(moved.landing, Landing::Wait { step: StepNo(2), until: at("2026-01-04T00:00:00Z") });
        assert_eq!(moved.path, [(StepNo(1), Passage::WaitEnded), (StepNo(2), Passage::WaitBegan)]);
    }

    #[test]
    fn a_condition_sees_what_an_action_before_it_did() {
        let steps = sequence(vec![tag("vip", to(2)), if_tagged("vip", to(3), Target::End), email(Target::End)]);
        let moved = walk(&due(1, Standing::Enrolled), &steps).unwrap();
        assert_eq!(moved.landing, Landing::Deliver { step: StepNo(3), next: Target::End });
        assert_eq!(moved.changes, [ContactChange::AddTag("vip".into())]);
    }

    #[test]
    fn a_branch_goes_to_its_target_and_not_to_the_step_beside_it() {
        let steps = sequence(vec![if_tagged("vip", to(2), to(3)), email(Target::End), email(Target::End)]);
        let moved = walk(&due(1, Standing::Enrolled), &steps).unwrap();
        assert_eq!(moved.landing, Landing::Deliver { step: StepNo(3), next: Target::End });
    }

    #[test]
    fn the_end_and_the_exit_are_told_apart() {
        let exit = StepKind::Action { action: StepAction::Exit, next: Target::End };
        let moved = walk(&due(1, Standing::Enrolled), &sequence(vec![exit])).unwrap();
        assert_eq!(moved.landing, Landing::Exited { step: StepNo(1), reason: ExitReason::Goal });
        let moved = walk(&due(1, Standing::Waiting), &sequence(vec![wait(1, Target::End)])).unwrap();
        assert_eq!(moved.landing, Landing::Completed { step: StepNo(1) });
    }

    #[test]
    fn a_loop_without_a_wait_is_noticed() {
        let steps = sequence(vec![tag("a", to(2)), tag("b", to(1))]);
        assert_eq!(walk(&due(1, Standing::Enrolled), &steps), Err(AdvanceError::Runaway));
    }

    #[test]
    fn every_move_keeps_the_books_even() {
        let steps = sequence(vec![
            wait(1, to(2)),
            if_tagged("vip", to(3), to(4)),
            email(Target::End),
            tag("cold", Target::End),
        ]);
        let mut entries = BookEntries::default();
        walk(&due(1, Standing::Enrolled), &steps).unwrap().book(&mut entries);
        walk(&due(1, Standing::Waiting), &steps).unwrap().book(&mut entries);
        for (no, figures) in &entries.steps {
            assert!(figures.balanced(steps.step(*no).unwrap().step_type()), "{no:?} {figures:?}");
        }
        assert_eq!((entries.campaign.open, entries.campaign.completed), (-1, 1));
    }
}
