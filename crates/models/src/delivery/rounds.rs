//! Begins in rounds: marks that last come first, and then locks under which one mail after the other begins.

use super::world::{Action, Begin, Fate, Job, Outcome, Part, Phase, Stage, World, Wrong};
use super::{Delivery, Twin};
use muster_domain::model::delivery::{DeliveryState, Epoch};
use muster_domain::model::lifecycle::Status;
use std::array;

impl<const WORKERS: usize, const MAILS: usize> Delivery<WORKERS, MAILS> {
    /// One session: the next is named when the one before it has begun.
    pub(super) fn round_actions(
        world: &World<WORKERS, MAILS>,
        worker: usize,
        begin: Begin<MAILS>,
        actions: &mut Vec<Action>,
    ) {
        let budget = world.budget;
        if begin.lives && budget.kills > 0 {
            actions.push(Action::KillSession(worker));
        }
        let first = |part| (0..MAILS).find(|mail| begin.parts[*mail] == Some(part));
        if first(Part::Named).is_some() {
            if begin.lives {
                actions.push(Action::Confirm(worker));
            }
        } else if let Some(next) = first(Part::Take) {
            actions.push(Action::Name(worker, next, true));
            if budget.drops > 0 {
                actions.push(Action::Name(worker, next, false));
            }
        }
        // It may end at any time: whatever is left is taken back.
        Self::commit_actions(world, worker, begin, actions);
    }

    /// Written down first, then marked, in a transaction that holds nothing.
    pub(super) fn mark(&self, world: &mut World<WORKERS, MAILS>, worker: usize, fate: Fate) {
        world.budget.marks -= 1;
        if fate != Fate::Told {
            world.budget.cuts -= 1;
        }
        let active = world.campaign.status == Status::Active;
        for mail in 0..MAILS {
            let job = world.workers[worker].jobs[mail];
            if job.stage != Stage::Claimed {
                continue;
            }
            let mut mark = world.mails[mail].mark;
            let mine = mark.state == DeliveryState::Claimed && self.owns(mark.epoch, job.epoch);
            if active && mine && fate != Fate::Undone {
                mark.state = DeliveryState::Sending;
                mark.attempts += 1;
                Self::set(world, mail, mark);
            }
            let stage = if active && mine && fate == Fate::Told { Stage::Marked } else { Stage::ToGiveBack };
            world.workers[worker].jobs[mail] = Job { stage, journal: Some(Phase::Begun), ..job };
        }
    }

    /// Locks campaign and contacts, and reads under the locks what holds by now. The rows are not locked.
    pub(super) fn open_rounds(&self, world: &mut World<WORKERS, MAILS>, worker: usize) {
        let jobs = world.workers[worker].jobs;
        let unseen = self.is(Twin::LooksBeforeTheLocks);
        let parts: [Option<Part>; MAILS] = array::from_fn(|mail| {
            let (one, job) = (&world.mails[mail], &jobs[mail]);
            let mine = one.mark.state == DeliveryState::Sending && self.owns(one.mark.epoch, job.epoch);
            let fine = world.campaign.status == Status::Active && !one.erased && !one.suppressed && !one.has_left();
            let part = match () {
                () if mine && (fine || unseen) => Part::Take,
                () if one.suppressed => Part::Suppress,
                () => Part::Return,
            };
            (job.stage == Stage::Marked).then_some(part)
        });
        world.workers[worker].begin = Some(Begin { parts, asked: true, rounds: true, lives: true });
    }

    pub(super) fn name(&self, world: &mut World<WORKERS, MAILS>, worker: usize, mail: usize, answered: bool) {
        let late = world.is_forbidden(mail);
        let Some(begin) = &mut world.workers[worker].begin else { return };
        let lives = begin.lives;
        begin.parts[mail] = Some(if answered { Part::Named } else { Part::Unanswered });
        world.workers[worker].jobs[mail].late = late;
        if self.is(Twin::GoesUnconfirmed) {
            Self::confirm(world, worker);
        }
        world.budget.drops -= u8::from(!answered);
        if late && lives {
            world.note(Wrong::Bare);
        }
    }

    /// The database answers: the locks are held still.
    pub(super) fn confirm(world: &mut World<WORKERS, MAILS>, worker: usize) {
        let Some(begin) = &mut world.workers[worker].begin else { return };
        for mail in (0..MAILS).filter(|mail| begin.parts[*mail] == Some(Part::Named)).collect::<Vec<_>>() {
            begin.parts[mail] = None;
            world.workers[worker].jobs[mail].stage = Stage::Begun;
        }
    }

    pub(super) fn end_rounds(&self, world: &mut World<WORKERS, MAILS>, worker: usize, begin: Begin<MAILS>, fate: Fate) {
        for mail in 0..MAILS {
            let Some(part) = begin.parts[mail] else { continue };
            let job = world.workers[worker].jobs[mail];
            if part == Part::Named && fate == Fate::Told {
                world.workers[worker].jobs[mail].stage = Stage::Begun;
                continue;
            }
            if begin.lives && fate != Fate::Undone && part != Part::Named {
                self.unmark(world, mail, job.epoch, part);
            }
            world.workers[worker].jobs[mail].stage = Stage::ToGiveBack;
        }
    }

    /// Takes a mark back that nothing came of, as if it had not been.
    fn unmark(&self, world: &mut World<WORKERS, MAILS>, mail: usize, epoch: Epoch, part: Part) {
        let (mut mark, left) = (world.mails[mail].mark, world.mails[mail].has_left());
        if mark.state != DeliveryState::Sending || !self.owns(mark.epoch, epoch) {
            return;
        }
        if left || world.campaign.status == Status::Completed {
            self.apply_outcome(world, mail, Outcome::Retry);
            return;
        }
        if part == Part::Suppress {
            self.end(world, mail, DeliveryState::Suppressed, true);
            return;
        }
        mark.state = DeliveryState::Pending;
        mark.attempts -= 1;
        Self::set(world, mail, mark);
    }
}
