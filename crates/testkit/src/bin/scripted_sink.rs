//! The scripted SMTP sink as a process of its own: the judge of the harnesses, which must outlive whom it judges.
//!
//! It says `listening <address>` when it does. On standard input it takes `refuse <ms>` (no new connections for so long),
//! `rules <fault> …` (these from now on, as `--fault` has them) and `count`, which it answers with `accepted <number>`. It ends with its standard input, or with whoever started it.

use clap::Parser;
use muster_testkit::control::{commands, say};
use muster_testkit::smtp_sink::{Act, At, Rule, Script, SmtpSink};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// A scripted SMTP sink.
#[derive(Debug, Parser)]
struct Args {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// The log: one line of JSON for each thing that was said.
    #[arg(long)]
    log: PathBuf,
    /// Which of the possible rows of chances faults follow.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// A fault as PHASE:ACT:PER-MILLE, where PHASE is connect, ehlo, mail, rcpt, data, body or dot, and ACT a reply code
    /// such as 451, or drop, stall=MS, delay=MS, garbage, long-line, accept-then-drop (at dot).
    /// With `@DOMAIN` behind it, from RCPT on, for recipients there alone. The first that fits acts.
    #[arg(long = "fault", value_parser = fault)]
    faults: Vec<Rule>,
}

fn fault(text: &str) -> Result<Rule, String> {
    let (text, to) = text.split_once('@').map_or((text, None), |(text, to)| (text, Some(to)));
    let mut parts = text.split(':');
    let (Some(at), Some(act), Some(rate), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return Err("expected PHASE:ACT:PER-MILLE".to_owned());
    };
    let rate: f64 = rate.parse().map_err(|_| format!("no number: {rate}"))?;
    let at = phase(at)?;
    let rule = Rule::new(at, act_of(at, act)?).fraction(rate / 1000.0);
    Ok(to.map_or(rule.clone(), |to| rule.to(&format!("@{to}"))))
}

fn phase(text: &str) -> Result<At, String> {
    Ok(match text {
        "connect" => At::Connect,
        "ehlo" => At::Ehlo,
        "mail" => At::Mail,
        "rcpt" => At::Rcpt,
        "data" => At::Data,
        "body" => At::Body,
        "dot" => At::Dot,
        other => return Err(format!("no phase: {other}")),
    })
}

fn act_of(at: At, text: &str) -> Result<Act, String> {
    let millis = |text: &str| text.parse().map(Duration::from_millis).map_err(|_| format!("no milliseconds: {text}"));
    Ok(match text.split_once('=') {
        Some(("stall", time)) => Act::StallFor(millis(time)?),
        Some(("delay", time)) => Act::Delay(millis(time)?),
        Some((other, _)) => return Err(format!("no act: {other}")),
        None => match text {
            "drop" => Act::Drop,
            "garbage" => Act::Garbage,
            "long-line" => Act::LongLine,
            "accept-then-drop" => Act::AcceptThenDrop,
            code if code.len() == 3 && code.parse::<u16>().is_ok() => {
                // A recipient is refused as one that is not there (RFC 3463); everything else as trouble of the system.
                let subject = if at == At::Rcpt { "1.1" } else { "3.0" };
                Act::Reply(format!("{code} {}.{subject} as scripted", &code[..1]))
            }
            other => return Err(format!("no act: {other}")),
        },
    })
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let (seed, log_file) = (args.seed, Some(args.log));
    let script = Script { seed, log_file, keep_data: false, ..Script::with(args.faults) };
    let sink = SmtpSink::start_at(args.listen, script).await?;
    say(&format!("listening {}", sink.address()))?;
    let mut lines = commands();
    while let Some(line) = lines.recv().await {
        match line.split_once(' ').unwrap_or((line.as_str(), "")) {
            ("count", _) => say(&format!("accepted {}", sink.accepted()))?,
            ("rules", rules) => sink
                .set_rules(rules.split_whitespace().map(fault).collect::<Result<_, _>>().map_err(anyhow::Error::msg)?),
            ("refuse", ms) => sink.refuse_for(Duration::from_millis(ms.parse()?)),
            _ => anyhow::bail!("unknown command: {line}"),
        }
    }
    Ok(())
}
