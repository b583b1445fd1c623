//! Advancing due enrollments, a batch for each campaign in turn.

use super::{PlanOptions, PlanReport};
use chrono::{DateTime, Utc};
use futures::stream::{self, StreamExt};
use muster_domain::model::advance;
use muster_domain::model::ids::CampaignKey;
use muster_domain::ports::advance::{AdvanceReport, AdvanceStore, Claim, Due};
use muster_domain::ports::store::{StoreError, StoreResult};
use std::collections::HashMap;

/// Every so many passes the whole index is read, whatever the hint says, or late joiners starve.
const FULL_LOOK: u32 = 10;

/// Where each campaign's next claim may begin to read.
#[derive(Debug, Default)]
pub struct AdvanceTurns {
    low: HashMap<CampaignKey, DateTime<Utc>>,
    pass: u32,
}

impl AdvanceTurns {
    /// One batch for each of `due`; with few campaigns, several for each at once.
    pub(super) async fn advance(
        &mut self,
        store: &dyn AdvanceStore,
        due: &[CampaignKey],
        options: PlanOptions,
        report: &mut PlanReport,
    ) -> StoreResult<()> {
        self.pass = self.pass.wrapping_add(1);
        if self.pass.is_multiple_of(FULL_LOOK) {
            self.low.clear();
        }
        self.low.retain(|key, _| due.contains(key));
        let turns = due.iter().cycle().take(if due.is_empty() { 0 } else { due.len().max(options.advance_at_once) });
        let claims: Vec<Claim> = turns
            .map(|key| Claim { campaign: *key, limit: options.advance_batch, low: self.low.get(key).copied() })
            .collect();
        let outcomes: Vec<_> = stream::iter(claims)
            .map(|claim| async move { (claim, store.advance(claim, &decide).await) })
            .buffer_unordered(options.advance_at_once)
            .collect()
            .await;
        for (claim, outcome) in outcomes {
            match outcome {
                Ok(done) => self.note(claim, done, report),
                Err(away @ StoreError::Unavailable(_)) => return Err(away),
                // The batch was rolled back whole; the next pass claims it again.
                Err(StoreError::Conflict) => report.advanced += 1,
                Err(error) => {
                    tracing::error!(
                        campaign = claim.campaign.campaign.0,
                        error = &error as &dyn std::error::Error,
                        "a batch could not be advanced"
                    );
                }
            }
        }
        Ok(())
    }

    fn note(&mut self, claim: Claim, done: AdvanceReport, report: &mut PlanReport) {
        report.advanced += done.claimed;
        report.queued += done.queued;
        metrics::counter!("muster_enrollments_advanced_total").increment(done.claimed as u64);
        let full = i64::try_from(done.claimed).is_ok_and(|claimed| claimed >= claim.limit);
        match done.up_to {
            Some(up_to) if full => {
                self.low.insert(claim.campaign, up_to);
            }
            _ => {
                self.low.remove(&claim.campaign);
            }
        }
    }
}

fn decide(due: Due<'_>) -> Result<advance::Advanced, advance::AdvanceError> {
    advance::advance(due.enrollment, due.sequence, due.facts, due.timezone, due.now)
}
