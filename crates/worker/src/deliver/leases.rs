//! The attempts that this process holds. Their leases are renewed as long as it lives.

use muster_domain::model::delivery::{Attempt, LEASE};
use muster_domain::ports::delivery::DeliveryStore;
use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// A third of a lease: two renewals may fail before one runs out.
const RENEW_EVERY: Duration = Duration::from_secs(LEASE.as_secs() / 3);

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
            while end.run_until_cancelled(tokio::time::sleep(RENEW_EVERY)).await.is_some() {
                let Some(leases) = leases.upgrade() else { return };
                let held: Vec<Attempt> = leases.held().iter().copied().collect();
                if held.is_empty() {
                    continue;
                }
                // A renewal that hangs must not keep the next from being tried.
                match tokio::time::timeout(RENEW_EVERY, store.renew(&held)).await {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => tracing::warn!(%error, held = held.len(), "leases could not be renewed"),
                    Err(_) => tracing::warn!(held = held.len(), "leases could not be renewed in time"),
                }
            }
        });
    }

    fn held(&self) -> MutexGuard<'_, HashSet<Attempt>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
