//! How often a pass looks again: at once while there is work, soon when woken, less and less often while idle or in trouble.

use rand::Rng;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// Wakes a pass of the same process that has gone to rest. Cheap to clone; a nudge given while nobody rests is kept.
#[derive(Clone, Default)]
pub struct Nudge(Arc<Notify>);

impl Nudge {
    /// There may be work.
    pub fn give(&self) {
        self.0.notify_one();
    }

    /// Waits to be given one.
    pub async fn taken(&self) {
        self.0.notified().await;
    }
}

/// How long a pass rests.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// After a round that did nothing; work made by other processes is seen this late.
    pub idle: Duration,
    /// After a round that did nothing, however often nudged: mails that come to their ends nudge by the thousand.
    pub nudged: Duration,
    /// After the first failure in a row; doubles up to [`Pace::at_most`].
    pub trouble: Duration,
    /// No rest is longer, so that recovery is noticed soon.
    pub at_most: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            idle: Duration::from_millis(250),
            nudged: Duration::from_millis(20),
            trouble: Duration::from_millis(100),
            at_most: Duration::from_secs(2),
        }
    }
}

impl Pace {
    /// The rest after `failures` rounds in a row that failed: doubling, with jitter over the upper half, so that several
    /// workers do not come back in step.
    pub fn after_failures(&self, failures: u32) -> Duration {
        let full = self.trouble.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(self.at_most);
        full.mul_f64(rand::rng().random_range(0.5..=1.0))
    }
}

/// Rests for `rest`, until nudged, or until the end; `false` when it is the end.
pub async fn rest(rest: Duration, nudge: &Nudge, end: &CancellationToken) -> bool {
    tokio::select! {
        biased;
        () = end.cancelled() => false,
        () = nudge.taken() => true,
        () = tokio::time::sleep(rest) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_is_met_with_longer_rests_up_to_the_cap() {
        let pace = Pace::default();
        assert!(pace.after_failures(1) <= Duration::from_millis(100));
        for failures in [6, 20, u32::MAX] {
            let rest = pace.after_failures(failures);
            assert!(rest >= Duration::from_secs(1).min(pace.at_most / 2) && rest <= pace.at_most, "{rest:?}");
        }
    }

    #[tokio::test]
    async fn a_nudge_given_before_the_rest_is_not_lost() {
        let nudge = Nudge::default();
        nudge.give();
        assert!(rest(Duration::from_hours(1), &nudge, &CancellationToken::new()).await);
    }

    #[tokio::test]
    async fn the_end_comes_before_everything() {
        let (nudge, end) = (Nudge::default(), CancellationToken::new());
        nudge.give();
        end.cancel();
        assert!(!rest(Duration::ZERO, &nudge, &end).await);
    }
}
