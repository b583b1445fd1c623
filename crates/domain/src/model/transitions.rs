//! Every step that a delivery and an enrollment may take.
//!
//! Two tables, and nothing besides: the models explore them, the check of recorded traces compares with them what the code
//! did, and `docs/lifecycle.md` is rendered from them.

use super::delivery::{DeliveryState, Epoch};
use super::enrollment::{ExitReason, Standing};
use std::fmt::Write as _;

/// A step from one state to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transition<S> {
    /// Where it leads from. `None`: there was no row.
    pub from: Option<S>,
    /// Where it leads to.
    pub to: S,
    /// What makes it take this step, in words.
    pub why: &'static str,
}

const fn first<S>(to: S, why: &'static str) -> Transition<S> {
    Transition { from: None, to, why }
}

const fn step<S>(from: S, to: S, why: &'static str) -> Transition<S> {
    Transition { from: Some(from), to, why }
}

/// The life of a delivery.
pub const DELIVERY: [Transition<DeliveryState>; 20] = {
    use DeliveryState::{Cancelled, Claimed, Failed, InDoubt, Pending, Sending, Sent, Suppressed};
    [
        first(Pending, "queued"),
        step(Pending, Claimed, "claimed"),
        step(Pending, Cancelled, "the contact left or the campaign ended"),
        step(Pending, Sent, "a late answer or a sign of it before it was sent once more"),
        step(Pending, InDoubt, "left or ended before it was sent once more"),
        step(Claimed, Pending, "given back or the lease ran out"),
        step(Claimed, Sending, "begun"),
        step(Claimed, Failed, "its message cannot be made"),
        step(Claimed, Suppressed, "the address is suppressed"),
        step(Claimed, Cancelled, "the contact left or the campaign ended"),
        step(Claimed, InDoubt, "one of these after an earlier doubt"),
        step(Sending, Pending, "refused for now or not handed over, or once more after a doubt"),
        step(Sending, Sent, "accepted"),
        step(Sending, Failed, "refused for good"),
        step(Sending, InDoubt, "no answer after the final dot"),
        step(Sending, Suppressed, "the address is suppressed before anything of it was handed over"),
        step(Sending, Cancelled, "not accepted and the contact has left"),
        step(InDoubt, Sent, "a late answer"),
        step(InDoubt, Failed, "a late refusal"),
        step(InDoubt, Pending, "known not to have been handed over"),
    ]
};

/// However it left: tables compare standings without the reason.
const LEFT: Standing = Standing::Exited(ExitReason::Manual);

/// The life of an enrollment.
pub const ENROLLMENT: [Transition<Standing>; 15] = {
    use Standing::{Completed, Delivering, Enrolled, Ready, Waiting};
    [
        first(Enrolled, "enrolled"),
        step(Enrolled, Waiting, "came to a wait"),
        step(Enrolled, Delivering, "queued a mail"),
        step(Enrolled, Completed, "walked to the end"),
        step(Enrolled, LEFT, "left"),
        step(Ready, Waiting, "came to a wait"),
        step(Ready, Delivering, "queued a mail"),
        step(Ready, Completed, "walked to the end"),
        step(Ready, LEFT, "left"),
        step(Waiting, Delivering, "queued a mail"),
        step(Waiting, Completed, "walked to the end"),
        step(Waiting, LEFT, "left"),
        step(Delivering, Ready, "its mail has ended"),
        step(Delivering, Completed, "its last mail has ended"),
        step(Delivering, LEFT, "left"),
    ]
};

/// A delivery's row at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DeliveryMark {
    /// Where it stands.
    pub state: DeliveryState,
    /// Of its last claim.
    pub epoch: Epoch,
    /// Begun so far.
    pub attempts: i16,
    /// Of them, in doubt and followed by another.
    pub resends: i16,
}

