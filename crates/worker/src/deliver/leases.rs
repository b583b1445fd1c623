//! The attempts that this process holds. Their leases are renewed as long as it lives; whose may have run out meanwhile, because the
//! process stood still or storage was away, is known here too.

use muster_domain::model::delivery::{Attempt, LEASE, LEASE_AT_BEGIN};
use muster_domain::ports::delivery::DeliveryStore;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// A third of a lease.
const RENEW_EVERY: Duration = Duration::from_secs(LEASE.as_secs() / 3);
/// A renewal that hangs is over after this long, so that two thirds of a lease have room for more tries.
const ANSWER_WITHIN: Duration = Duration::from_millis(LEASE.as_secs() * 1000 / 6);
/// After one that failed the next is tried this much later.
const AGAIN_AFTER: Duration = Duration::from_millis(LEASE.as_secs() * 1000 / 30);
/// When storage answers again, everybody who lives has renewed this much later: one try may be hanging still, the next follows.
pub(crate) const RENEWED_WITHIN: Duration = RENEW_EVERY;
const _: () = assert!(
    ANSWER_WITHIN.as_millis() + AGAIN_AFTER.as_millis() < RENEWED_WITHIN.as_millis(),
    "the living have time to renew before anything of theirs is reaped"
);

/// Attempts held by this process, each with the moment up to which it surely is nobody else's.
#[derive(Default)]
pub(super) struct Leases(Mutex<HashMap<Attempt, Instant>>);

impl Leases {
    /// These were claimed, by a claim that was made at `since` or later.
    pub(super) fn hold(&self, attempts: impl IntoIterator<Item = Attempt>, since: Instant) {
        self.held().extend(attempts.into_iter().map(|attempt| (attempt, since + LEASE)));
    }

    /// This one has begun, by a begin that was made at `since` or later: it was ours then.
    pub(super) fn begun(&self, attempt: Attempt, since: Instant) {
        let at_least = since + LEASE_AT_BEGIN;
        self.held().entry(attempt).and_modify(|until| *until = at_least.max(*until)).or_insert(at_least);
    }

    /// Whether its lease surely lasts.
    pub(super) fn lasts(&self, attempt: &Attempt) -> bool {
        self.held().get(attempt).is_some_and(|until| Instant::now() < *until)
    }

