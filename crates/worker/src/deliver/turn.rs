//! One turn of one campaign: claim a small batch, write its letters, begin it as sessions come free.

use super::handover::{self, Ready};
use super::line::Line;
use super::sessions::Hand;
use muster_domain::model::delivery::{Attempt, SendOutcome};
use muster_domain::model::ids::CampaignKey;
use muster_domain::ports::delivery::{Finished, Letter};
use muster_domain::ports::store::{StoreError, StoreResult};
use muster_domain::usecases::write_letter::{Desk, write_letter};
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// How a turn ended.
pub(super) enum TurnEnd {
    /// There is more where that came from.
    More,
    /// This campaign has nothing more to send for now.
    Drained(CampaignKey),
    /// This campaign seemed to have something to send, and had nothing: somebody else holds it.
    Fruitless(CampaignKey),
    /// Storage did not do its part.
    Failed(CampaignKey, StoreError),
}

pub(super) async fn take(line: Arc<Line>, campaign: CampaignKey) -> TurnEnd {
    let letters = match line.ports.store.claim(campaign, line.limits.batch).await {
        Ok(report) if report.letters.is_empty() && report.not_before.is_none() => return TurnEnd::Fruitless(campaign),
        Ok(report) => report.letters,
        Err(error) => return TurnEnd::Failed(campaign, error),
    };
    let more = letters.len() >= line.limits.batch;
    match send(&line, campaign, letters).await {
        Ok(()) if more => TurnEnd::More,
        Ok(()) => TurnEnd::Drained(campaign),
        Err(error) => TurnEnd::Failed(campaign, error),
    }
}

async fn send(line: &Arc<Line>, campaign: CampaignKey, letters: Vec<Letter>) -> StoreResult<()> {
    let held = Held { line, attempts: letters.iter().map(|letter| letter.claimed.attempt).collect() };
    line.leases.hold(held.attempts.iter().copied());
    let mut waiting = write(line, letters).await;
    let begun = begin_all(line, campaign, &mut waiting).await;
    line.give_back(waiting.into_iter().map(|ready| ready.beginning.attempt));
    begun
}

/// The claims of a turn. Should the turn panic, nobody knows how far each came: their leases are left to run out.
struct Held<'a> {
    line: &'a Line,
    attempts: Vec<Attempt>,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.line.leases.release(&self.attempts);
        }
    }
}

/// Begins what is waiting as sessions come free. What is left there when it returns could not be begun.
async fn begin_all(line: &Arc<Line>, campaign: CampaignKey, waiting: &mut VecDeque<Ready>) -> StoreResult<()> {
    while !waiting.is_empty() {
        match line.sessions.take(campaign, waiting.len(), &line.stopping).await {
            Some(Ok(Hand { sessions, alone })) => {
                line.rest.succeeded();
                let batch = waiting.drain(..sessions.len().min(waiting.len())).zip(sessions).collect();
                handover::begin(line, campaign, batch).await?;
                drop(alone);
            }
            Some(Err(error)) => {
                line.rest.failed(&error);
                return Ok(());
            }
            None => return Ok(()),
        }
    }
    Ok(())
}

/// Writes letters away from the runtime's own threads. One that cannot be written fails, and no other.
async fn write(line: &Arc<Line>, letters: Vec<Letter>) -> VecDeque<Ready> {
    if letters.is_empty() {
        return VecDeque::new();
    }
    let attempts: Vec<_> = letters.iter().map(|letter| letter.claimed.attempt).collect();
    let desk = line.ports.desk.clone();
    let written = tokio::task::spawn_blocking(move || {
        letters.into_iter().map(|letter| (letter.claimed.attempt, write_one(&desk, letter))).collect::<Vec<_>>()
    });
    let Ok(written) = written.await else {
        line.give_back(attempts);
        return VecDeque::new();
    };
    let mut ready = VecDeque::with_capacity(written.len());
    for (attempt, letter) in written {
        match letter {
            Ok(letter) => ready.push_back(letter),
            Err(reason) => {
                let outcome = SendOutcome::Failed { reason, bounced: None };
                line.finished(Finished { attempt, outcome });
            }
        }
    }
    ready
}

fn write_one(desk: &Desk, letter: Letter) -> Result<Ready, String> {
    match catch_unwind(AssertUnwindSafe(|| write_letter(desk, &letter))) {
        Ok(Ok(message)) => Ok(Ready::new(letter, message)),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("the message could not be made".to_owned()),
    }
}
