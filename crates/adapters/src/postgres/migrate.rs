//! Bringing a database to the schema this program was built with.

use super::error::first_clause;
use diesel::migration::{Migration, MigrationSource};
use diesel::pg::Pg;
use diesel::sql_types::{BigInt, Bool};
use diesel_async::{AsyncConnection, AsyncMigrationHarness, AsyncPgConnection, RunQueryDsl};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};
use secrecy::{ExposeSecret, SecretString};
use std::time::Duration;

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("../../migrations");

/// The advisory lock under which one migrator works at a time; any number that nobody else uses.
const LOCK: i64 = 0x6d75_7374_6572;

/// What a migration run did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MigrateReport {
    /// The versions applied by this run, in order; empty when the database was up to date.
    pub applied: Vec<String>,
}

/// Why the database was not brought up to date. What had been applied before stays.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// The database cannot be reached.
    #[error("the database cannot be reached: {0}")]
    Unreachable(String),
    /// A migration failed.
    #[error("a migration failed: {0}")]
    Failed(String),
}

/// Applies what is missing. Safe with several at once: they take turns.
///
/// The lock is polled for, because a blocking wait and `CREATE INDEX CONCURRENTLY` would wait for each other.
pub async fn migrate(database_url: &SecretString) -> Result<MigrateReport, MigrateError> {
    let mut conn = connect(database_url).await?;
    while !try_lock(&mut conn).await? {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let applied = on_blocking_thread(conn, |harness| {
        let versions = harness.run_pending_migrations(MIGRATIONS).map_err(|e| failed(&*e))?;
        Ok(versions.iter().map(ToString::to_string).collect())
    })
    .await?;
    Ok(MigrateReport { applied })
}

/// The versions that [`migrate`] would apply.
pub async fn pending_migrations(database_url: &SecretString) -> Result<Vec<String>, MigrateError> {
    let conn = connect(database_url).await?;
    on_blocking_thread(conn, |harness| {
        let pending = harness.pending_migrations(MIGRATIONS).map_err(|e| failed(&*e))?;
        Ok(pending.iter().map(|migration| migration.name().version().to_string()).collect())
    })
    .await
}

/// The versions that this program brings, in order.
pub(super) fn known_versions() -> Vec<String> {
    let migrations: Vec<Box<dyn Migration<Pg>>> = MigrationSource::<Pg>::migrations(&MIGRATIONS).unwrap_or_default();
    migrations.iter().map(|migration| migration.name().version().to_string()).collect()
}

pub(super) async fn connect(database_url: &SecretString) -> Result<AsyncPgConnection, MigrateError> {
    AsyncPgConnection::establish(database_url.expose_secret())
        .await
        .map_err(|error| MigrateError::Unreachable(first_clause(&error.to_string()).to_owned()))
}

async fn try_lock(conn: &mut AsyncPgConnection) -> Result<bool, MigrateError> {
    #[derive(diesel::QueryableByName)]
    struct Got {
        #[diesel(sql_type = Bool)]
        got: bool,
    }
    let got: Got = diesel::sql_query("SELECT pg_try_advisory_lock($1) AS got")
        .bind::<BigInt, _>(LOCK)
        .get_result(conn)
        .await
        .map_err(|e| failed(&e))?;
    Ok(got.got)
}

/// diesel's migrations are synchronous; the connection, and with it the lock, ends with the closure.
async fn on_blocking_thread<T: Send + 'static>(
    conn: AsyncPgConnection,
    work: impl FnOnce(&mut AsyncMigrationHarness<AsyncPgConnection>) -> Result<T, MigrateError> + Send + 'static,
) -> Result<T, MigrateError> {
    tokio::task::spawn_blocking(move || {
        let mut harness = AsyncMigrationHarness::new(conn);
        work(&mut harness)
    })
    .await
    .map_err(|e| MigrateError::Failed(e.to_string()))?
}

fn failed(error: &(impl std::fmt::Display + ?Sized)) -> MigrateError {
    MigrateError::Failed(error.to_string())
}
