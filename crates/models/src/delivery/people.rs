//! What people do meanwhile: pause and resume, unsubscribe, erase, take out, end the campaign.

use super::world::{Action, World};
use super::{Delivery, Twin};
use muster_domain::model::lifecycle::Status;

impl<const WORKERS: usize, const MAILS: usize> Delivery<WORKERS, MAILS> {
    pub(super) fn people_actions(&self, world: &World<WORKERS, MAILS>, actions: &mut Vec<Action>) {
        let (budget, campaign) = (world.budget, world.campaign);
        match campaign.status {
            Status::Active if budget.pauses > 0 => actions.push(Action::Pause),
            // The pause waits for the campaign's lock, which every open begin shares.
            Status::Paused if !campaign.held && !world.a_begin_is_open() => actions.push(Action::Barrier),
            Status::Paused if campaign.held => actions.push(Action::Resume),
            _ => {}
        }
        // Ending it takes that lock, too, and so does whoever queues a mail again.
        let requeuing = world.mails.iter().any(|mail| mail.requeuing);
        if budget.completions > 0 && campaign.status != Status::Completed && !world.a_begin_is_open() && !requeuing {
            actions.push(Action::Complete);
        }
        let unchecked = self.is(Twin::UnsubscribeCheckedAtClaim);
        for mail in (0..MAILS).filter(|mail| unchecked || !world.is_held(*mail)) {
            let one = &world.mails[mail];
            if budget.unsubscribes > 0 && !one.suppressed && !one.erased {
                actions.push(Action::Unsubscribe(mail));
            }
            if budget.erasures > 0 && !one.erased {
                actions.push(Action::Erase(mail));
            }
            if budget.exits > 0 && one.enrollment.is_open() {
                actions.push(Action::Exit(mail));
            }
        }
    }

    pub(super) fn pause(&self, world: &mut World<WORKERS, MAILS>) {
        world.budget.pauses -= 1;
        world.campaign.status = Status::Paused;
        world.campaign.held = self.is(Twin::PauseAsAFlag);
    }

    pub(super) fn resume(world: &mut World<WORKERS, MAILS>) {
        world.campaign.status = Status::Active;
        world.campaign.held = false;
    }

    pub(super) fn unsubscribe(&self, world: &mut World<WORKERS, MAILS>, mail: usize) {
        world.budget.unsubscribes -= 1;
        world.mails[mail].suppressed = true;
        world.mails[mail].closed = true;
        self.leave(world, mail);
    }

    pub(super) fn erase(&self, world: &mut World<WORKERS, MAILS>, mail: usize) {
        world.budget.erasures -= 1;
        world.mails[mail].erased = true;
        world.mails[mail].closed = true;
        self.leave(world, mail);
    }

    pub(super) fn exit(&self, world: &mut World<WORKERS, MAILS>, mail: usize) {
        world.budget.exits -= 1;
        world.mails[mail].closed = true;
        self.leave(world, mail);
    }

    pub(super) fn complete(&self, world: &mut World<WORKERS, MAILS>) {
        world.budget.completions -= 1;
        world.campaign.status = Status::Completed;
        for mail in 0..MAILS {
            world.mails[mail].closed = true;
            self.leave(world, mail);
        }
    }
}
