//! The deliver pass: claims due mail in fair turns, begins it, hands it over, records the outcome.
//!
//! A turn is a task that takes a small batch of one campaign from its claim to its begin; every begun mail is then
//! handed over by a task of its own, and one recorder writes the outcomes down in batches. So a mail server that stalls
//! holds up no other mail than those it has, and the next batch is claimed and rendered while the last is under way.
//! What bounds it all are turns and sessions, of which a tenant has no more than its share while others want some: whose mail
//! is stalled keeps what it has, and takes nothing from the rest.

mod alone;
mod batch;
mod handover;
mod leases;
mod line;
mod patience;
mod piles;
mod places;
mod recorder;
mod rest;
mod sessions;
mod turn;
mod waiting;

pub use line::{DeliverLimits, Deliveries, Tally};

use crate::pace::{self, Nudge, Pace};
use crate::trouble::Trouble;
use line::Line;
use muster_domain::model::fairness::Turns;
use muster_domain::model::ids::CampaignKey;
use muster_domain::ports::store::StoreResult;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use turn::TurnEnd;

/// The list of campaigns with due mail is read again after this long.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(250);
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
    turns: Turns,
    looked_at: Option<Instant>,
    /// Campaigns whose due mail somebody else held, and when that was seen.
    fruitless: HashMap<CampaignKey, Instant>,
    running: JoinSet<TurnEnd>,
}

impl DeliverPass {
    /// A pass over these ports. Has to be made within the runtime: leases are renewed and outcomes recorded beside it.
    pub fn new(deliveries: Deliveries, limits: DeliverLimits) -> Self {
        let line = Line::open(deliveries, limits);
        Self { line, turns: Turns::default(), looked_at: None, fruitless: HashMap::new(), running: JoinSet::new() }
    }

    /// One round: gives turns to those whose turn it is, as long as there is room. Waits for no mail server.
    pub async fn tick(&mut self) -> StoreResult<DeliverReport> {
        let mut failed = None;
        while let Some(ended) = self.running.try_join_next() {
            failed = self.note(ended.ok()).or(failed);
        }
        if let Some(error) = failed {
            return Err(error);
        }
        let mut report = DeliverReport { perhaps_finished: self.line.take_closed(), ..DeliverReport::default() };
        if self.line.rest.resting() || self.line.stopping.is_cancelled() {
            report.running = self.running.len();
            return Ok(report);
        }
        if self.turns.is_empty() || self.looked_at.is_none_or(|at| at.elapsed() >= LOOK_AGAIN_AFTER) {
            let due = self.line.ports.store.due_campaigns().await?;
            self.fruitless.retain(|_, at| at.elapsed() < LOOK_AGAIN_AFTER);
            self.turns.replace(due.into_iter().filter(|campaign| !self.fruitless.contains_key(campaign)));
            self.looked_at = Some(Instant::now());
        }
        self.line.sessions.wanted_by(self.turns.tenants());
        while !self.is_full() {
            let held_up = self.line.sessions.held_up();
            let may = |tenant| held_up.get(&tenant).is_none_or(|turns| *turns < HELD_UP_AT_MOST);
            let Some(campaign) = self.turns.next_turn(may) else { break };
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

    /// Waits until a turn ends; returns at once when none is under way.
    pub async fn turn_ended(&mut self) -> StoreResult<()> {
        match self.running.join_next().await {
            Some(ended) => self.note(ended.ok()).map_or(Ok(()), Err),
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
        while !end.is_cancelled() {
            let rest = match self.tick().await {
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
                ended = self.turn_ended(), if !trouble.lasts() && !self.running.is_empty() => {
                    if let Err(error) = ended {
                        tracing::warn!(%error, "a turn failed");
                    }
                }
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

    fn note(&mut self, ended: Option<TurnEnd>) -> Option<muster_domain::ports::store::StoreError> {
        match ended? {
            TurnEnd::More => None,
            TurnEnd::Drained(campaign) => {
                self.turns.remove(campaign);
                None
            }
            TurnEnd::Fruitless(campaign) => {
                self.turns.remove(campaign);
                self.fruitless.insert(campaign, Instant::now());
                None
            }
            TurnEnd::Failed(campaign, error) => {
                self.turns.remove(campaign);
                Some(error)
            }
        }
    }
}

impl Drop for DeliverPass {
    fn drop(&mut self) {
        self.line.stopping.cancel();
    }
}
