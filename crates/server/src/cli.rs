//! The command line.

use crate::commands::{demo, doctor, keys, migrate, openapi, serve, up, work};
use crate::telemetry::{self, LogArgs};
use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Runs e-mail campaigns for many tenants.
///
/// Every flag can also be given by the environment variable named with it; the flag wins.
#[derive(Debug, Parser)]
#[command(name = "muster", version, max_term_width = 100, subcommand_required = true, arg_required_else_help = true)]
pub struct Cli {
    /// How it logs.
    #[command(flatten)]
    pub log: LogArgs,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What muster can do. Each variant is wired to the `run` of its file in `commands/`.
#[derive(Debug, Subcommand)]
#[expect(missing_docs, reason = "a comment here would hide the help text that stands on the arguments' struct")]
pub enum Command {
    Demo(demo::DemoArgs),
    Up(up::UpArgs),
    Serve(serve::ServeArgs),
    Work(work::WorkArgs),
    Migrate(migrate::MigrateArgs),
    Keys(keys::KeysArgs),
    Openapi(openapi::OpenapiArgs),
    Doctor(doctor::DoctorArgs),
}

impl Command {
    /// What is logged unless something else is asked for. A demo shows bars, which lines of the log would tear apart.
    pub fn usual_log_filter(&self) -> &'static str {
        if matches!(self, Self::Demo(_)) { "warn" } else { telemetry::USUAL }
    }

    /// Does it. The exit status says whether what was asked for is so.
    ///
    /// # Errors
    /// What went wrong, for the operator; settings that cannot be used are
    /// [`ConfigProblems`](crate::config::ConfigProblems).
    pub async fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Demo(args) => demo::run(&args).await,
            Self::Up(args) => up::run(&args).await,
            Self::Serve(args) => serve::run(&args).await,
            Self::Work(args) => work::run(&args).await,
            Self::Migrate(args) => migrate::run(&args).await,
            Self::Keys(args) => keys::run(&args).await,
            Self::Openapi(args) => openapi::run(&args),
            Self::Doctor(args) => doctor::run(&args).await,
        }
    }
}