    pub(super) fn release<'a>(&self, attempts: impl IntoIterator<Item = &'a Attempt>) {
        let mut held = self.held();
        for attempt in attempts {
            held.remove(attempt);
        }
    }

    /// Renews what is held until `end`.
    pub(super) fn keep_renewed(self: &Arc<Self>, store: Arc<dyn DeliveryStore>, end: CancellationToken) {
        let leases = Arc::downgrade(self);
        tokio::spawn(async move {
            let mut next = RENEW_EVERY;
            while end.run_until_cancelled(tokio::time::sleep(next)).await.is_some() {
                let Some(leases) = leases.upgrade() else { return };
                next = if leases.renew(&*store).await { RENEW_EVERY } else { AGAIN_AFTER };
            }
        });
    }

    /// Renews what is held; whether that worked.
    async fn renew(&self, store: &dyn DeliveryStore) -> bool {
        let held: Vec<Attempt> = self.held().keys().copied().collect();
        if held.is_empty() {
            return true;
        }
        let asked_at = Instant::now();
        let Ok(report) = tokio::time::timeout(ANSWER_WITHIN, store.renew(&held)).await else {
            tracing::warn!(held = held.len(), "leases could not be renewed in time");
            return false;
        };
        self.renewed(&report.renewed, asked_at);
        if let Some(error) = &report.trouble {
            tracing::warn!(%error, held = held.len(), renewed = report.renewed.len(), "leases could not be renewed");
        }
        report.trouble.is_none()
    }

    /// Those that storage vouches for last from when it was asked; also such as had run out, which nobody else had taken.
    fn renewed(&self, attempts: &[Attempt], asked_at: Instant) {
        let mut held = self.held();
        for attempt in attempts {
            if let Some(until) = held.get_mut(attempt) {
                *until = (asked_at + LEASE).max(*until);
            }
        }
    }

    fn held(&self) -> MutexGuard<'_, HashMap<Attempt, Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use muster_domain::model::delivery::{DeliveryKey, Epoch};
    use muster_domain::model::ids::{CampaignNo, ContactNo, Pass, StepNo, TenantNo};
    use muster_domain::ports::delivery::{MockDeliveryStore, RenewReport};
    use muster_domain::ports::store::StoreError;
    use std::sync::atomic::AtomicBool;
    use std::sync::atomic::Ordering::Relaxed;

    const MOMENT: Duration = Duration::from_millis(1);

    /// The moments at which storage that is away until `back` is asked, up to the first that it answers.
    async fn asked(back: Duration) -> Vec<Duration> {
        let (begun, asked) = (Instant::now(), Arc::new(Mutex::new(Vec::new())));
        let (mut store, kept) = (MockDeliveryStore::new(), Arc::clone(&asked));
        store.expect_renew().returning(move |_| {
            kept.lock().unwrap().push(begun.elapsed());
            let away = begun.elapsed() < back;
            RenewReport { trouble: away.then(|| StoreError::Unavailable("away".into())), ..RenewReport::default() }
        });
        let (leases, end) = (Arc::new(Leases::default()), CancellationToken::new());
        leases.hold([one()], Instant::now());
        leases.keep_renewed(Arc::new(store), end.clone());
        tokio::time::sleep(back + LEASE).await;
        end.cancel();
        asked.lock().unwrap().clone()
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_is_renewed_three_times_in_its_time() {
        let asked = asked(Duration::ZERO).await;
        assert!(asked.windows(2).all(|pair| pair[1] <= pair[0] + LEASE / 3), "{asked:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn when_storage_is_back_it_is_renewed_before_anybody_reaps() {
        let back = LEASE * 2;
        let asked = asked(back).await;
        let renewed = *asked.iter().find(|at| **at >= back).unwrap();
        assert!(renewed <= back + AGAIN_AFTER + Duration::from_millis(1), "{renewed:?} after {back:?}");
        // And then as usual.
        let after: Vec<_> = asked.iter().filter(|at| **at > renewed).collect();
        assert!(after.len() <= 3, "{after:?}");
    }

    fn one() -> Attempt {
        let (tenant, campaign) = (TenantNo(1), CampaignNo(1));
        Attempt {
            key: DeliveryKey { tenant, campaign, contact: ContactNo(1), step: StepNo(1), pass: Pass(1) },
            epoch: Epoch(1),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_lasts_from_the_claim_or_the_begin_on_as_long_as_storage_says() {
        let (leases, since) = (Leases::default(), Instant::now());
        assert!(!leases.lasts(&one()), "nobody knows of it");
        leases.hold([one()], since);
        leases.begun(one(), since);
        tokio::time::advance(LEASE.saturating_sub(MOMENT)).await;
        assert!(leases.lasts(&one()), "a begin takes nothing from a claim");
        tokio::time::advance(MOMENT).await;
        assert!(!leases.lasts(&one()));
        leases.begun(one(), Instant::now());
        tokio::time::advance(LEASE_AT_BEGIN.saturating_sub(MOMENT)).await;
        assert!(leases.lasts(&one()), "what could begin was ours still");
        tokio::time::advance(MOMENT).await;
        assert!(!leases.lasts(&one()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_renewal_counts_from_when_it_was_asked_for() {
        let (leases, since) = (Leases::default(), Instant::now());
        leases.hold([one()], since);
        for (asked_after, answered_after) in [(LEASE / 3, LEASE / 3), (LEASE / 2, LEASE), (LEASE * 3, LEASE * 3)] {
            tokio::time::advance((since + answered_after).duration_since(Instant::now())).await;
            leases.renewed(&[one()], since + asked_after);
            assert!(leases.lasts(&one()));
        }
        leases.renewed(&[one()], since);
        tokio::time::advance(LEASE.saturating_sub(MOMENT)).await;
        assert!(leases.lasts(&one()), "and what was asked for before takes nothing away");
        tokio::time::advance(MOMENT).await;
        assert!(!leases.lasts(&one()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_lasts_as_long_as_storage_vouches_for_it_whatever_became_of_others() {
        let lost = Arc::new(AtomicBool::new(false));
        let mut store = MockDeliveryStore::new();
        let is_lost = Arc::clone(&lost);
        store.expect_renew().returning(move |attempts| RenewReport {
            renewed: attempts.iter().filter(|_| !is_lost.load(Relaxed)).copied().collect(),
            trouble: Some(StoreError::Internal("of another tenant".into())),
        });
        let (leases, end) = (Arc::new(Leases::default()), CancellationToken::new());
        leases.hold([one()], Instant::now());
        leases.keep_renewed(Arc::new(store), end.clone());
        for _ in 0..10 {
            tokio::time::sleep(LEASE / 2).await;
            assert!(leases.lasts(&one()));
        }
        // The process stands still. What nobody took meanwhile is its own again with the first answer.
        tokio::time::advance(LEASE * 2).await;
        tokio::time::sleep(LEASE / 2).await;
        assert!(leases.lasts(&one()));
        lost.store(true, Relaxed);
        tokio::time::sleep(LEASE).await;
        for _ in 0..10 {
            assert!(!leases.lasts(&one()));
            tokio::time::sleep(LEASE / 2).await;
        }
        end.cancel();
    }
}
