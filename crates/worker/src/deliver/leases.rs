//! The attempts that this process holds. Their leases are renewed as long as it lives.

use muster_domain::model::delivery::{Attempt, LEASE};
use muster_domain::ports::delivery::DeliveryStore;
use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
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

/// Attempts held by this process.
#[derive(Default)]
pub(super) struct Leases(Mutex<HashSet<Attempt>>);

impl Leases {
    pub(super) fn hold(&self, attempts: impl IntoIterator<Item = Attempt>) {
        self.held().extend(attempts);
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
        let held: Vec<Attempt> = self.held().iter().copied().collect();
        if held.is_empty() {
            return true;
        }
        match tokio::time::timeout(ANSWER_WITHIN, store.renew(&held)).await {
            Ok(Ok(())) => return true,
            Ok(Err(error)) => tracing::warn!(%error, held = held.len(), "leases could not be renewed"),
            Err(_) => tracing::warn!(held = held.len(), "leases could not be renewed in time"),
        }
        false
    }

    fn held(&self) -> MutexGuard<'_, HashSet<Attempt>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use muster_domain::model::delivery::{DeliveryKey, Epoch};
    use muster_domain::model::ids::{CampaignNo, ContactNo, Pass, StepNo, TenantNo};
    use muster_domain::ports::delivery::MockDeliveryStore;
    use muster_domain::ports::store::StoreError;
    use tokio::time::Instant;

    /// The moments at which storage that is away until `back` is asked, up to the first that it answers.
    async fn asked(back: Duration) -> Vec<Duration> {
        let (begun, asked) = (Instant::now(), Arc::new(Mutex::new(Vec::new())));
        let (mut store, kept) = (MockDeliveryStore::new(), Arc::clone(&asked));
        store.expect_renew().returning(move |_| {
            kept.lock().unwrap().push(begun.elapsed());
            if begun.elapsed() < back { Err(StoreError::Unavailable("away".into())) } else { Ok(()) }
        });
        let (tenant, campaign) = (TenantNo(1), CampaignNo(1));
        let key = DeliveryKey { tenant, campaign, contact: ContactNo(1), step: StepNo(1), pass: Pass(1) };
        let (leases, end) = (Arc::new(Leases::default()), CancellationToken::new());
        leases.hold([Attempt { key, epoch: Epoch(1) }]);
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
}
