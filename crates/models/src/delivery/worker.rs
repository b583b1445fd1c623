//! What a worker does: claim, begin, hand over, record. And what befalls it.

use super::world::{Action, Begin, Fate, Job, Journaled, Outcome, Part, Phase, Stage, World, Wrong};
use super::{Delivery, Twin};
use muster_domain::model::delivery::{DeliveryState, Epoch};
use muster_domain::model::lifecycle::Status;
use std::array;

impl<const WORKERS: usize, const MAILS: usize> Delivery<WORKERS, MAILS> {
    pub(super) fn worker_actions(&self, world: &World<WORKERS, MAILS>, worker: usize, actions: &mut Vec<Action>) {
        let (me, budget) = (&world.workers[worker], world.budget);
        let any = |wanted: fn(Stage) -> bool| me.jobs.iter().any(|job| wanted(job.stage));
        if let Some(begin) = me.begin.filter(|begin| begin.rounds) {
            Self::round_actions(world, worker, begin, actions);
        } else if let Some(begin) = me.begin {
            Self::begin_actions(world, worker, begin, actions);
        } else if any(|stage| stage == Stage::Marked) {
            actions.push(Action::OpenRounds(worker));
        } else if any(|stage| stage == Stage::Claimed) {
            actions.push(Action::Open(worker));
            if budget.marks > 0 {
                actions.push(Action::Mark(worker, Fate::Told));
                if budget.cuts > 0 {
                    actions.extend([Action::Mark(worker, Fate::Untold), Action::Mark(worker, Fate::Undone)]);
                }
            }
            if budget.drops > 0 {
                actions.push(Action::HandBack(worker));
            }
        } else if world.campaign.status == Status::Active && self.claimable(world, worker).next().is_some() {
            actions.push(Action::Claim(worker));
        }
        for (mail, job) in me.jobs.iter().enumerate() {
            Self::job_actions(world, (worker, mail), *job, actions);
        }
        if any(|stage| matches!(stage, Stage::ToRecord(_))) {
            actions.push(Action::Record(worker, Fate::Told));
            if budget.cuts > 0 {
                actions.push(Action::Record(worker, Fate::Untold));
            }
        }
        if any(|stage| stage == Stage::ToGiveBack) {
            actions.push(Action::GiveBack(worker));
        }
        if budget.crashes > 0 && any(|stage| stage != Stage::Idle) {
            actions.push(Action::Crash(worker));
        }
        if self.is(Twin::AdoptsTheLiving) && me.jobs.iter().any(|job| job.journal == Some(Phase::Begun)) {
            actions.push(Action::AdoptLiving(worker));
        }
    }

    fn begin_actions(world: &World<WORKERS, MAILS>, worker: usize, begin: Begin<MAILS>, actions: &mut Vec<Action>) {
        let budget = world.budget;
        if begin.lives && budget.kills > 0 {
            actions.push(Action::KillSession(worker));
        }
        if begin.asked {
            Self::commit_actions(world, worker, begin, actions);
            return;
        }
        actions.push(Action::Reserve(worker, None));
        if budget.drops > 0 {
            let taken = (0..MAILS).filter(|mail| begin.parts[*mail] == Some(Part::Take));
            actions.extend(taken.map(|mail| Action::Reserve(worker, Some(mail))));
        }
    }

    pub(super) fn commit_actions(
        world: &World<WORKERS, MAILS>,
        worker: usize,
        begin: Begin<MAILS>,
        actions: &mut Vec<Action>,
    ) {
        let fates: &[Fate] = match begin.lives {
            true if world.budget.cuts > 0 => &[Fate::Told, Fate::Untold, Fate::Undone],
            true => &[Fate::Told],
            false => &[Fate::Undone],
        };
        actions.extend(fates.iter().map(|fate| Action::Commit(worker, *fate)));
    }

