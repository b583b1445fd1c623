//! The fault proxy as a process of its own.
//!
//! It says `listening <address>` when it does, and answers every line of standard input with one line: `ok`, followed by
//! the number of connections cut or open. Commands: `cut`, `half-open`, `pass`, `refuse`, `accept`, `latency <ms>`,
//! `cut-after <octets>`, `cut-on before|after <times> <pattern>`, `disarm`, `open`, `trapped`.

use anyhow::Context;
use clap::Parser;
use muster_testkit::control::{commands, say};
use muster_testkit::fault_proxy::{FaultProxy, Side, Upstream};
use std::time::Duration;

/// A TCP proxy that fails on demand.
#[derive(Debug, Parser)]
struct Args {
    /// Where connections lead: an address with a port, or `unix:/path/of/a/socket`.
    #[arg(long)]
    to: String,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let proxy = FaultProxy::start(Upstream::parse(&Args::parse().to)?).await?;
    say(&format!("listening {}", proxy.address()))?;
    let mut lines = commands();
    while let Some(line) = lines.recv().await {
        say(&format!("ok {}", obey(&proxy, &line).with_context(|| format!("not understood: {line}"))?))?;
    }
    Ok(())
}

fn obey(proxy: &FaultProxy, line: &str) -> anyhow::Result<u64> {
    let words: Vec<&str> = line.splitn(4, ' ').collect();
    match words.as_slice() {
        ["cut"] => return Ok(proxy.cut() as u64),
        ["open"] => return Ok(proxy.open() as u64),
        ["trapped"] => return Ok(proxy.trapped()),
        ["half-open"] => proxy.half_open(),
        ["pass"] => proxy.pass(),
        ["refuse"] => proxy.refuse(true),
        ["accept"] => proxy.refuse(false),
        ["disarm"] => proxy.disarm(),
        ["latency", ms] => proxy.latency(Duration::from_millis(ms.parse()?)),
        ["cut-after", octets] => proxy.cut_after(octets.parse()?),
        ["cut-on", "before", times, pattern] => proxy.cut_on(pattern.as_bytes(), Side::Before, times.parse()?),
        ["cut-on", "after", times, pattern] => proxy.cut_on(pattern.as_bytes(), Side::After, times.parse()?),
        _ => anyhow::bail!("unknown command"),
    }
    Ok(proxy.open() as u64)
}
