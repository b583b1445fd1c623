//! `muster-bench`: what Muster does in a second, as a ratio to a limit or a peer measured in the same run.
//!
//! Hardware differs and so do hours of the day; a ratio to what the same machine does at best, minutes apart, stays.
//! Every figure is the median of its repetitions. Nothing here is asserted: the table is read by people.

mod advance;
mod chain;
mod children;
mod database;
mod enroll;
mod events;
mod growth;
mod import;
mod memory;
mod pausing;
mod peers;
mod protocol;
mod report;
mod requests;
mod stage;

use anyhow::{Context, Result};
use clap::Parser;
use report::Report;
use stage::Place;
use std::path::PathBuf;
use std::time::Instant;

/// The sections, in the order in which they run.
const SECTIONS: [&str; 9] =
    ["enroll", "import", "advance", "growth", "events", "pausing", "requests", "chain", "memory"];

/// Measure Muster against its limits and its peers.
///
/// Starts a private, durable PostgreSQL in a folder of its own and takes about a quarter of an hour. Close everything
/// else first: the machine should have nothing else to do.
#[derive(Debug, Parser)]
#[command(after_help = "Examples:\n  just bench\n  just bench --only enroll,advance\n  just bench --large --save")]
pub struct Options {
    /// Only these sections, separated by commas.
    #[arg(long, value_delimiter = ',', value_parser = SECTIONS)]
    only: Vec<String>,
    /// Five million contacts where one million is the rule; takes an hour.
    #[arg(long)]
    large: bool,
    /// A tenth of everything, to see whether it works; its figures mean little.
    #[arg(long, conflicts_with = "large")]
    quick: bool,
    /// Write the table into docs/performance.md.
    #[arg(long)]
    save: bool,
    /// The program to measure.
    #[arg(long, default_value = "target/release/muster")]
    program: PathBuf,
    /// Where the database is to lie; a disk, not memory, or commits cost nothing.
    #[arg(long, default_value = "target")]
    folder: PathBuf,
}

impl Options {
    /// A number of rows, smaller when in haste.
    fn rows(&self, full: u64) -> u64 {
        if self.quick { full / 10 } else { full }
    }

    /// The sizes that growth is seen at.
    fn sizes(&self) -> Vec<u64> {
        let mut sizes = vec![self.rows(10_000), self.rows(100_000), self.rows(1_000_000)];
        sizes.extend(self.large.then_some(5_000_000));
        sizes
    }

    fn wants(&self, section: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|wanted| wanted == section)
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let options = Options::parse();
    anyhow::ensure!(
        options.program.exists(),
        "there is no {}: cargo build --release --package muster-server",
        options.program.display()
    );
    // Asked for by name, because more than one is compiled in. A second call finds the first's and may.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let begun = Instant::now();
    let place = Place::start(&options).await?;
    let mut report = Report::default();
    for (number, section) in SECTIONS.iter().enumerate().filter(|(_, section)| options.wants(section)) {
        report::say(&format!("[{}/{}] {section}, {} s so far", number + 1, SECTIONS.len(), begun.elapsed().as_secs()));
        report.section(section);
        measure(section, &place, &options, &mut report).await.with_context(|| format!("in section {section}"))?;
    }
    report.took = begun.elapsed();
    report::say(&report.text());
    if options.save {
        report.save(&place.machine().await?)?;
    }
    place.end().await
}

async fn measure(section: &str, place: &Place, options: &Options, report: &mut Report) -> Result<()> {
    match section {
        "enroll" => enroll::measure(place, options, report).await,
        "import" => import::measure(place, options, report).await,
        "advance" => advance::measure(place, options, report).await,
        "growth" => growth::measure(place, options, report).await,
        "events" => events::measure(place, options, report).await,
        "pausing" => pausing::measure(place, options, report).await,
        "requests" => requests::measure(place, options, report).await,
        "chain" => chain::measure(place, options, report).await,
        _ => memory::measure(place, options, report).await,
    }
}
