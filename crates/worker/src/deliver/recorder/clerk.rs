//! What is written when: fresh notes in batches, what failed again after a rest.

use super::Note;
use super::parked::Parked;
use super::queue::Queue;
use super::scribe::Scribe;
use crate::deliver::batch::Batch;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// Transactions at once.
const AT_ONCE: usize = 2;
/// From the beginning of a campaign's transaction to its next. A transaction costs the database nearly the same for one
/// outcome as for twenty, and takes what it costs from the mails; the first outcome after a silence is written at once.
pub(super) const EVERY: Duration = Duration::from_millis(40);

/// When a batch goes on.
enum Next {
    AtOnce,
    At(Instant),
}

/// Has batches written until nobody tells anything more.
pub(super) struct Clerk {
    scribe: Arc<Scribe>,
    /// Where those go that storage refuses by themselves.
    refused: mpsc::UnboundedSender<Parked>,
}

impl Clerk {
    pub(super) fn new(scribe: Arc<Scribe>, refused: mpsc::UnboundedSender<Parked>) -> Self {
        Self { scribe, refused }
    }

    pub(super) async fn work(self, mut incoming: mpsc::UnboundedReceiver<Note>) {
        let mut queue = Queue::default();
        let mut writing = FuturesUnordered::new();
        let mut pausing = FuturesUnordered::new();
        let mut open = true;
        while open || queue.has_again() || !writing.is_empty() || !pausing.is_empty() {
            tokio::select! {
                note = incoming.recv(), if open => {
                    let mut next = note;
                    open = next.is_some();
                    while let Some(note) = next {
                        queue.put(note);
                        next = incoming.try_recv().ok();
                    }
                }
                Some((batch, next)) = writing.next(), if !writing.is_empty() => match next {
                    Next::AtOnce => queue.put_back(batch),
                    Next::At(then) => pausing.push(async move {
                        tokio::time::sleep_until(then).await;
                        batch
                    }),
                },
                Some(batch) = pausing.next(), if !pausing.is_empty() => queue.put_back(batch),
            }
            // A place is held by what is being written, and by nothing that waits to be tried again.
            while writing.len() < AT_ONCE {
                let Some(batch) = queue.next() else { break };
                writing.push(self.write(batch));
            }
        }
    }

    /// Tries to write what comes next of a batch, once.
    async fn write(&self, mut batch: Batch<Note>) -> (Batch<Note>, Next) {
        let again_at = Instant::now() + EVERY;
        let result = self.scribe.write(batch.campaign(), batch.next()).await;
        let step = batch.tried(result);
        self.scribe.let_go(&step.written);
        self.scribe.settle(step.written.len());
        if let Some((note, error)) = step.refused {
            // Both tasks end with the process.
            let _ = self.refused.send(Parked::of(note, &error));
        }
        let next = match step.rest {
            Some(rest) => Next::At(Instant::now() + rest),
            None if batch.is_done() => Next::At(again_at),
            None => Next::AtOnce,
        };
        (batch, next)
    }
}
