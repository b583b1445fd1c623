//! Adopting journals: what a process wrote down before it died.

use super::Delivery;
use super::world::{Action, Journaled, Outcome, Phase, World};

impl<const WORKERS: usize, const MAILS: usize> Delivery<WORKERS, MAILS> {
    pub(super) fn journal_actions(world: &World<WORKERS, MAILS>, actions: &mut Vec<Action>) {
        for journal in 0..world.journals.len() {
            actions.push(Action::Adopt(journal, true));
            if world.budget.crashes > 0 {
                actions.push(Action::Adopt(journal, false));
            }
        }
    }

    /// Unsent attempts first, then those that ended; then the journal is discarded. An adopter that is killed between the
    /// two leaves it to the next.
    pub(super) fn adopt(&self, world: &mut World<WORKERS, MAILS>, journal: usize, whole: bool) {
        let entries = world.journals[journal];
        self.settle_unsent(world, &entries);
        if !whole {
            world.budget.crashes -= 1;
            return;
        }
        for (mail, entry) in entries.iter().enumerate() {
            let Some(Journaled { epoch, phase }) = *entry else { continue };
            let unsent = match phase {
                Phase::Begun => false,
                Phase::Dot => self.record_one(world, mail, epoch, Outcome::InDoubt),
                Phase::Replied(outcome) => self.record_one(world, mail, epoch, outcome),
            };
            if unsent {
                self.requeue(world, mail, epoch);
            }
        }
        world.journals.remove(journal);
    }

    /// What an adopter does that does not ask whether the owner is gone.
    pub(super) fn adopt_living(&self, world: &mut World<WORKERS, MAILS>, worker: usize) {
        let entries =
            world.workers[worker].jobs.map(|job| job.journal.map(|phase| Journaled { epoch: job.epoch, phase }));
        self.settle_unsent(world, &entries);
    }

    fn settle_unsent(&self, world: &mut World<WORKERS, MAILS>, entries: &[Option<Journaled>; MAILS]) {
        for (mail, entry) in entries.iter().enumerate() {
            let Some(Journaled { epoch, phase: Phase::Begun }) = *entry else { continue };
            if self.give_back_one(world, mail, epoch) {
                self.requeue(world, mail, epoch);
            }
        }
    }
}