impl DeliveryMark {
    /// As it is queued.
    pub const QUEUED: DeliveryMark =
        DeliveryMark { state: DeliveryState::Pending, epoch: Epoch(0), attempts: 0, resends: 0 };
}

/// A step that is in no table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("from {from:?} to {to:?} is no step")]
pub struct UnknownStep<S: std::fmt::Debug> {
    /// Where it led from.
    pub from: Option<S>,
    /// Where it led to.
    pub to: S,
}

impl DeliveryState {
    /// Whether [`DELIVERY`] has this step.
    pub fn may_become(self, next: DeliveryState) -> bool {
        DELIVERY.iter().any(|known| known.from == Some(self) && known.to == next)
    }
}

impl Standing {
    /// Whether [`ENROLLMENT`] has this step.
    pub fn may_become(self, next: Standing) -> bool {
        let same = |a: Standing, b: Standing| a.code() == b.code();
        ENROLLMENT.iter().any(|known| known.from.is_some_and(|from| same(from, self)) && same(known.to, next))
    }
}

/// Whether a delivery may go from `before` to `after`: a step of [`DELIVERY`], with its numbers.
///
/// Only a claim raises the epoch, by one; only a begin counts an attempt, which is taken back when the same transaction finds
/// that the server gave no answer; only a doubt that is followed by another attempt counts as resent.
pub fn check_delivery(before: Option<DeliveryMark>, after: DeliveryMark) -> Result<(), UnknownStep<DeliveryMark>> {
    use DeliveryState::{Claimed, Pending, Sending};
    let unknown = Err(UnknownStep { from: before, to: after });
    let Some(from) = before else {
        return if after == DeliveryMark::QUEUED { Ok(()) } else { unknown };
    };
    if !from.state.may_become(after.state) {
        return unknown;
    }
    let grown = (after.epoch.0 - from.epoch.0, after.attempts - from.attempts, after.resends - from.resends);
    let expected: &[(i32, i16, i16)] = match (from.state, after.state) {
        (Pending, Claimed) => &[(1, 0, 0)],
        (Claimed, Sending) => &[(0, 1, 0)],
        (Sending, Pending) => &[(0, 0, 0), (0, 0, 1), (0, -1, 0)],
        _ => &[(0, 0, 0)],
    };
    if expected.contains(&grown) { Ok(()) } else { unknown }
}

/// Whether an enrollment may go from `before` to `after`: a step of [`ENROLLMENT`].
pub fn check_enrollment(before: Option<Standing>, after: Standing) -> Result<(), UnknownStep<Standing>> {
    let known = before.map_or(after == Standing::Enrolled, |from| from.may_become(after));
    if known { Ok(()) } else { Err(UnknownStep { from: before, to: after }) }
}

/// The life of a delivery as a Mermaid state diagram.
pub fn delivery_mermaid() -> String {
    diagram(&DELIVERY, |state| format!("{state:?}"))
}

/// The life of an enrollment as a Mermaid state diagram.
pub fn enrollment_mermaid() -> String {
    diagram(&ENROLLMENT, |standing| match standing {
        Standing::Exited(_) => "Exited".to_owned(),
        other => format!("{other:?}"),
    })
}

