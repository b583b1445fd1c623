//! The deliver pass: claims due mail in fair turns, begins it, hands it over, records the outcome.
//!
//! A turn is a task that takes a small batch of one campaign from its claim to its begin; every begun mail is then
//! handed over by a task of its own, and one recorder writes the outcomes down in batches. So a mail server that stalls
//! holds up no other mail than those it has, and the next batch is claimed and rendered while the last is under way.
//! What bounds it all are turns and sessions, of which a tenant has no more than its share while others want some: whose mail
//! is stalled keeps what it has, and takes nothing from the rest.
//!
//! Trouble stops those whose it is. What storage has against one campaign leaves out that one (`left_out.rs`); storage that is
//! away ends the round; a mail server that gives no answer, or a journal that cannot be written, rests all (`rest.rs`).

mod alone;
mod batch;
mod begun;
mod counter;
#[cfg(feature = "fault-injection")]
mod faults;
mod fence;
mod foresight;
mod handover;
mod leases;
mod left_out;
mod line;
mod opening;
mod patience;
mod piles;
mod places;
mod recorder;
mod rest;
mod rota;
mod rounds;
mod sessions;
mod turn;
mod waiting;

pub(crate) use leases::RENEWED_WITHIN;
pub use line::{DeliverLimits, Deliveries, Tally};

use crate::pace::{self, Nudge, Pace};
use crate::trouble::Trouble;
use line::Line;
use muster_domain::model::ids::CampaignKey;
use muster_domain::ports::store::StoreResult;
use rota::Rota;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;
use turn::TurnEnd;

/// So many turns of a tenant may wait for its own sessions: one that comes next, and one that claims meanwhile.
const HELD_UP_AT_MOST: usize = 2;
/// Longer than this nothing under way is waited for when the process is to end; its lease and journal remain.
const DRAIN_AT_MOST: Duration = Duration::from_secs(25);

/// What one round came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeliverReport {
    /// Turns begun in this round.
    pub turns: usize,
    /// Turns that are under way.
    pub running: usize,
    /// Campaigns in which enrollments closed since the last round: they may be over.
    pub perhaps_finished: Vec<CampaignKey>,
}

/// The deliver pass of one process.
pub struct DeliverPass {
    line: Arc<Line>,
    rota: Rota,
    running: JoinSet<TurnEnd>,
}

impl DeliverPass {
    /// A pass over these ports. Has to be made within the runtime: leases are renewed and outcomes recorded beside it.
    pub fn new(deliveries: Deliveries, limits: DeliverLimits) -> Self {
        let line = Line::open(deliveries, limits);
        Self { line, rota: Rota::default(), running: JoinSet::new() }
    }

    /// One round: gives turns to those whose turn it is, as long as there is room. Waits for no mail server. An error of one
    /// campaign is logged and keeps that one waiting; an error here means that storage is away.
    pub async fn tick(&mut self) -> StoreResult<DeliverReport> {
        let mut storage = Ok(());
        while let Some(ended) = self.running.try_join_next() {
            storage = storage.and(self.note(ended));
        }
        storage?;
        let mut report = DeliverReport { perhaps_finished: self.line.take_closed(), ..DeliverReport::default() };
        if self.line.rest.resting() || self.line.stopping.is_cancelled() {
            report.running = self.running.len();
            return Ok(report);
        }
        if self.rota.is_old() {
            self.rota.read(self.line.ports.store.due_campaigns().await?);
        }
        self.line.sessions.wanted_by(self.rota.tenants());
        while !self.is_full() {
            let held_up = self.line.sessions.held_up();
            let may = |tenant| held_up.get(&tenant).is_none_or(|turns| *turns < HELD_UP_AT_MOST);
            let Some(campaign) = self.rota.next_turn(may) else { break };
            self.running.spawn(turn::take(Arc::clone(&self.line), campaign));
            report.turns += 1;
        }
        report.running = self.running.len();
        Ok(report)
    }

    /// Whether as many turns are under way as may be. One whose tenant holds its share of the sessions waits, for as long as the
    /// mail server stands still, and is not counted.
    fn is_full(&self) -> bool {
        self.running.len() >= self.line.limits.turns + self.line.sessions.held_up().values().sum::<usize>()
    }

    /// Waits until a turn ends; returns at once when none is under way. An error means that storage is away.
    pub async fn turn_ended(&mut self) -> StoreResult<()> {
        match self.running.join_next().await {
            Some(ended) => self.note(ended),
            None => Ok(()),
        }
    }

    /// What was recorded since the pass was made.
    pub fn tally(&self) -> Tally {
        self.line.tally()
    }

    /// Rounds until `end`, then a stop in order. `finished` hears of campaigns that may be over.
    pub async fn run(mut self, pace: Pace, nudge: Nudge, end: CancellationToken, finished: impl Fn(Vec<CampaignKey>)) {
        let mut trouble = Trouble::of("delivering");
        let mut storage = Ok(());
        while !end.is_cancelled() {
            let round = match std::mem::replace(&mut storage, Ok(())) {
                Ok(()) => self.tick().await,
                Err(error) => Err(error),
            };
            let rest = match round {
                Ok(report) => {
                    trouble.over();
                    if !report.perhaps_finished.is_empty() {
                        finished(report.perhaps_finished);
                    }
                    if report.turns > 0 { Duration::ZERO } else { pace.idle }
                }
                Err(error) => pace.after_failures(trouble.met(&error)),
            };
            if rest.is_zero() && !self.is_full() {
                continue;
            }
            tokio::select! {
                going_on = pace::rest(pace.idle.max(rest), &nudge, &end) => if !going_on { break },
                ended = self.turn_ended(), if !trouble.lasts() && !self.running.is_empty() => storage = ended,
            }
        }
        self.stop().await;
    }

    /// Claims nothing more, lets what has begun come to its end, gives back the rest, and waits for all of it to be
    /// recorded; at most 25 s. What is not done then is left to its lease and its journal.
    pub async fn stop(mut self) {
        self.line.stopping.cancel();
        let drain = async {
            while self.running.join_next().await.is_some() {}
            self.line.drained().await;
        };
        if tokio::time::timeout(DRAIN_AT_MOST, drain).await.is_err() {
            tracing::warn!("deliveries were still under way at the end; their journal says how far they came");
        }
        self.line.abandon.cancel();
    }

    fn note(&mut self, ended: Result<TurnEnd, JoinError>) -> StoreResult<()> {
        // A turn catches its own panics, and is never called off.
        ended.map_or(Ok(()), |end| self.rota.ended(end))
    }
}

impl Drop for DeliverPass {
    fn drop(&mut self) {
        self.line.stopping.cancel();
    }
}

#[cfg(test)]
pub(crate) mod tests;
