//! What the database does: each function is one guarded statement, and what follows from it for the enrollment.

use super::world::{Action, Outcome, World, Wrong};
use super::{Delivery, Twin};
use chrono::TimeDelta;
use muster_domain::model::delivery::{DeliveryState, Epoch, RetryPolicy, SendOutcome, Settlement};
use muster_domain::model::enrollment::{ExitReason, Standing};
use muster_domain::model::lifecycle::Status;
use muster_domain::model::schedule::OnInDoubt;
use muster_domain::model::transitions::{DeliveryMark, check_delivery, check_enrollment};

/// Few attempts, so that a mail that is refused again and again comes to its end.
const POLICY: RetryPolicy =
    RetryPolicy { first_after: TimeDelta::seconds(60), at_most: TimeDelta::hours(4), max_attempts: 3 };

impl<const WORKERS: usize, const MAILS: usize> Delivery<WORKERS, MAILS> {
    pub(super) fn store_actions(&self, world: &World<WORKERS, MAILS>, actions: &mut Vec<Action>) {
        for mail in 0..MAILS {
            let leased = matches!(world.mails[mail].mark.state, DeliveryState::Claimed | DeliveryState::Sending);
            if leased
                && !world.is_locked(mail)
                && (!world.is_in_hand(mail) || world.budget.stalls > 0 || self.is(Twin::ReapsTheRunning))
            {
                actions.push(Action::Reap(mail));
            }
            let sent = world.mails[mail].mark.state == DeliveryState::Sent;
            if sent && self.is(Twin::ReaperWithoutGuard) && world.budget.stalls > 0 {
                actions.push(Action::ReapBlindly(mail));
            }
        }
        let over = world.mails.iter().all(|mail| !mail.is_open() && !mail.enrollment.is_open());
        if over && world.campaign.status == Status::Active {
            actions.push(Action::Finish);
        }
    }

    /// Writes a mail's row. Every change goes through here, and has to be in the table.
    pub(super) fn set(world: &mut World<WORKERS, MAILS>, mail: usize, mark: DeliveryMark) {
        if check_delivery(Some(world.mails[mail].mark), mark).is_err() {
            world.note(Wrong::Step);
        }
        world.mails[mail].mark = mark;
    }

    fn move_on(world: &mut World<WORKERS, MAILS>, mail: usize, standing: Standing) {
        if check_enrollment(Some(world.mails[mail].enrollment), standing).is_err() {
            world.note(Wrong::Step);
        }
        world.mails[mail].enrollment = standing;
    }

    /// Whether a write under the epoch `mine` hits a row whose epoch is `its`.
    pub(super) fn owns(&self, its: Epoch, mine: Epoch) -> bool {
        its == mine || self.is(Twin::NoEpoch)
    }

    fn fence(world: &mut World<WORKERS, MAILS>, mail: usize, epoch: Epoch) {
        if world.mails[mail].mark.epoch != epoch {
            world.note(Wrong::Fence);
        }
    }

    /// Ends a delivery, and moves the enrollment that waits for it.
    pub(super) fn end(&self, world: &mut World<WORKERS, MAILS>, mail: usize, state: DeliveryState, leaves: bool) {
        let mut mark = world.mails[mail].mark;
        mark.state = if self.is(Twin::ForgetsDoubts) { state } else { state.given_resends(mark.resends) };
        Self::set(world, mail, mark);
        if world.mails[mail].enrollment == Standing::Delivering {
            let onward = match (leaves, self.goes_on) {
                (true, _) => Standing::Exited(ExitReason::Suppressed),
                (false, true) => Standing::Ready,
                (false, false) => Standing::Completed,
            };
            Self::move_on(world, mail, onward);
        }
    }

    /// Takes a contact out: its enrollment ends, its mail is cancelled unless it has begun.
    pub(super) fn leave(&self, world: &mut World<WORKERS, MAILS>, mail: usize) {
        if world.mails[mail].enrollment.is_open() {
            Self::move_on(world, mail, Standing::Exited(ExitReason::Manual));
        }
        let queued = matches!(world.mails[mail].mark.state, DeliveryState::Pending | DeliveryState::Claimed);
        if queued && !world.is_held(mail) {
            self.end(world, mail, DeliveryState::Cancelled, true);
        }
    }

    /// Records one outcome. Whether the mail had been given up as in doubt and is known now not to have been handed over.
    pub(super) fn record_one(
        &self,
        world: &mut World<WORKERS, MAILS>,
        mail: usize,
        epoch: Epoch,
        outcome: Outcome,
    ) -> bool {
        let mark = world.mails[mail].mark;
        if !self.owns(mark.epoch, epoch) {
            return false;
        }
        if world.mails[mail].is_open() {
            let applies = match mark.state {
                DeliveryState::Sending => true,
                DeliveryState::Claimed => outcome == Outcome::Failed || self.is(Twin::SendThenMark),
                _ => outcome == Outcome::Sent,
            };
            if applies {
                Self::fence(world, mail, epoch);
                self.apply_outcome(world, mail, outcome);
            }
            return false;
        }
        if mark.state != DeliveryState::InDoubt {
            return false;
        }
        let certain = mark.resends == 0 || self.is(Twin::ForgetsDoubts);
        match outcome {
            Outcome::Sent => self.end(world, mail, DeliveryState::Sent, false),
            Outcome::Failed if certain => self.end(world, mail, DeliveryState::Failed, false),
            Outcome::Retry => return true,
            Outcome::Failed | Outcome::InDoubt => {}
        }
        false
    }

