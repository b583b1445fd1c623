//! The muster program: reads the command line, sets up logging, runs the command.

use clap::Parser;
use muster_server::cli::Cli;
use muster_server::config::{ConfigProblems, unknown_variables};
use muster_server::{crypto, output, telemetry};
use std::process::ExitCode;

/// Making mails and answers is a tenth allocating, with the C library's allocator: 5 % more mails and 5 to 15 % more
/// requests a second than with that, for 5 MiB.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The exit status for settings that are missing or not usable, as for a wrong command line.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli) {
        Ok(code) => code,
        Err(error) => {
            output::complain(format_args!("muster: {error:#}"));
            let usage = error.downcast_ref::<ConfigProblems>().is_some();
            if usage { ExitCode::from(USAGE) } else { ExitCode::FAILURE }
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    telemetry::start(&cli.log, cli.command.usual_log_filter())?;
    crypto::install_provider();
    for unknown in unknown_variables(std::env::vars_os().filter_map(|(name, _)| name.into_string().ok())) {
        tracing::warn!(target: "muster", "{unknown}");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(cli.command.run())
}
