//! Outcomes that storage refuses by themselves: each is tried again, less and less often, for as long as the process lives.
//!
//! What is refused today may be taken tomorrow: a full disk is emptied, a row is mended. Whoever forgot the outcome meanwhile
//! would have a mail in doubt, or sent again, of which it was known how it ended. So its lease is renewed and its journal says
//! how far it came; it holds no place of the others, and nobody waits for it long.

use super::Note;
use super::scribe::Scribe;
use crate::deliver::batch::{AWAY, refuses};
use crate::outcomes::numbers;
use crate::pace::Pace;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use muster_domain::ports::store::StoreError;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// A stop in order waits for one that was refused less often than that.
const REFUSALS_AT_MOST: u32 = 5;
/// Between the tries of what was refused.
const REFUSED: Pace = Pace {
    idle: Duration::ZERO,
    nudged: Duration::ZERO,
    trouble: Duration::from_millis(50),
    at_most: Duration::from_mins(1),
};

/// One such outcome.
pub(super) struct Parked {
    note: Note,
    refusals: u32,
    /// Tries in a row that found storage away. They are no refusals.
    misses: u32,
}

impl Parked {
    /// A note that was refused by itself for the first time.
    pub(super) fn of(note: Note, error: &StoreError) -> Self {
        tracing::error!(
            delivery = numbers(note.attempt().key),
            error = error as &dyn Error,
            "an outcome cannot be recorded; it is kept and tried again"
        );
        Self { note, refusals: 1, misses: 0 }
    }

    /// Takes note of one more try; whether that was the refusal after which nobody waits for it.
    fn failed(&mut self, error: &StoreError) -> bool {
        if refuses(error) {
            (self.refusals, self.misses) = (self.refusals.saturating_add(1), 0);
            return self.refusals == REFUSALS_AT_MOST;
        }
        self.misses = self.misses.saturating_add(1);
        false
    }

    /// Whether a stop waits for it.
    fn is_awaited(&self) -> bool {
        self.refusals < REFUSALS_AT_MOST
    }

    /// Before the next try. Storage that is away is asked no more often than for any other outcome.
    fn rest(&self) -> Duration {
        let for_storage = if self.misses > 0 { AWAY.after_failures(self.misses) } else { Duration::ZERO };
        REFUSED.after_failures(self.refusals).max(for_storage)
    }

    async fn rested(self) -> Self {
        tokio::time::sleep(self.rest()).await;
        self
    }
}

/// Tries what comes in until it is recorded, one at a time: however many they are and however long each takes, the others have
/// their transactions for themselves.
pub(super) async fn keep_trying(scribe: Arc<Scribe>, mut incoming: mpsc::UnboundedReceiver<Parked>) {
    let mut resting = FuturesUnordered::new();
    let mut open = true;
    while open || !resting.is_empty() {
        tokio::select! {
            parked = incoming.recv(), if open => match parked {
                Some(parked) => resting.push(parked.rested()),
                None => open = false,
            },
            Some(parked) = resting.next(), if !resting.is_empty() => {
                if let Some(parked) = try_again(&scribe, parked).await {
                    resting.push(parked.rested());
                }
            }
        }
    }
}

/// Tries once; gives it back when that failed.
async fn try_again(scribe: &Scribe, mut parked: Parked) -> Option<Parked> {
    let notes = std::slice::from_ref(&parked.note);
    let key = parked.note.attempt().key;
    let result = scribe.write(key.campaign_key(), notes).await;
    let Err(error) = result else {
        scribe.let_go(notes);
        scribe.settle(usize::from(parked.is_awaited()));
        tracing::info!(
            campaign = key.campaign.0,
            refusals = parked.refusals,
            "an outcome that was refused is recorded"
        );
        return None;
    };
    if parked.failed(&error) {
        scribe.settle(1);
    }
    Some(parked)
}

#[cfg(test)]
mod tests;
