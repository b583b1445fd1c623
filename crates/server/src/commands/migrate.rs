//! `muster migrate`: brings a database to the schema of this version.

use crate::config::{ConfigProblems, DatabaseArgs};
use crate::output::say;
use anyhow::Context;
use clap::Args;
use secrecy::SecretString;
use std::process::ExitCode;

/// Bring a database to the schema of this version.
///
/// Safe with several at once: they take turns. Run it before the new version's `serve` and `work`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  muster migrate --database-url postgres://postgres@localhost/muster")]
pub struct MigrateArgs {
    /// The database.
    #[command(flatten)]
    pub database: DatabaseArgs,
}

impl MigrateArgs {
    /// The database to migrate.
    ///
    /// # Errors
    /// When none is named.
    pub fn resolve(&self) -> Result<SecretString, ConfigProblems> {
        let mut problems = ConfigProblems::default();
        let url = self.database.required(&mut problems);
        problems.finish(url)
    }
}

/// Migrates and says what was done.
///
/// # Errors
/// When the database cannot be reached, or a migration fails; what was applied before stays.
pub async fn run(args: &MigrateArgs) -> anyhow::Result<ExitCode> {
    let url = args.resolve()?;
    let report = muster_adapters::postgres::migrate(&url).await.context("nothing more was migrated")?;
    match report.applied.as_slice() {
        [] => say("The database is up to date."),
        applied => say(format_args!("Applied {}: {}", applied.len(), applied.join(", "))),
    }
    Ok(ExitCode::SUCCESS)
}
