//! Storage that is away: said once when it begins and once when it is over.

use muster_domain::ports::store::StoreError;

/// What one loop goes through.
pub(crate) struct Trouble {
    name: &'static str,
    failures: u32,
}

impl Trouble {
    /// None yet.
    pub(crate) fn of(name: &'static str) -> Self {
        Self { name, failures: 0 }
    }

    /// A round failed; how many in a row have now.
    pub(crate) fn met(&mut self, error: &StoreError) -> u32 {
        if self.failures == 0 {
            tracing::warn!(name = self.name, error = error as &dyn std::error::Error, "waiting for storage");
        }
        self.failures = self.failures.saturating_add(1);
        self.failures
    }

    /// Whether the last round failed.
    pub(crate) fn lasts(&self) -> bool {
        self.failures > 0
    }

    /// A round succeeded.
    pub(crate) fn over(&mut self) {
        if self.failures > 0 {
            tracing::info!(name = self.name, failures = self.failures, "storage is back");
        }
        self.failures = 0;
    }
}