    fn job_actions(world: &World<WORKERS, MAILS>, (worker, mail): (usize, usize), job: Job, actions: &mut Vec<Action>) {
        let budget = world.budget;
        match job.stage {
            Stage::Begun => {
                actions.push(Action::Dot(worker, mail));
                if budget.refusals > 0 {
                    actions.extend([Outcome::Retry, Outcome::Failed].map(|one| Action::Refuse(worker, mail, one)));
                }
            }
            Stage::Dotted => {
                actions.push(Action::Answer(worker, mail, Outcome::Sent));
                if budget.refusals > 0 {
                    actions.extend([Outcome::Retry, Outcome::Failed].map(|one| Action::Answer(worker, mail, one)));
                }
                if budget.drops > 0 {
                    actions.extend([true, false].map(|accepted| Action::Lose(worker, mail, accepted)));
                }
            }
            Stage::Answering(_) => actions.push(Action::Read(worker, mail)),
            Stage::ToRequeue => actions.push(Action::Requeue(worker, mail)),
            Stage::Idle | Stage::Claimed | Stage::Marked | Stage::ToRecord(_) | Stage::ToGiveBack => {}
        }
    }

    /// What a claim would take: pending, and not in this worker's hands under an older claim.
    fn claimable<'a>(
        &self,
        world: &'a World<WORKERS, MAILS>,
        worker: usize,
    ) -> impl Iterator<Item = usize> + use<'a, WORKERS, MAILS> {
        let jobs = world.workers[worker].jobs;
        (0..MAILS)
            .filter(move |mail| world.mails[*mail].mark.state == DeliveryState::Pending)
            .filter(move |mail| jobs[*mail].stage == Stage::Idle)
            .take(self.batch)
    }

    pub(super) fn claim(&self, world: &mut World<WORKERS, MAILS>, worker: usize) {
        let batch: Vec<usize> = self.claimable(world, worker).collect();
        for mail in batch {
            let mut mark = world.mails[mail].mark;
            mark.epoch = Epoch(mark.epoch.0 + 1);
            mark.state = DeliveryState::Claimed;
            Self::set(world, mail, mark);
            if world.mails[mail].erased {
                self.end(world, mail, DeliveryState::Cancelled, true);
                continue;
            }
            let stage = if self.unwritable && mail == 0 {
                Stage::ToRecord(Outcome::Failed)
            } else if self.is(Twin::CheckpointAtFetch) {
                self.end(world, mail, DeliveryState::Sent, false);
                Stage::Begun
            } else if self.is(Twin::SendThenMark) {
                Stage::Begun
            } else {
                Stage::Claimed
            };
            world.workers[worker].jobs[mail] = Job { stage, epoch: mark.epoch, ..Job::IDLE };
        }
    }

    pub(super) fn hand_back(world: &mut World<WORKERS, MAILS>, worker: usize) {
        world.budget.drops -= 1;
        for job in &mut world.workers[worker].jobs {
            if job.stage == Stage::Claimed {
                job.stage = Stage::ToGiveBack;
            }
        }
    }

    /// Locks campaign and contacts, reads what holds under the locks, locks the rows. One step: what comes between the locks
    /// either waits for them or could as well have come before.
    pub(super) fn open(&self, world: &mut World<WORKERS, MAILS>, worker: usize) {
        let jobs = world.workers[worker].jobs;
        let active = world.campaign.status == Status::Active;
        let unchecked = self.is(Twin::UnsubscribeCheckedAtClaim);
        let parts: [Option<Part>; MAILS] = array::from_fn(|mail| {
            let (one, job) = (&world.mails[mail], &jobs[mail]);
            let claimed = job.stage == Stage::Claimed && one.mark.state == DeliveryState::Claimed;
            (claimed && self.owns(one.mark.epoch, job.epoch)).then_some(match () {
                () if !active => Part::Return,
                () if one.erased && !unchecked => Part::Return,
                () if one.suppressed && !unchecked => Part::Suppress,
                () => Part::Take,
            })
        });
        for mail in 0..MAILS {
            if parts[mail].is_none() && jobs[mail].stage == Stage::Claimed {
                world.workers[worker].jobs[mail] = Job::IDLE;
            }
        }
        if parts.iter().any(Option::is_some) {
            let asked = !parts.contains(&Some(Part::Take));
            world.workers[worker].begin = Some(Begin { parts, asked, rounds: false, lives: true });
        }
    }

    pub(super) fn reserve(world: &mut World<WORKERS, MAILS>, worker: usize, lost: Option<usize>) {
        let Some(mut begin) = world.workers[worker].begin else { return };
        begin.asked = true;
        let taken: Vec<usize> = (0..MAILS).filter(|mail| begin.parts[*mail] == Some(Part::Take)).collect();
        for mail in taken {
            let late = world.is_forbidden(mail);
            if late && begin.lives {
                world.note(Wrong::Bare);
            }
            let job = &mut world.workers[worker].jobs[mail];
            job.late = late;
            if lost == Some(mail) {
                begin.parts[mail] = Some(Part::Unanswered);
                world.budget.drops -= 1;
            } else {
                job.journal = Some(Phase::Begun);
            }
        }
        world.workers[worker].begin = Some(begin);
    }

    pub(super) fn commit(&self, world: &mut World<WORKERS, MAILS>, worker: usize, fate: Fate) {
        let Some(begin) = world.workers[worker].begin.take() else { return };
        if fate != Fate::Told && begin.lives {
            world.budget.cuts -= 1;
        }
        if begin.rounds {
            return self.end_rounds(world, worker, begin, fate);
        }
        for mail in 0..MAILS {
            let Some(part) = begin.parts[mail] else { continue };
            if begin.lives && fate != Fate::Undone {
                self.write_begin(world, mail, part, world.workers[worker].jobs[mail].epoch);
            }
            let job = &mut world.workers[worker].jobs[mail];
            let goes = part == Part::Take && (fate == Fate::Told || self.is(Twin::SendsWithoutCommit));
            match fate {
                _ if goes => job.stage = Stage::Begun,
                Fate::Told => *job = Job::IDLE,
                Fate::Untold | Fate::Undone => job.stage = Stage::ToGiveBack,
            }
        }
    }

    fn write_begin(&self, world: &mut World<WORKERS, MAILS>, mail: usize, part: Part, epoch: Epoch) {
        let mut mark = world.mails[mail].mark;
        if mark.epoch != epoch {
            world.note(Wrong::Fence);
        }
        match part {
            Part::Take => {
                mark.state = DeliveryState::Sending;
                mark.attempts += 1;
                Self::set(world, mail, mark);
            }
            Part::Named | Part::Unanswered | Part::Return => {
                mark.state = DeliveryState::Pending;
                Self::set(world, mail, mark);
            }
            Part::Suppress => self.end(world, mail, DeliveryState::Suppressed, true),
        }
    }

    /// The journal is told first. Where there is no begin, `MAIL FROM` is written only here.
    pub(super) fn dot(&self, world: &mut World<WORKERS, MAILS>, worker: usize, mail: usize) {
        let forbidden = world.is_forbidden(mail);
        let job = &mut world.workers[worker].jobs[mail];
        job.stage = Stage::Dotted;
        if !self.is(Twin::JournalAfterDot) {
            job.journal = Some(Phase::Dot);
        }
        if self.is(Twin::SendThenMark) || self.is(Twin::CheckpointAtFetch) {
            job.late = forbidden;
        }
    }

    pub(super) fn refuse(world: &mut World<WORKERS, MAILS>, worker: usize, mail: usize, outcome: Outcome) {
        world.budget.refusals -= 1;
        world.workers[worker].jobs[mail].stage = Stage::ToRecord(outcome);
    }

    pub(super) fn answer(world: &mut World<WORKERS, MAILS>, worker: usize, mail: usize, outcome: Outcome) {
        if outcome == Outcome::Sent {
            Self::accept(world, worker, mail);
        } else {
            world.budget.refusals -= 1;
        }
        world.workers[worker].jobs[mail].stage = Stage::Answering(outcome);
    }

    pub(super) fn lose(&self, world: &mut World<WORKERS, MAILS>, worker: usize, mail: usize, accepted: bool) {
        world.budget.drops -= 1;
        world.mails[mail].faulted = true;
        if accepted {
            Self::accept(world, worker, mail);
        }
        let outcome = if self.is(Twin::RetryAfterDot) { Outcome::Retry } else { Outcome::InDoubt };
        world.workers[worker].jobs[mail].stage = Stage::ToRecord(outcome);
    }

    fn accept(world: &mut World<WORKERS, MAILS>, worker: usize, mail: usize) {
        world.mails[mail].accepted += 1;
        if world.workers[worker].jobs[mail].late {
            world.note(if world.mails[mail].closed { Wrong::Closed } else { Wrong::Pause });
        }
    }

    pub(super) fn read(world: &mut World<WORKERS, MAILS>, worker: usize, mail: usize) {
        let job = &mut world.workers[worker].jobs[mail];
        if let Stage::Answering(outcome) = job.stage {
            job.stage = Stage::ToRecord(outcome);
            job.journal = Some(Phase::Replied(outcome));
        }
    }

    pub(super) fn record(&self, world: &mut World<WORKERS, MAILS>, worker: usize, fate: Fate) {
        if fate != Fate::Told {
            world.budget.cuts -= 1;
        }
        for mail in 0..MAILS {
            let job = world.workers[worker].jobs[mail];
            let Stage::ToRecord(outcome) = job.stage else { continue };
            let unsent = self.record_one(world, mail, job.epoch, outcome);
            if fate == Fate::Told {
                Self::settle(world, worker, mail, unsent);
            }
        }
    }

    pub(super) fn give_back(&self, world: &mut World<WORKERS, MAILS>, worker: usize) {
        for mail in 0..MAILS {
            let job = world.workers[worker].jobs[mail];
            if job.stage == Stage::ToGiveBack {
                let unsent = self.give_back_one(world, mail, job.epoch);
                Self::settle(world, worker, mail, unsent);
            }
        }
    }

    fn settle(world: &mut World<WORKERS, MAILS>, worker: usize, mail: usize, unsent: bool) {
        let job = &mut world.workers[worker].jobs[mail];
        if unsent {
            job.stage = Stage::ToRequeue;
        } else {
            *job = Job::IDLE;
        }
    }

    pub(super) fn requeue_job(&self, world: &mut World<WORKERS, MAILS>, worker: usize, mail: usize) {
        let epoch = world.workers[worker].jobs[mail].epoch;
        if self.is(Twin::RequeuesUnlocked) && !world.mails[mail].requeuing {
            world.mails[mail].requeuing = true;
            if Self::may_requeue(world, mail, epoch) {
                return;
            }
            world.mails[mail].requeuing = false;
        } else {
            self.requeue(world, mail, epoch);
        }
        world.workers[worker].jobs[mail] = Job::IDLE;
    }

    /// What it had in hand is left to leases and journal; its session dies with it, and its begin.
    pub(super) fn crash(world: &mut World<WORKERS, MAILS>, worker: usize) {
        world.budget.crashes -= 1;
        let me = &mut world.workers[worker];
        let jobs = std::mem::replace(&mut me.jobs, [Job::IDLE; MAILS]);
        me.begin = None;
        for (mail, job) in world.mails.iter_mut().zip(&jobs) {
            if job.stage != Stage::Idle {
                mail.faulted = true;
                mail.requeuing = false;
            }
        }
        let journal = jobs.map(|job| job.journal.map(|phase| Journaled { epoch: job.epoch, phase }));
        if journal.iter().any(Option::is_some) {
            world.journals.push(journal);
            world.journals.sort_unstable();
        }
    }

    pub(super) fn kill_session(world: &mut World<WORKERS, MAILS>, worker: usize) {
        world.budget.kills -= 1;
        if let Some(begin) = &mut world.workers[worker].begin {
            begin.lives = false;
        }
    }
}
