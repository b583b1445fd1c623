//! Outcomes of one campaign that are written down together, and what becomes of them when that does not work.
//!
//! Storage that is away is asked again for as long as it takes. What it refuses is cut into single outcomes, so that one bad
//! outcome spoils no other; one that is refused by itself is left to its lease after some tries.

use crate::pace::Pace;
use muster_domain::model::ids::CampaignKey;
use muster_domain::ports::store::{StoreError, StoreResult};
use std::collections::VecDeque;
use std::time::Duration;

/// A single outcome that storage refuses, rather than misses, is given up after so many tries.
const REFUSALS_AT_MOST: u32 = 5;
const PACE: Pace = Pace {
    idle: Duration::ZERO,
    nudged: Duration::ZERO,
    trouble: Duration::from_millis(50),
    at_most: Duration::from_secs(2),
};

/// What of a campaign is still to be written, in parts of one transaction each.
pub(super) struct Batch<T> {
    campaign: CampaignKey,
    parts: VecDeque<Vec<T>>,
    /// Tries of the first part, in a row, that failed.
    failures: u32,
}

/// What a try came to.
pub(super) struct Step<T> {
    /// These are stored.
    pub(super) written: Vec<T>,
    /// These never will be.
    pub(super) given_up: Vec<T>,
    /// How long to wait before the next try, if there is a reason to.
    pub(super) rest: Option<Duration>,
}

impl<T> Default for Step<T> {
    fn default() -> Self {
        Self { written: Vec::new(), given_up: Vec::new(), rest: None }
    }
}

impl<T> Batch<T> {
    pub(super) fn of(campaign: CampaignKey, all: Vec<T>) -> Self {
        Self { campaign, parts: VecDeque::from([all]), failures: 0 }
    }

    pub(super) fn campaign(&self) -> CampaignKey {
        self.campaign
    }

    /// The part that is to be written next.
    pub(super) fn next(&self) -> &[T] {
        self.parts.front().map_or(&[], Vec::as_slice)
    }

    pub(super) fn is_done(&self) -> bool {
        self.parts.is_empty()
    }

    /// Takes note of how writing [`Batch::next`] went.
    pub(super) fn tried(&mut self, result: StoreResult<()>) -> Step<T> {
        let campaign = self.campaign.campaign.0;
        match result {
            Ok(()) => Step { written: self.part_is_over(), ..Step::default() },
            Err(error) if refuses(&error) && self.next().len() > 1 => {
                tracing::error!(%error, campaign, "outcomes are recorded one by one");
                for one in self.part_is_over().into_iter().rev() {
                    self.parts.push_front(vec![one]);
                }
                Step::default()
            }
            Err(error) => {
                self.failures = self.failures.saturating_add(1);
                if refuses(&error) && self.failures >= REFUSALS_AT_MOST {
                    tracing::error!(%error, campaign, "an outcome cannot be recorded");
                    return Step { given_up: self.part_is_over(), ..Step::default() };
                }
                tracing::warn!(%error, failures = self.failures, outcomes = self.next().len(), "outcomes wait for storage");
                Step { rest: Some(PACE.after_failures(self.failures)), ..Step::default() }
            }
        }
    }

    fn part_is_over(&mut self) -> Vec<T> {
        self.failures = 0;
        self.parts.pop_front().unwrap_or_default()
    }
}

/// Whether storage was there and would say the same again.
fn refuses(error: &StoreError) -> bool {
    matches!(error, StoreError::Internal(_) | StoreError::Corrupt { .. })
}

#[cfg(test)]
mod tests {
    use super::*;
    use muster_domain::model::ids::{CampaignNo, TenantNo};

    fn batch(all: &[u32]) -> Batch<u32> {
        Batch::of(CampaignKey { tenant: TenantNo(1), campaign: CampaignNo(1) }, all.to_vec())
    }

    fn away() -> StoreResult<()> {
        Err(StoreError::Unavailable("away".into()))
    }

    fn refused() -> StoreResult<()> {
        Err(StoreError::Internal("refused".into()))
    }

    #[test]
    fn storage_that_is_away_is_asked_for_the_same_again_however_often_it_takes() {
        let mut batch = batch(&[1, 2, 3]);
        for _ in 0..100 {
            let step = batch.tried(away());
            assert!(step.rest.is_some_and(|rest| rest > Duration::ZERO && rest <= PACE.at_most));
            assert_eq!((step.written, step.given_up, batch.next()), (vec![], vec![], [1, 2, 3].as_slice()));
        }
        assert_eq!(batch.tried(Ok(())).written, [1, 2, 3]);
        assert!(batch.is_done());
    }

    #[test]
    fn what_is_refused_is_tried_one_by_one_in_its_order_and_each_has_all_its_tries() {
        let mut batch = batch(&[1, 2, 3]);
        assert_eq!(batch.tried(refused()).rest, None);
        assert_eq!(batch.tried(Ok(())).written, [1]);
        for one in [2, 3] {
            for _ in 1..REFUSALS_AT_MOST {
                assert_eq!(batch.next(), [one]);
                let step = batch.tried(refused());
                assert!(step.rest.is_some() && step.given_up.is_empty());
            }
            assert_eq!(batch.tried(refused()).given_up, [one]);
        }
        assert!(batch.is_done());
    }
}
