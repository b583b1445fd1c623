//! The worker: planning, delivering and housekeeping side by side, until told to end.
//!
//! Nothing that happens in one of them ends the process: storage that is away is waited for, and a loop that panics
//! begins anew.

use crate::deliver::{DeliverLimits, DeliverPass, Deliveries};
use crate::housekeeping::{AdoptError, Grace, adopt, forget, guard, reap};
use crate::outcomes;
use crate::pace::{Nudge, Pace, rest};
use crate::plan::{PlanOptions, PlanPass};
use crate::trouble::Trouble;
use muster_domain::model::delivery::LEASE;
use muster_domain::ports::advance::AdvanceStore;
use muster_domain::ports::delivery::{ReapReport, Reaper};
use muster_domain::ports::events::EventKeeper;
use muster_domain::ports::store::{Store, StoreResult};
use muster_domain::ports::transport::JournalArchive;
use muster_domain::ports::work::{TimeLapse, WorkQueue};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

/// Journals of processes that are gone, and leases that ran out, are looked for this often, and at the start: a tenth of
/// a lease.
const HOUSEKEEPING_EVERY: Duration = Duration::from_millis(LEASE.as_secs() * 100);
/// Old events are looked for in one of so many rounds of housekeeping, and at the start: about every ten minutes.
const ROUNDS_OF_MEMORY: u32 = 200;
/// After a panic; the same again would most likely follow at once.
const AFTER_PANIC: Duration = Duration::from_secs(1);

/// What a worker works with.
#[derive(Clone)]
pub struct WorkerPorts {
    /// Transactions.
    pub store: Arc<dyn Store>,
    /// What there is to do.
    pub queue: Arc<dyn WorkQueue>,
    /// Moving enrollments on.
    pub advancing: Arc<dyn AdvanceStore>,
    /// Business time.
    pub lapse: Arc<dyn TimeLapse>,
    /// Mail.
    pub deliveries: Deliveries,
    /// Leases that ran out.
    pub reaper: Arc<dyn Reaper>,
    /// Events that are kept for a time only.
    pub events: Arc<dyn EventKeeper>,
    /// Journals of processes that are gone.
    pub archive: Arc<dyn JournalArchive>,
}

/// How much a worker does at once, and how often it looks.
#[derive(Debug, Clone, Copy)]
pub struct WorkerOptions {
    /// Of planning.
    pub plan: PlanOptions,
    /// Of delivering.
    pub deliver: DeliverLimits,
    /// Of all loops.
    pub pace: Pace,
    /// For how many days single events are kept; for ever when `None`.
    pub keep_events: Option<i32>,
}

/// One worker; any number of them, in any number of processes, share the work.
#[derive(Clone)]
pub struct Worker {
    ports: WorkerPorts,
    options: WorkerOptions,
    planning: Nudge,
    delivering: Nudge,
}

impl Worker {
    /// A worker over these ports. It does nothing yet.
    pub fn new(ports: WorkerPorts, options: WorkerOptions) -> Self {
        Self { ports, options, planning: Nudge::default(), delivering: Nudge::default() }
    }

    /// Works until `end`, then claims nothing more, lets what has begun come to its end (at most 25 s) and returns.
    pub async fn run(self, end: CancellationToken) {
        outcomes::describe();
        tokio::join!(
            supervise("planning", &end, || self.clone().plan(end.clone())),
            supervise("delivering", &end, || self.clone().deliver(end.clone())),
            supervise("housekeeping", &end, || self.clone().keep_house(end.clone())),
        );
    }

    async fn plan(self, end: CancellationToken) {
        let WorkerPorts { store, queue, advancing, lapse, .. } = self.ports;
        let mut pass = PlanPass::new(store, queue, advancing, lapse, self.options.plan);
        let mut trouble = Trouble::of("planning");
        loop {
            let (deaf, pause) = match pass.tick().await {
                Ok(report) => {
                    trouble.over();
                    if report.queued > 0 {
                        self.delivering.give();
                    }
                    let idle = (self.options.pace.nudged, self.options.pace.idle);
                    if report.did_something() { (Duration::ZERO, Duration::ZERO) } else { idle }
                }
                Err(error) => (Duration::ZERO, self.options.pace.after_failures(trouble.met(&error))),
            };
            // Asked only when it is any: even a sleep of nothing takes up to a millisecond, and this is the way of a busy pass.
            if !deaf.is_zero() && end.run_until_cancelled(tokio::time::sleep(deaf)).await.is_none() {
                return;
            }
            if !rest(pause, &self.planning, &end).await {
                return;
            }
        }
    }

    async fn deliver(self, end: CancellationToken) {
        let pass = DeliverPass::new(self.ports.deliveries, self.options.deliver);
        let planning = self.planning;
        pass.run(self.options.pace, self.delivering, end, |_| planning.give()).await;
    }

    async fn keep_house(self, end: CancellationToken) {
        let (mut trouble, mut grace) = (Trouble::of("housekeeping"), Grace::default());
        let mut rounds = 0..;
        let mut more = false;
        loop {
            let look = more || rounds.next().is_none_or(|round: u32| round.is_multiple_of(ROUNDS_OF_MEMORY));
            let done = async {
                self.put_right(&mut grace).await?;
                more = look && self.let_go().await?;
                StoreResult::Ok(())
            };
            let pause = match done.await {
                Ok(()) => {
                    trouble.over();
                    HOUSEKEEPING_EVERY
                }
                Err(error) => {
                    grace.storage_is_away();
                    self.options.pace.after_failures(trouble.met(&error))
                }
            };
            if !rest(pause, &Nudge::default(), &end).await {
                return;
            }
        }
    }

    /// Lets one batch of what is old go; whether more may be left.
    async fn let_go(&self) -> StoreResult<bool> {
        match self.options.keep_events {
            Some(days) => forget(&*self.ports.events, days).await,
            None => Ok(false),
        }
    }

    /// One round of housekeeping. Journals are settled before anything is reaped, in every round, because they know more:
    /// a send that is reaped first is in doubt, and stays so when its campaign ends before the journal is read.
    async fn put_right(&self, grace: &mut Grace) -> StoreResult<()> {
        let policy = &self.options.deliver.policy;
        let mut found = false;
        match adopt(&*self.ports.archive, &*self.ports.deliveries.store, policy).await {
            Ok(report) => found = report.orphans > 0,
            Err(AdoptError::Store(error)) => return Err(error),
            Err(error @ AdoptError::Journal(_)) => {
                tracing::error!(error = &error as &dyn std::error::Error, "journals cannot be adopted; leases decide");
            }
        }
        let reaped = if grace.is_over() { reap(&*self.ports.reaper, policy).await? } else { ReapReport::default() };
        guard(&*self.ports.store, &*self.ports.queue).await?;
        if found || reaped.returned > 0 || !reaped.doubts.is_empty() {
            self.delivering.give();
            self.planning.give();
        }
        Ok(())
    }
}

/// Runs a loop to its end; one that panics begins anew after a moment.
async fn supervise<F>(name: &'static str, end: &CancellationToken, run: impl Fn() -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    loop {
        match AbortOnDropHandle::new(tokio::spawn(run())).await {
            Err(error) if error.is_panic() => tracing::error!(name, "a loop of the worker panicked and begins anew"),
            Ok(()) | Err(_) => return,
        }
        if end.run_until_cancelled(tokio::time::sleep(AFTER_PANIC)).await.is_none() {
            return;
        }
    }
}

#[cfg(test)]
mod tests;
