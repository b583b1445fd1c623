//! A mail that has begun, on its way to the mail server: by itself, or with the sender of the next behind its end.
//!
//! A begin that has its locks while the one before it is being committed takes over the sessions of that one. Each message then goes
//! out together with the `MAIL FROM` of the next (RFC 2920 section 3.1): half as many waits for the network, and no session stands idle
//! between two begins.

use super::counter::{NAMED_AND_ANSWERED_WITHIN, Place, Standing};
use super::line::Line;
use super::sessions::Lent;
use futures::FutureExt;
use muster_domain::model::delivery::{Attempt, LEASE, LEASE_AT_BEGIN, SendOutcome};
use muster_domain::ports::delivery::Finished;
use muster_domain::ports::transport::{TransportError, WireMessage};
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::Instant;

/// Half of a lease. A process that stood still for longer between begin and handing over does not hand over.
const FRESH_FOR: Duration = Duration::from_secs(LEASE.as_secs() / 2);
const _: () = assert!(
    FRESH_FOR.as_millis() + LEASE.as_millis() / 4 <= LEASE_AT_BEGIN.as_millis(),
    "what is handed over at the last moment has a while to be answered before anybody doubts it"
);
/// The sender of the next is named so soon or not at all.
const NAMED_WITHIN: Duration = Duration::from_millis(50);
const _: () = assert!(
    NAMED_WITHIN.as_millis() < NAMED_AND_ANSWERED_WITHIN.as_millis(),
    "whatever is named, the transaction that begins it is open still"
);

/// A begun mail. Goes by itself when it is dropped.
pub(super) struct Begun {
    line: Arc<Line>,
    attempt: Attempt,
    began_at: Instant,
    place: Option<Place>,
}

/// A mail that was named behind another: its message, the session, and what the server said to its sender.
pub(super) type Named = (WireMessage, Lent, Result<(), TransportError>);

impl Begun {
    /// Its begin was made at `began_at` or later.
    pub(super) fn of(line: &Arc<Line>, attempt: Attempt, began_at: Instant, place: Place) -> Self {
        line.leases.begun(attempt, began_at);
        Self { line: Arc::clone(line), attempt, began_at, place: Some(place) }
    }

    /// Whether the sender of another message may be named behind its end.
    pub(super) fn takes_another_behind(&self) -> bool {
        let takes = |place: &Place| place.standing == Standing::Reserved && place.lent.session.takes_another_behind();
        self.place.as_ref().is_some_and(takes)
    }

    /// Goes to the mail server with the sender of `next` behind it. What is answered to that comes with the session, whose reservation
    /// is taken back if nobody wants it any more.
    pub(super) fn go_before(mut self, next: WireMessage) -> oneshot::Receiver<Named> {
        let (named, answer) = oneshot::channel();
        let Some(place) = self.place.take() else { return answer };
        let (line, attempt, began_at, since) = (Arc::clone(&self.line), self.attempt, self.began_at, Instant::now());
        let abandon = line.abandon.clone();
        self.line.handing_over.spawn(abandon.run_until_cancelled_owned(async move {
            // The process may have stood still before this was run, and the begin of the next may be over.
            if named.is_closed() || place.standing != Standing::Reserved || began_at.elapsed() >= FRESH_FOR {
                drop(named);
                return go(&line, attempt, place, began_at).await;
            }
            let Place { message, mut lent, .. } = place;
            let (journal, within) = (line.ports.journal.as_ref(), NAMED_WITHIN.saturating_sub(since.elapsed()));
            let both = lent.session.confirm_and_reserve(attempt, &message, journal, &next, within);
            let (outcome, reserved) = AssertUnwindSafe(both).catch_unwind().await.unwrap_or_else(|_| {
                (broken_off(), Err(TransportError::Unavailable("handing over the message before broke off".to_owned())))
            });
            let unwanted = named.send((next, lent, reserved)).err();
            line.finished(Finished { attempt, outcome });
            if let Some((_, mut lent, _)) = unwanted {
                lent.session.abort().await;
            }
        }));
        answer
    }
}

fn broken_off() -> SendOutcome {
    SendOutcome::InDoubt { reason: "handing it over broke off".to_owned() }
}

impl Drop for Begun {
    fn drop(&mut self) {
        // Without a runtime nothing goes any more; the lease and the journal remain.
        let Some(place) = self.place.take().filter(|_| Handle::try_current().is_ok()) else { return };
        let (line, attempt, began_at) = (Arc::clone(&self.line), self.attempt, self.began_at);
        let abandon = line.abandon.clone();
        let going = async move { go(&line, attempt, place, began_at).await };
        self.line.handing_over.spawn(abandon.run_until_cancelled_owned(going));
    }
}

/// To the mail server, or back.
async fn go(line: &Line, attempt: Attempt, mut place: Place, began_at: Instant) {
    let outcome = match std::mem::replace(&mut place.standing, Standing::Idle) {
        Standing::Refused(outcome) => Some(outcome),
        Standing::Reserved if began_at.elapsed() < FRESH_FOR => {
            let journal = line.ports.journal.as_ref();
            let confirmed = place.lent.session.confirm(attempt, &place.message, journal);
            Some(AssertUnwindSafe(confirmed).catch_unwind().await.unwrap_or_else(|_| broken_off()))
        }
        Standing::Reserved | Standing::Idle | Standing::Lost => {
            place.lent.session.abort().await;
            None
        }
    };
    // The session goes to the next before this one's outcome is written down.
    drop(place);
    match outcome {
        Some(outcome) => line.finished(Finished { attempt, outcome }),
        None => line.give_back([attempt]),
    }
}

/// Where a begin that has its locks waits for sessions of the one before it.
#[derive(Default)]
pub(super) struct NextBegin(Mutex<Option<Follower>>);

/// A begin that takes sessions over, with what has begun on them. What it does not take goes by itself.
pub(super) type Follower = oneshot::Sender<Vec<Begun>>;

impl NextBegin {
    /// From here on the begin before it may leave its sessions to this one.
    pub(super) fn follow(&self) -> oneshot::Receiver<Vec<Begun>> {
        let (follower, left) = oneshot::channel();
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(follower);
        left
    }

    /// The begin that follows, if there is one.
    pub(super) fn take(&self) -> Option<Follower> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
