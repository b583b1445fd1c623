//! Where contacts come to, and whether they ever come to rest.

use super::{Planned, To};
use crate::authoring::step_input::StepBody;
use crate::model::problem::FieldProblems;

/// Notes steps that nobody comes to, and loops that nobody comes out of.
pub(super) fn check(steps: &[Planned], problems: &mut FieldProblems) {
    let mut reached = vec![false; steps.len()];
    let mut todo = vec![0];
    while let Some(place) = todo.pop() {
        let Some(seen) = reached.get_mut(place) else { continue };
        if !std::mem::replace(seen, true) {
            todo.extend(targets_of(steps, place).filter_map(|(_, to)| place_of(to)));
        }
    }
    for (place, _) in reached.iter().enumerate().filter(|(_, reached)| !**reached) {
        problems.add(format!("/{place}"), "unreachable", "no way from the first step leads here");
    }
    let mut walk = Walk { steps, state: vec![Visit::Not; steps.len()], loops: Vec::new() };
    for place in 0..steps.len() {
        walk.visit(place);
    }
    for (place, field) in walk.loops {
        let detail = "this leads back to an earlier step without a wait between: a contact would never come to rest";
        problems.add(format!("/{place}/{field}"), "loop_without_wait", detail);
    }
}

fn targets_of(steps: &[Planned], place: usize) -> impl Iterator<Item = (&'static str, To)> {
    steps.get(place).map(Planned::targets).unwrap_or_default().into_iter()
}

fn place_of(to: To) -> Option<usize> {
    match to {
        To::Place(place) => Some(place),
        To::End => None,
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Visit {
    Not,
    Under,
    Done,
}

/// A search in depth (at most [`MAX_STEPS`]) over the steps that do not wait.
struct Walk<'a> {
    steps: &'a [Planned],
    state: Vec<Visit>,
    loops: Vec<(usize, &'static str)>,
}

impl Walk<'_> {
    fn visit(&mut self, place: usize) {
        let waits = self.steps.get(place).is_none_or(|step| matches!(step.body, StepBody::Wait(_)));
        if waits || self.state.get(place) != Some(&Visit::Not) {
            return;
        }
        self.state[place] = Visit::Under;
        for (field, to) in targets_of(self.steps, place) {
            let Some(next) = place_of(to) else { continue };
            if self.state.get(next) == Some(&Visit::Under) {
                self.loops.push((place, field));
            } else {
                self.visit(next);
            }
        }
        self.state[place] = Visit::Done;
    }
}
