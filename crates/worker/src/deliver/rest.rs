//! Backing off from a mail server that cannot be had.

use crate::pace::Pace;
use muster_domain::ports::transport::TransportError;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Rests grow from a fifth of a second to five seconds, so that a server that comes back is met soon and not by a storm.
const PACE: Pace = Pace {
    idle: Duration::ZERO,
    nudged: Duration::ZERO,
    trouble: Duration::from_millis(200),
    at_most: Duration::from_secs(5),
};

/// When the mail server is tried again.
#[derive(Default)]
pub(super) struct Rest(Mutex<State>);

#[derive(Default)]
struct State {
    failures: u32,
    until: Option<Instant>,
}

impl Rest {
    /// Whether it is left alone for now.
    pub(super) fn resting(&self) -> bool {
        self.state().until.is_some_and(|until| until > Instant::now())
    }

    /// It could not be had. Failures while resting belong to the same trouble.
    pub(super) fn failed(&self, error: &TransportError) {
        let mut state = self.state();
        if state.until.is_some_and(|until| until > Instant::now()) {
            return;
        }
        state.failures = state.failures.saturating_add(1);
        let rest = PACE.after_failures(state.failures);
        state.until = Some(Instant::now() + rest);
        let (failures, rest) = (state.failures, rest.as_millis());
        if matches!(error, TransportError::Rejected(_)) {
            tracing::error!(%error, failures, rest_ms = rest, "the mail server rejects us; mail waits");
        } else {
            tracing::warn!(%error, failures, rest_ms = rest, "no session with the mail server; mail waits");
        }
    }

    /// It could be had.
    pub(super) fn succeeded(&self) {
        *self.state() = State::default();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