fn diagram<S: Copy>(table: &[Transition<S>], name: impl Fn(S) -> String) -> String {
    let mut out = String::from("stateDiagram-v2\n");
    for Transition { from, to, why } in table {
        let from = from.map_or_else(|| "[*]".to_owned(), &name);
        // A String takes everything.
        let _ = writeln!(out, "    {from} --> {}: {why}", name(*to));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use DeliveryState::{Cancelled, Claimed, Failed, InDoubt, Pending, Sending, Sent, Skipped, Suppressed};

    const STATES: [DeliveryState; 9] =
        [Pending, Claimed, Sending, Sent, Failed, Suppressed, Skipped, InDoubt, Cancelled];

    fn mark(state: DeliveryState, epoch: i32, attempts: i16, resends: i16) -> DeliveryMark {
        DeliveryMark { state, epoch: Epoch(epoch), attempts, resends }
    }

    #[test]
    fn what_was_sent_failed_suppressed_skipped_or_cancelled_stays_so() {
        for end in [Sent, Failed, Suppressed, Skipped, Cancelled] {
            assert!(STATES.into_iter().all(|next| !end.may_become(next)), "{end:?}");
        }
        for standing in [Standing::Completed, LEFT] {
            assert!(ENROLLMENT.iter().all(|known| !standing.may_become(known.to)), "{standing:?}");
        }
    }

    #[test]
    fn nothing_is_sent_or_in_doubt_without_a_begin_before_it() {
        assert_eq!(STATES.into_iter().filter(|state| state.may_become(Sending)).collect::<Vec<_>>(), [Claimed]);
        assert!(!Claimed.may_become(Sent));
        assert!(!Pending.may_become(Sending));
        assert!(!Pending.may_become(Failed));
    }

    #[test]
    fn no_step_stands_twice_in_its_table() {
        for (index, one) in DELIVERY.iter().enumerate() {
            assert!(
                DELIVERY.iter().skip(index + 1).all(|other| (other.from, other.to) != (one.from, one.to)),
                "{one:?}"
            );
        }
    }

    #[test]
    fn a_step_has_its_numbers() {
        let claimed = mark(Claimed, 1, 0, 0);
        assert_eq!(check_delivery(None, DeliveryMark::QUEUED), Ok(()));
        for (from, to) in [
            (DeliveryMark::QUEUED, claimed),
            (claimed, mark(Sending, 1, 1, 0)),
            (mark(Sending, 1, 1, 0), mark(Pending, 1, 1, 0)),
            (mark(Sending, 1, 1, 0), mark(Pending, 1, 1, 1)),
            (mark(Sending, 1, 1, 0), mark(Pending, 1, 0, 0)),
            (mark(Sending, 1, 1, 0), mark(Sent, 1, 1, 0)),
            (mark(InDoubt, 1, 2, 1), mark(Pending, 1, 2, 1)),
        ] {
            assert_eq!(check_delivery(Some(from), to), Ok(()), "{from:?} {to:?}");
        }
        for (from, to) in [
            (None, mark(Pending, 1, 0, 0)),
            (None, mark(Sent, 0, 0, 0)),
            (Some(DeliveryMark::QUEUED), mark(Claimed, 0, 0, 0)),
            (Some(DeliveryMark::QUEUED), mark(Claimed, 2, 0, 0)),
            (Some(claimed), mark(Sending, 2, 1, 0)),
            (Some(claimed), mark(Sending, 1, 0, 0)),
            (Some(claimed), mark(Pending, 0, 0, 0)),
            (Some(mark(Sending, 1, 1, 0)), mark(Pending, 1, 0, 1)),
            (Some(mark(Sending, 1, 1, 0)), mark(Sent, 2, 1, 0)),
            (Some(mark(Sent, 1, 1, 0)), mark(InDoubt, 1, 1, 0)),
            (Some(mark(InDoubt, 1, 2, 1)), mark(Pending, 1, 2, 0)),
        ] {
            assert_eq!(check_delivery(from, to), Err(UnknownStep { from, to }));
        }
    }

    #[test]
    fn an_enrollment_waits_for_its_mail_and_leaves_whenever_it_is_open() {
        assert_eq!(check_enrollment(None, Standing::Enrolled), Ok(()));
        assert!(check_enrollment(None, Standing::Ready).is_err());
        assert!(check_enrollment(Some(Standing::Delivering), Standing::Waiting).is_err());
        let open = [Standing::Enrolled, Standing::Ready, Standing::Waiting, Standing::Delivering];
        for standing in open {
            for reason in ExitReason::ALL {
                assert_eq!(check_enrollment(Some(standing), Standing::Exited(reason)), Ok(()));
            }
        }
    }
}
