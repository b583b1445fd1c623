//! What is not being written just now, and what of it comes next.

use super::Note;
use crate::deliver::batch::Batch;
use crate::deliver::piles::Piles;
use std::collections::VecDeque;

/// Outcomes in one transaction, at most.
pub(super) const BATCH: usize = 1_000;

/// What came since, and what has to be tried again.
#[derive(Default)]
pub(super) struct Queue {
    fresh: Piles<Note>,
    again: VecDeque<Batch<Note>>,
    /// They take turns, so that neither waits for all of the other; whether it is the turn of what is tried again.
    turn_of_again: bool,
}

impl Queue {
    pub(super) fn put(&mut self, note: Note) {
        self.fresh.put(note.attempt().key.campaign_key(), note);
    }

    pub(super) fn put_back(&mut self, batch: Batch<Note>) {
        if batch.is_done() {
            self.fresh.release(batch.campaign());
        } else {
            self.again.push_back(batch);
        }
    }

    pub(super) fn next(&mut self) -> Option<Batch<Note>> {
        let Self { fresh, again, turn_of_again } = self;
        let mut fresh = || fresh.take(BATCH).map(|(campaign, notes)| Batch::of(campaign, notes));
        let again_first = std::mem::replace(turn_of_again, !*turn_of_again);
        if again_first { again.pop_front().or_else(fresh) } else { fresh().or_else(|| again.pop_front()) }
    }

    /// Whether something is to be tried again. What is fresh never waits without somebody writing or pausing.
    pub(super) fn has_again(&self) -> bool {
        !self.again.is_empty()
    }
}