    pub(super) fn apply_outcome(&self, world: &mut World<WORKERS, MAILS>, mail: usize, outcome: Outcome) {
        let one = &world.mails[mail];
        let over = one.has_left() || (world.campaign.status == Status::Completed && !self.is(Twin::RetriesWhenOver));
        let on_in_doubt = if over { OnInDoubt::Hold } else { self.on_in_doubt };
        let nothing = String::new;
        let outcome = match outcome {
            Outcome::Sent => SendOutcome::Sent { reply: nothing() },
            Outcome::Retry => SendOutcome::Retry { reason: nothing(), soft: false },
            Outcome::Failed => SendOutcome::Failed { reason: nothing(), bounced: None },
            Outcome::InDoubt => SendOutcome::InDoubt { reason: nothing() },
        };
        match outcome.settle(one.mark.attempts, one.mark.resends, &POLICY, on_in_doubt, 0.5) {
            Settlement::Sent => self.end(world, mail, DeliveryState::Sent, false),
            Settlement::Failed { .. } => self.end(world, mail, DeliveryState::Failed, false),
            Settlement::InDoubt => self.end(world, mail, DeliveryState::InDoubt, false),
            Settlement::Again { .. } if over => self.end(world, mail, DeliveryState::Cancelled, false),
            Settlement::Again { resend, .. } => Self::queue_again(world, mail, resend),
        }
    }

    fn queue_again(world: &mut World<WORKERS, MAILS>, mail: usize, resend: bool) {
        let mut mark = world.mails[mail].mark;
        mark.state = DeliveryState::Pending;
        mark.resends += i16::from(resend);
        Self::set(world, mail, mark);
    }

    /// Gives one attempt back. Whether the mail had been given up as in doubt.
    pub(super) fn give_back_one(&self, world: &mut World<WORKERS, MAILS>, mail: usize, epoch: Epoch) -> bool {
        let mark = world.mails[mail].mark;
        if !self.owns(mark.epoch, epoch) {
            return false;
        }
        match mark.state {
            DeliveryState::Claimed => {
                Self::fence(world, mail, epoch);
                Self::queue_again(world, mail, false);
            }
            DeliveryState::Sending => {
                Self::fence(world, mail, epoch);
                self.apply_outcome(world, mail, Outcome::Retry);
            }
            DeliveryState::InDoubt => return true,
            _ => {}
        }
        false
    }

    /// What is asked of enrollment and campaign before a mail in doubt is queued again.
    pub(super) fn may_requeue(world: &World<WORKERS, MAILS>, mail: usize, epoch: Epoch) -> bool {
        let one = &world.mails[mail];
        let mine = one.mark.state == DeliveryState::InDoubt && one.mark.epoch == epoch;
        mine && !one.has_left() && world.campaign.status != Status::Completed
    }

    /// Queues a mail in doubt again, under the locks of its enrollment and its campaign; it has failed where these are over.
    pub(super) fn requeue(&self, world: &mut World<WORKERS, MAILS>, mail: usize, epoch: Epoch) {
        let seen_before = std::mem::take(&mut world.mails[mail].requeuing);
        let mut mark = world.mails[mail].mark;
        let there = mark.state == DeliveryState::InDoubt && mark.epoch == epoch;
        if !there {
            return;
        }
        if !seen_before && !Self::may_requeue(world, mail, epoch) {
            if mark.resends == 0 || self.is(Twin::ForgetsDoubts) {
                self.end(world, mail, DeliveryState::Failed, false);
            }
            return;
        }
        mark.state = DeliveryState::Pending;
        if self.is(Twin::ForgetsResends) {
            mark.resends = 0;
        }
        Self::set(world, mail, mark);
    }

    /// A lease ran out.
    pub(super) fn reap(&self, world: &mut World<WORKERS, MAILS>, mail: usize) {
        // Without a stall no lease runs out under a process that lives: that would be no fault but a mistake.
        let runs = world.is_in_hand(mail) && world.budget.stalls == 0;
        if world.is_in_hand(mail) && !runs {
            world.budget.stalls -= 1;
        }
        world.mails[mail].faulted |= !runs;
        if world.mails[mail].mark.state == DeliveryState::Claimed {
            Self::queue_again(world, mail, false);
        } else {
            self.apply_outcome(world, mail, Outcome::InDoubt);
        }
    }

    pub(super) fn reap_blindly(world: &mut World<WORKERS, MAILS>, mail: usize) {
        world.budget.stalls -= 1;
        Self::queue_again(world, mail, false);
    }
}
