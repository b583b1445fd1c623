//! Whether requests can be served.

use async_trait::async_trait;

/// Why requests cannot be served yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotReady {
    /// The database does not answer.
    #[error("the database cannot be reached")]
    DatabaseUnreachable,
    /// The database is older than this program.
    #[error("{missing} migrations are missing")]
    MigrationsMissing {
        /// How many.
        missing: usize,
    },
}

/// Tells whether requests can be served.
#[cfg_attr(any(test, feature = "testing"), mockall::automock)]
#[async_trait]
pub trait Readiness: Send + Sync {
    /// `Ok` when the database answers and has every migration that this program needs.
    async fn check(&self) -> Result<(), NotReady>;
}
