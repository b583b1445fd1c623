//! Whether what a program did to deliveries and enrollments is what the models know: the harnesses' end of [`muster_testkit::trace`].
//!
//! `watch` prints the SQL that has every change written down, `lines` the query that gives what was, and `judge` reads that and
//! tells each step that is in no table; its exit status is 1 when there is one.

use clap::{Parser, Subcommand};
use muster_testkit::control::say;
use muster_testkit::trace;
use std::io::{self, BufRead};
use std::process::ExitCode;

/// Compares what was done to deliveries and enrollments with the tables of the domain.
#[derive(Debug, Parser)]
struct Args {
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, Subcommand)]
enum Act {
    /// Prints the SQL that begins to watch.
    Watch,
    /// Prints the query whose lines `judge` reads.
    Lines,
    /// Reads a trace from standard input.
    Judge,
}

fn main() -> anyhow::Result<ExitCode> {
    match Args::parse().act {
        Act::Watch => say(trace::WATCH)?,
        Act::Lines => say(trace::LINES)?,
        Act::Judge => {
            let mut broken = None;
            let lines = io::stdin().lock().lines().map_while(|line| line.map_err(|error| broken = Some(error)).ok());
            let seen = trace::judge(lines).map_err(|line| anyhow::anyhow!("no line of a trace: {line}"))?;
            if let Some(error) = broken {
                return Err(error.into());
            }
            for unknown in &seen.unknown {
                say(&format!("unknown {unknown}"))?;
            }
            say(&format!("steps {}", seen.steps))?;
            return Ok(if seen.unknown.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
    }
    Ok(ExitCode::SUCCESS)
}
