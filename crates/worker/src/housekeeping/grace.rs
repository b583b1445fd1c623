//! Time for the living to renew their leases, before leases that ran out say that somebody is dead.

use crate::deliver::RENEWED_WITHIN;
use tokio::time::Instant;

/// While storage is away nobody can renew. When it comes back all leases have run out together, those of processes that live
/// and know what became of their mail as well: whoever reaped at once would call in doubt what is known. So nothing is reaped
/// until storage has answered for as long as a living process needs to renew, at the start of this one too, which does not
/// know how long storage was away.
#[derive(Debug, Default)]
pub(crate) struct Grace {
    answers_since: Option<Instant>,
}

impl Grace {
    /// A round of housekeeping failed.
    pub(crate) fn storage_is_away(&mut self) {
        self.answers_since = None;
    }

    /// Storage answers; whether it has for long enough.
    pub(crate) fn is_over(&mut self) -> bool {
        self.answers_since.get_or_insert_with(Instant::now).elapsed() >= RENEWED_WITHIN
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_is_over_when_storage_has_answered_for_long_enough_and_begins_anew_with_every_outage() {
        let mut grace = Grace::default();
        for _ in 0..2 {
            assert!(!grace.is_over());
            tokio::time::advance(RENEWED_WITHIN / 2).await;
            assert!(!grace.is_over());
            tokio::time::advance(RENEWED_WITHIN / 2).await;
            assert!(grace.is_over() && grace.is_over());
            grace.storage_is_away();
        }
    }
}
