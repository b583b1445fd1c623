//! [`Readiness`] over PostgreSQL, and which database it is.

use super::PgStore;
use super::error::StoreErrorExt;
use super::migrate::known_versions;
use async_trait::async_trait;
use diesel::sql_types::Text;
use diesel_async::RunQueryDsl;
use muster_domain::ports::readiness::{NotReady, Readiness};
use muster_domain::ports::store::{StoreError, StoreResult};
use std::collections::HashSet;

#[derive(diesel::QueryableByName)]
struct Identity {
    #[diesel(sql_type = Text)]
    identity: String,
}

#[derive(diesel::QueryableByName)]
struct Applied {
    #[diesel(sql_type = Text)]
    version: String,
}

#[async_trait]
impl Readiness for PgStore {
    async fn check(&self) -> Result<(), NotReady> {
        let known = known_versions();
        let applied = match applied_versions(self).await {
            Ok(applied) => applied,
            Err(StoreError::Unavailable(_)) => return Err(NotReady::DatabaseUnreachable),
            // Neither the role nor the table is there before the first migration.
            Err(_) => return Err(NotReady::MigrationsMissing { missing: known.len() }),
        };
        match known.iter().filter(|version| !applied.contains(*version)).count() {
            0 => Ok(()),
            missing => Err(NotReady::MigrationsMissing { missing }),
        }
    }
}

impl PgStore {
    /// Which database this is: its cluster's name for itself, kept through restarts and failover, and the database's number there. Not
    /// that of a copy by `pg_dump`, nor of one that was dropped and made anew.
    ///
    /// # Errors
    /// When the database is away.
    pub async fn identity(&self) -> StoreResult<String> {
        let mut tx = self.scheduler().await?;
        let identity: Identity = diesel::sql_query(
            "SELECT format('%s-%s', system_identifier, oid) AS identity FROM pg_control_system(), pg_database \
             WHERE datname = current_database()",
        )
        .get_result(&mut *tx)
        .await
        .store()?;
        tx.commit().await?;
        Ok(identity.identity)
    }
}

async fn applied_versions(store: &PgStore) -> StoreResult<HashSet<String>> {
    let mut tx = store.scheduler().await?;
    let rows: Vec<Applied> = diesel::sql_query("SELECT version::text AS version FROM __diesel_schema_migrations")
        .load(&mut *tx)
        .await
        .store()?;
    tx.commit().await?;
    Ok(rows.into_iter().map(|row| row.version).collect())
}
