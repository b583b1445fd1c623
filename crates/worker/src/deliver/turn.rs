//! One turn of one campaign: claim a small batch, write its letters, begin it as sessions come free.

use super::handover::{self, Ready};
use super::line::Line;
use super::waiting::Mark;
use futures::FutureExt;
use muster_domain::model::delivery::{Attempt, SendOutcome};
use muster_domain::model::ids::CampaignKey;
use muster_domain::ports::delivery::{Finished, Letter};
use muster_domain::ports::store::{StoreError, StoreResult};
use muster_domain::usecases::write_letter::{Desk, write_letter};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use tokio::time::Instant;

/// How a turn ended, and whose it was.
pub(super) struct TurnEnd {
    pub(super) campaign: CampaignKey,
    pub(super) how: How,
}

pub(super) enum How {
    /// There is more where that came from.
    More,
    /// This campaign has nothing more to send for now.
    Drained,
    /// This campaign seemed to have something to send, and had nothing: somebody else holds it.
    Fruitless,
    /// It came to nothing, or half of it.
    Failed(Failure),
}

/// What a turn failed by.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// Storage did not do its part.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// We did not do ours.
    #[error("a turn panicked")]
    Panic,
}

/// Takes a turn. One that panics ends like any other that fails.
pub(super) async fn take(line: Arc<Line>, campaign: CampaignKey) -> TurnEnd {
    let taken = AssertUnwindSafe(claim_and_send(&line, campaign)).catch_unwind().await;
    let how = taken.unwrap_or(Err(Failure::Panic)).unwrap_or_else(How::Failed);
    TurnEnd { campaign, how }
}

async fn claim_and_send(line: &Arc<Line>, campaign: CampaignKey) -> Result<How, Failure> {
    let asked_at = Instant::now();
    let report = line.ports.store.claim(campaign, line.limits.batch).await?;
    if report.letters.is_empty() && report.not_before.is_none() {
        return Ok(How::Fruitless);
    }
    let full = report.letters.len() >= line.limits.batch;
    line.leases.hold(report.letters.iter().map(|letter| letter.claimed.attempt), asked_at);
    let unseated = send(line, campaign, report.letters).await?;
    Ok(if full || unseated > 0 { How::More } else { How::Drained })
}

/// How many could have begun and found no session.
async fn send(line: &Arc<Line>, campaign: CampaignKey, letters: Vec<Letter>) -> StoreResult<usize> {
    let mut held = Held::of(line, campaign, letters.iter().map(|letter| letter.claimed.attempt));
    let mark = line.waiting.put(campaign, write(line, letters).await);
    held.attempts.clear();
    let begun = begin_all(line, campaign, mark).await;
    if line.waiting.until(campaign, mark) > 0 {
        // It could not be begun, and what other turns of this campaign put there could not either.
        line.give_back(line.waiting.take_all(campaign).into_iter().map(|ready| ready.beginning.attempt));
    }
    begun
}

/// What a turn has in its hands. Should it panic, nobody knows how far each came, nor whether anybody will take up what
/// waits: their leases are left to run out.
struct Held<'a> {
    line: &'a Line,
    campaign: CampaignKey,
    attempts: Vec<Attempt>,
}

impl<'a> Held<'a> {
    fn of(line: &'a Line, campaign: CampaignKey, attempts: impl Iterator<Item = Attempt>) -> Self {
        Self { line, campaign, attempts: attempts.collect() }
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let waiting = self.line.waiting.take_all(self.campaign);
            self.line.leases.release(&self.attempts);
            self.line.leases.release(waiting.iter().map(|ready| &ready.beginning.attempt));
        }
    }
}

/// Begins what is waiting as sessions come free, until everything up to `mark` was taken, by this turn or another, or mail
/// waits for better times. What is left up to there when it returns could not be begun. Answers how many are pending again for
/// nothing but want of a session.
async fn begin_all(line: &Arc<Line>, campaign: CampaignKey, mark: Mark) -> StoreResult<usize> {
    let mut unseated = 0;
    let wanted = || line.waiting.until(campaign, mark);
    while wanted() > 0 && !line.rest.resting() {
        let hand = match line.sessions.take(campaign, wanted, &line.stopping).await {
            Some(Ok(hand)) => hand,
            Some(Err(error)) => {
                line.rest.no_session(&error);
                break;
            }
            None => break,
        };
        let batch = line.waiting.take(campaign, hand.fits(wanted()));
        if batch.is_empty() {
            continue;
        }
        let _held = Held::of(line, campaign, batch.iter().map(|ready| ready.beginning.attempt));
        unseated += handover::begin(line, campaign, batch, hand).await?;
    }
    Ok(unseated)
}

/// Writes letters away from the runtime's own threads. One that cannot be written fails, and no other.
async fn write(line: &Arc<Line>, letters: Vec<Letter>) -> Vec<Ready> {
    if letters.is_empty() {
        return Vec::new();
    }
    let attempts: Vec<_> = letters.iter().map(|letter| letter.claimed.attempt).collect();
    let desk = line.ports.desk.clone();
    let written = tokio::task::spawn_blocking(move || {
        letters.into_iter().map(|letter| (letter.claimed.attempt, write_one(&desk, letter))).collect::<Vec<_>>()
    });
    let Ok(written) = written.await else {
        line.give_back(attempts);
        return Vec::new();
    };
    let mut ready = Vec::with_capacity(written.len());
    for (attempt, letter) in written {
        match letter {
            Ok(letter) => ready.push(letter),
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
