//! Backing off while mail cannot go: no session is to be had, `MAIL FROM` finds no answer, or the journal cannot be written.
//!
//! Only an answer to `MAIL FROM` says that mail can go; a server that greets and then says no more greets every time.

use crate::pace::Pace;
use muster_domain::ports::transport::TransportError;
use std::io;
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

/// When mail is tried again.
#[derive(Default)]
pub(super) struct Rest(Mutex<State>);

#[derive(Default)]
struct State {
    /// Since the last answer.
    failures: u32,
    until: Option<Instant>,
}

impl State {
    fn resting(&self) -> bool {
        self.until.is_some_and(|until| until > Instant::now())
    }
}

impl Rest {
    /// Whether mail is left alone for now.
    pub(super) fn resting(&self) -> bool {
        self.state().resting()
    }

    /// No session could be had.
    pub(super) fn no_session(&self, error: &TransportError) {
        let Some((failures, rest)) = self.failed(0) else { return };
        let rest_ms = rest.as_millis();
        if matches!(error, TransportError::Rejected(_)) {
            tracing::error!(%error, failures, rest_ms, "the mail server rejects us; mail waits");
        } else {
            tracing::warn!(%error, failures, rest_ms, "no session with the mail server; mail waits");
        }
    }

    /// Sessions were lost at `MAIL FROM`. Once is nothing unusual, for servers end connections after so many mails: the next is
    /// tried at once. Twice without an answer in between is a server that cannot be had.
    pub(super) fn no_answer(&self, error: &TransportError) {
        match self.failed(1) {
            Some((_, Duration::ZERO)) => tracing::info!(%error, "a session was lost at MAIL FROM"),
            Some((failures, rest)) => {
                tracing::warn!(%error, failures, rest_ms = rest.as_millis(), "no answer to MAIL FROM; mail waits");
            }
            None => {}
        }
    }

    /// The journal could not be written.
    pub(super) fn no_journal(&self, error: &io::Error) {
        if let Some((failures, rest)) = self.failed(0) {
            let rest_ms = rest.as_millis();
            tracing::error!(%error, failures, rest_ms, "nothing begins, because the journal cannot be written; mail waits");
        }
    }

    /// One more failure, of which so many in a row are free; how many there are, and how long mail rests for it. Nothing when it
    /// rests already: that belongs to the same trouble.
    fn failed(&self, free: u32) -> Option<(u32, Duration)> {
        let mut state = self.state();
        if state.resting() {
            return None;
        }
        state.failures = state.failures.saturating_add(1);
        let rest = match state.failures.saturating_sub(free) {
            0 => Duration::ZERO,
            counted => PACE.after_failures(counted),
        };
        state.until = Some(Instant::now() + rest);
        Some((state.failures, rest))
    }

    /// `MAIL FROM` was answered, and what began is in the journal.
    pub(super) fn answered(&self) {
        *self.state() = State::default();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcomes::tests::heard;
    use tokio::time::sleep;

    fn lost() -> TransportError {
        TransportError::Unavailable("421 later".to_owned())
    }

    /// How long it rests from now on.
    async fn rested(rest: &Rest) -> Duration {
        let begun = Instant::now();
        while rest.resting() {
            sleep(Duration::from_millis(1)).await;
        }
        begun.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn each_failure_that_follows_a_rest_makes_a_longer_one_until_there_is_an_answer() {
        let failures: [fn(&Rest); 2] =
            [|rest| rest.no_session(&lost()), |rest| rest.no_journal(&io::Error::other("full"))];
        for fails in failures {
            let rest = Rest::default();
            for longest in [200, 400, 800, 1_600, 3_200, 5_000, 5_000].map(Duration::from_millis) {
                fails(&rest);
                fails(&rest);
                let rested = rested(&rest).await;
                assert!(
                    rested >= longest / 2 && rested <= longest + Duration::from_millis(1),
                    "{rested:?} of {longest:?}"
                );
            }
            rest.answered();
            fails(&rest);
            assert!(rested(&rest).await <= Duration::from_millis(201));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_lost_session_is_forgiven_once_after_an_answer_and_then_it_rests_for_longer_and_longer() {
        let rest = Rest::default();
        for _ in 0..3 {
            rest.no_answer(&lost());
            assert_eq!(rested(&rest).await, Duration::ZERO);
            rest.answered();
        }
        for longest in [0, 200, 400, 800, 1_600, 3_200, 5_000, 5_000].map(Duration::from_millis) {
            rest.no_answer(&lost());
            let rested = rested(&rest).await;
            assert!(rested >= longest / 2 && rested <= longest + Duration::from_millis(1), "{rested:?} of {longest:?}");
        }
    }

    #[test]
    fn a_rest_is_said_once_with_its_reason() {
        let (lines, _) = heard(async {
            let rest = Rest::default();
            for _ in 0..10 {
                rest.no_journal(&io::Error::other("full"));
            }
            rested(&rest).await;
            for _ in 0..10 {
                rest.no_answer(&lost());
            }
        });
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(lines[0].contains("ERROR") && lines[0].contains("journal cannot be written"), "{lines:?}");
        assert!(lines[1].contains("WARN") && lines[1].contains("421 later"), "{lines:?}");
    }
}
