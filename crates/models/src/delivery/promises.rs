//! What must hold at every moment, and what has to be reachable for the rest to mean anything.

use super::world::{Stage, World, Wrong};
use super::{Delivery, Mail};
use muster_domain::model::delivery::DeliveryState;
use muster_domain::model::lifecycle::Status;
use muster_domain::model::schedule::OnInDoubt;
use stateright::Property;

/// Nothing is lost.
pub const LOST: &str = "at rest every mail was accepted, says why not, or waits for an open campaign";
/// Nothing twice.
pub const TWICE: &str = "no mail is accepted more often than once and its resends";
/// Sent means sent.
pub const SENT: &str = "what counts as sent was accepted";
/// Accepted means sent or in doubt.
pub const UNKNOWN: &str = "what was accepted ends as sent or in doubt";
/// Doubt has a cause.
pub const DOUBT: &str = "nothing is in doubt without a fault";
/// Only known steps.
pub const STEPS: &str = "every change is a step of the table";
/// Old claims are harmless.
pub const FENCE: &str = "no row changes under another claim's epoch";
/// Pauses hold.
pub const PAUSE: &str = "nothing is accepted that began after a pause had returned";
/// Who has left is left alone.
pub const CLOSED: &str = "nothing is accepted that began after its contact had left";
/// Mail gets out: whatever else is promised would hold of a protocol that sends nothing.
pub const DELIVERED: &str = "a mail is sent";
/// Not even a greeting.
pub const BARE: &str = "no MAIL FROM after either, but when a database session was killed";

impl<const WORKERS: usize, const MAILS: usize> World<WORKERS, MAILS> {
    /// Nobody has anything in hand.
    fn is_at_rest(&self) -> bool {
        let idle = |stage| stage == Stage::Idle;
        self.journals.is_empty()
            && self.workers.iter().all(|worker| worker.begin.is_none() && worker.jobs.iter().all(|job| idle(job.stage)))
    }

    fn has_lost(&self, mail: &Mail) -> bool {
        match mail.mark.state {
            DeliveryState::Sent => mail.accepted == 0,
            DeliveryState::Pending => self.campaign.status == Status::Completed,
            _ => false,
        }
    }
}

/// Every property of the model.
pub(super) fn all<const WORKERS: usize, const MAILS: usize>() -> Vec<Property<Delivery<WORKERS, MAILS>>> {
    type At<'a, const W: usize, const M: usize> = &'a World<W, M>;
    vec![
        Property::always(LOST, |_, at: At<WORKERS, MAILS>| {
            !at.is_at_rest() || at.mails.iter().all(|mail| !at.has_lost(mail))
        }),
        Property::always(TWICE, |model: &Delivery<WORKERS, MAILS>, at: At<WORKERS, MAILS>| {
            let resends = u8::from(model.on_in_doubt == OnInDoubt::Resend);
            at.mails.iter().all(|mail| mail.accepted <= 1 + resends && mail.mark.resends <= resends.into())
        }),
        Property::always(SENT, |_, at: At<WORKERS, MAILS>| {
            at.mails.iter().all(|mail| mail.mark.state != DeliveryState::Sent || mail.accepted > 0)
        }),
        Property::always(UNKNOWN, |_, at: At<WORKERS, MAILS>| {
            let denied = [DeliveryState::Failed, DeliveryState::Suppressed, DeliveryState::Cancelled];
            at.mails.iter().all(|mail| mail.accepted == 0 || !denied.contains(&mail.mark.state))
        }),
        Property::always(DOUBT, |_, at: At<WORKERS, MAILS>| {
            at.mails.iter().all(|mail| mail.mark.state != DeliveryState::InDoubt || mail.faulted)
        }),
        Property::always(STEPS, |_, at: At<WORKERS, MAILS>| !at.broke(Wrong::Step)),
        Property::always(FENCE, |_, at: At<WORKERS, MAILS>| !at.broke(Wrong::Fence)),
        Property::always(PAUSE, |_, at: At<WORKERS, MAILS>| !at.broke(Wrong::Pause)),
        Property::always(CLOSED, |_, at: At<WORKERS, MAILS>| !at.broke(Wrong::Closed)),
        Property::always(BARE, |_, at: At<WORKERS, MAILS>| !at.broke(Wrong::Bare)),
        Property::sometimes(DELIVERED, |_, at: At<WORKERS, MAILS>| {
            at.mails.iter().any(|mail| mail.mark.state == DeliveryState::Sent && mail.accepted > 0)
        }),
    ]
}
