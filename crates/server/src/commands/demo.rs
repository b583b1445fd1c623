//! `muster demo`: a whole drip campaign from import to balance, in under a minute.

use crate::config::{ConfigProblems, DatabaseArgs, PgBinArgs, SmtpArgs};
use crate::demo::Demo;
use crate::running::signals;
use clap::Args;
use muster_adapters::smtp::SmtpConfig;
use secrecy::SecretString;
use std::path::PathBuf;
use std::process::ExitCode;

/// Run a whole drip campaign in time lapse and check its books.
///
/// On free ports and in a throwaway folder: makes a tenant, imports contacts, builds a segment and a sequence of
/// steps, launches, pauses and resumes, delivers every mail over SMTP to a catcher, and shows what became of each.
/// The exit status says whether the books balance.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  muster demo\n  muster demo --csv contacts.csv")]
pub struct DemoArgs {
    /// Contacts to use instead of the ones that come along; columns are known by name.
    #[arg(long, value_name = "FILE")]
    pub csv: Option<PathBuf>,
    /// The database, instead of a throwaway one.
    #[command(flatten)]
    pub database: DatabaseArgs,
    /// The mail server, instead of the catcher.
    #[command(flatten)]
    pub smtp: SmtpArgs,
    /// PostgreSQL's programs.
    #[command(flatten)]
    pub pg_bin: PgBinArgs,
}

/// What `demo` works with. Its secret key is random and forgotten.
#[derive(Debug)]
pub struct DemoConfig {
    /// Contacts to use instead of the ones that come along.
    pub csv: Option<PathBuf>,
    /// The database; without one a throwaway one is started.
    pub database_url: Option<SecretString>,
    /// The mail server; without one mail is caught.
    pub smtp: Option<SmtpConfig>,
    /// PostgreSQL's programs, if named.
    pub pg_bin: Option<PathBuf>,
}

impl DemoArgs {
    /// Checks every setting.
    ///
    /// # Errors
    /// All that is wrong at once.
    pub fn resolve(&self) -> Result<DemoConfig, ConfigProblems> {
        let mut problems = ConfigProblems::default();
        let database_url = self.database.optional(&mut problems);
        let smtp = self.smtp.optional(&mut problems);
        let pg_bin = self.pg_bin.optional(&mut problems);
        problems.finish(Some(DemoConfig { csv: self.csv.clone(), database_url, smtp, pg_bin }))
    }
}

/// The exit status of a demo that was interrupted (128 + SIGINT).
const INTERRUPTED: u8 = 130;

/// Runs it; the exit status says whether the books balance and every mail came as it should.
///
/// # Errors
/// When something could not be done at all.
pub async fn run(args: &DemoArgs) -> anyhow::Result<ExitCode> {
    let config = args.resolve()?;
    let stop = signals::stop_on_signal()?;
    Ok(match Demo::new(&config).run(&stop).await? {
        Some(true) => ExitCode::SUCCESS,
        Some(false) => ExitCode::FAILURE,
        None => ExitCode::from(INTERRUPTED),
    })
}
