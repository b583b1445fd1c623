//! Everything but the sending of mail: starting, enrolling, advancing, finishing.
//!
//! One [`PlanPass::tick`] is one look at what there is to do and one round of doing it, a small share for each campaign, so that
//! no campaign waits for another to be done.

mod advance;
mod enroll;
mod finish;
mod start;

use muster_domain::ports::advance::AdvanceStore;
use muster_domain::ports::store::{Store, StoreResult};
use muster_domain::ports::work::{TimeLapse, WorkQueue};
use muster_domain::usecases::launch_campaign::PostalAddressRule;
use std::sync::Arc;

pub use advance::AdvanceTurns;

/// How much a pass does at once.
#[derive(Debug, Clone, Copy)]
pub struct PlanOptions {
    /// Enrollments moved on in one transaction.
    pub advance_batch: i64,
    /// Transactions of advancing at the same time.
    pub advance_at_once: usize,
    /// Contacts enrolled in one transaction.
    pub enroll_chunk: i64,
    /// What to do with scheduled campaigns without a postal address.
    pub postal_address: PostalAddressRule,
}

impl Default for PlanOptions {
    fn default() -> Self {
        let postal_address = PostalAddressRule::default();
        Self { advance_batch: 1_000, advance_at_once: 2, enroll_chunk: 50_000, postal_address }
    }
}

/// What one tick did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PlanReport {
    /// Campaigns launched because their time had come.
    pub started: usize,
    /// Scheduled campaigns that could not be launched.
    pub refused: usize,
    /// Contacts enrolled.
    pub enrolled: i64,
    /// Enrollments moved on.
    pub advanced: usize,
    /// Mails queued.
    pub queued: usize,
    /// Campaigns completed.
    pub finished: usize,
}

impl PlanReport {
    /// Whether anything was done, so that there may be more.
    pub fn did_something(&self) -> bool {
        *self != Self::default()
    }
}

/// The pass over all that is not mail.
pub struct PlanPass {
    store: Arc<dyn Store>,
    queue: Arc<dyn WorkQueue>,
    advancing: Arc<dyn AdvanceStore>,
    lapse: Arc<dyn TimeLapse>,
    options: PlanOptions,
    turns: AdvanceTurns,
    finishing: finish::FinishTurns,
}

impl PlanPass {
    /// A pass over these ports.
    pub fn new(
        store: Arc<dyn Store>,
        queue: Arc<dyn WorkQueue>,
        advancing: Arc<dyn AdvanceStore>,
        lapse: Arc<dyn TimeLapse>,
        options: PlanOptions,
    ) -> Self {
        Self {
            store,
            queue,
            advancing,
            lapse,
            options,
            turns: AdvanceTurns::default(),
            finishing: finish::FinishTurns::default(),
        }
    }

    /// One round. An error of one campaign is logged and does not stop the others; an error here means that storage is away.
    pub async fn tick(&mut self) -> StoreResult<PlanReport> {
        self.lapse.tick().await?;
        let work = self.queue.at_hand().await?;
        let mut report = PlanReport::default();
        start::start_due(&*self.store, &work.start, self.options.postal_address, &mut report).await?;
        enroll::enroll_running(&*self.store, &work.enroll, self.options.enroll_chunk, &mut report).await?;
        self.turns.advance(&*self.advancing, &work.advance, self.options, &mut report).await?;
        self.finishing.finish(&*self.store, &work.finish, &mut report).await?;
        Ok(report)
    }
}
