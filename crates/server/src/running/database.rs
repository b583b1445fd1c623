//! Waiting for a database that is not there yet, or not migrated yet.

use anyhow::Context;
use muster_adapters::postgres::{MigrateError, MigrateReport, PgStore, migrate};
use muster_domain::ports::readiness::{NotReady, Readiness};
use muster_domain::ports::store::StoreError;
use secrecy::SecretString;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How often a database that is not ready is asked again.
const ASK_EVERY: Duration = Duration::from_millis(500);
/// How often a database that is ready is asked whether it still is.
const WATCH_EVERY: Duration = Duration::from_secs(5);

/// Waits until requests can be served; false when the end comes first. Says what it waits for, once for each reason.
pub async fn wait_until_ready(database: &dyn Readiness, end: &CancellationToken) -> bool {
    let mut said = None;
    loop {
        let state = database.check().await;
        say_if_new(&mut said, &state);
        if state.is_ok() {
            return true;
        }
        if end.run_until_cancelled(tokio::time::sleep(ASK_EVERY)).await.is_none() {
            return false;
        }
    }
}

/// Which database this is, as soon as it says so.
///
/// # Errors
/// When it refuses to say.
pub async fn identity(store: &PgStore) -> anyhow::Result<String> {
    loop {
        match store.identity().await {
            Ok(identity) => return Ok(identity),
            Err(StoreError::Unavailable(_) | StoreError::Conflict) => tokio::time::sleep(ASK_EVERY).await,
            Err(error) => return Err(error).context("the database does not say which it is"),
        }
    }
}

/// Says each time the database goes away or comes back, until the end.
pub async fn watch(database: &dyn Readiness, end: &CancellationToken) {
    let mut said = None;
    loop {
        let state = database.check().await;
        say_if_new(&mut said, &state);
        let pause = if state.is_ok() { WATCH_EVERY } else { ASK_EVERY };
        if end.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
            return;
        }
    }
}

/// Migrates, as soon as the database is there; `None` when the end comes first.
///
/// # Errors
/// When a migration fails.
pub async fn migrate_when_there(url: &SecretString, end: &CancellationToken) -> anyhow::Result<Option<MigrateReport>> {
    let mut said = false;
    loop {
        match migrate(url).await {
            Ok(report) => return Ok(Some(report)),
            Err(error @ MigrateError::Failed(_)) => return Err(error).context("the database was not migrated"),
            Err(error @ MigrateError::Unreachable(_)) => {
                if !std::mem::replace(&mut said, true) {
                    tracing::warn!(target: "muster", %error, "waiting for the database");
                }
            }
        }
        if end.run_until_cancelled(tokio::time::sleep(ASK_EVERY)).await.is_none() {
            return Ok(None);
        }
    }
}

fn say_if_new(said: &mut Option<Result<(), NotReady>>, state: &Result<(), NotReady>) {
    if said.as_ref() == Some(state) {
        return;
    }
    match state {
        Ok(()) => tracing::info!(target: "muster", "the database is ready"),
        Err(reason @ NotReady::DatabaseUnreachable) => {
            tracing::warn!(target: "muster", %reason, "waiting for the database");
        }
        Err(reason @ NotReady::MigrationsMissing { .. }) => {
            tracing::warn!(target: "muster", %reason, "waiting for the database; bring it up to date with: muster migrate");
        }
    }
    *said = Some(*state);
}
