//! `muster doctor`: what is missing here, and the command that mends it.

use crate::config::{
    DatabaseArgs, HttpAddrArgs, PgBinArgs, PublicUrlArgs, SecretKeyArgs, SmtpArgs, StateDirArgs, Surroundings,
};
use crate::doctor::{Examination, examine};
use crate::output;
use clap::Args;
use std::process::ExitCode;

/// Say what is missing on this machine, and the command that mends it.
///
/// It looks at the same flags and variables as the other commands and mends nothing itself. The exit status is 1 when
/// something that is needed is missing.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  muster doctor\n  muster doctor --smtp-url smtp://127.0.0.1:2525\n  muster doctor --recount"
)]
pub struct DoctorArgs {
    /// The database.
    #[command(flatten)]
    pub database: DatabaseArgs,
    /// Where HTTP is served.
    #[command(flatten)]
    pub http: HttpAddrArgs,
    /// The base of links.
    #[command(flatten)]
    pub public: PublicUrlArgs,
    /// The mail server.
    #[command(flatten)]
    pub smtp: SmtpArgs,
    /// The key that signs links.
    #[command(flatten)]
    pub secret: SecretKeyArgs,
    /// Where things are kept.
    #[command(flatten)]
    pub state: StateDirArgs,
    /// PostgreSQL's programs.
    #[command(flatten)]
    pub pg_bin: PgBinArgs,
    /// Count every row of the database again, too, and compare with the books and the figures. Reads everything.
    #[arg(long)]
    pub recount: bool,
}

/// Examines and prints the findings.
///
/// # Errors
/// None; what is wrong is a finding.
pub async fn run(args: &DoctorArgs) -> anyhow::Result<ExitCode> {
    let report = examine(Examination { args, surroundings: Surroundings::of_this_process() }).await;
    output::say(report.table(output::in_colour()));
    Ok(if report.is_healthy() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
