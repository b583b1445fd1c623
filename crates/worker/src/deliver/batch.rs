//! Outcomes of one campaign that are written down together, and what becomes of them when that does not work.
//!
//! Storage that is away is asked again for as long as it takes. What it refuses is cut into single outcomes, so that one bad
//! outcome spoils no other; one that is refused by itself leaves the batch, and the others go on without it.

use crate::pace::Pace;
use muster_domain::model::ids::CampaignKey;
use muster_domain::ports::store::{StoreError, StoreResult};
use std::collections::VecDeque;
use std::time::Duration;

/// Between the tries of what storage misses.
pub(super) const AWAY: Pace = Pace {
    idle: Duration::ZERO,
    nudged: Duration::ZERO,
    trouble: Duration::from_millis(50),
    at_most: Duration::from_secs(2),
};

/// What of a campaign is still to be written, in parts of one transaction each.
pub(super) struct Batch<T> {
    campaign: CampaignKey,
    parts: VecDeque<Vec<T>>,
    /// Tries of the first part, in a row, that found storage away.
    misses: u32,
}

/// What a try came to.
pub(super) struct Step<T> {
    /// These are stored.
    pub(super) written: Vec<T>,
    /// This one was refused by itself, and why.
    pub(super) refused: Option<(T, StoreError)>,
    /// How long to wait before the next try, if there is a reason to.
    pub(super) rest: Option<Duration>,
}

impl<T> Default for Step<T> {
    fn default() -> Self {
        Self { written: Vec::new(), refused: None, rest: None }
    }
}

impl<T> Batch<T> {
    pub(super) fn of(campaign: CampaignKey, all: Vec<T>) -> Self {
        Self { campaign, parts: VecDeque::from([all]), misses: 0 }
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
        match result {
            Ok(()) => Step { written: self.part_is_over(), ..Step::default() },
            Err(error) if refuses(&error) => Step { refused: self.split(error), ..Step::default() },
            Err(error) => {
                self.misses = self.misses.saturating_add(1);
                tracing::warn!(%error, misses = self.misses, outcomes = self.next().len(), "outcomes wait for storage");
                Step { rest: Some(AWAY.after_failures(self.misses)), ..Step::default() }
            }
        }
    }

    /// Cuts the first part into single outcomes; a single one is taken out.
    fn split(&mut self, error: StoreError) -> Option<(T, StoreError)> {
        let mut part = self.part_is_over();
        if part.len() == 1 {
            return part.pop().map(|one| (one, error));
        }
        tracing::error!(%error, campaign = self.campaign.campaign.0, "outcomes are recorded one by one");
        for one in part.into_iter().rev() {
            self.parts.push_front(vec![one]);
        }
        None
    }

    fn part_is_over(&mut self) -> Vec<T> {
        self.misses = 0;
        self.parts.pop_front().unwrap_or_default()
    }
}

/// Whether storage was there and did not take it. That may pass (a disk is full, memory is short), but not by waiting a moment.
pub(super) fn refuses(error: &StoreError) -> bool {
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
            assert!(step.rest.is_some_and(|rest| rest > Duration::ZERO && rest <= AWAY.at_most));
            assert!(step.refused.is_none());
            assert_eq!((step.written, batch.next()), (vec![], [1, 2, 3].as_slice()));
        }
        assert_eq!(batch.tried(Ok(())).written, [1, 2, 3]);
        assert!(batch.is_done());
    }

    #[test]
    fn what_is_refused_is_tried_one_by_one_in_its_order_and_what_is_refused_again_leaves_at_once() {
        let mut batch = batch(&[1, 2, 3, 4]);
        assert_eq!(batch.tried(refused()).rest, None);
        assert_eq!(batch.tried(Ok(())).written, [1]);
        for one in [2, 3] {
            assert_eq!(batch.next(), [one]);
            let step = batch.tried(refused());
            assert_eq!((step.refused.map(|(one, _)| one), step.rest), (Some(one), None));
        }
        assert_eq!(batch.tried(Ok(())).written, [4]);
        assert!(batch.is_done());
    }
}
