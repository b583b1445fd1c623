//! From the queue to the record, over SMTP: claim, render, compose, hand over to Postfix's `smtp-sink`, write down;
//! against Postfix's own `smtp-source`, which does nothing but hand over, and against a program that does nothing but the
//! delivery protocol.

use super::children::{Child, free_port};
use super::database::Database;
use super::enroll::enroll;
use super::report::{Goal, Report, median};
use super::stage::{Base, Place, launched, mail, queue_all};
use super::{Options, peers, protocol};
use anyhow::{Context, Result};
use muster_domain::model::ids::CampaignKey;
use serde_json::{Value, json};
use std::process::Command;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;

const ROUNDS: usize = 3;
/// Mails are counted for so long at most, in each round.
const SECONDS: f64 = 4.0;
const SOURCE_SECONDS: f64 = 1.5;
const ALONE_FOR: Duration = Duration::from_secs(2);

pub(crate) async fn measure(place: &Place, options: &Options, report: &mut Report) -> Result<()> {
    let sink = match Sink::start(place).await {
        Ok(sink) => sink,
        Err(error) => {
            report.missing("everything", &format!("{error:#}"));
            return Ok(());
        }
    };
    let base = place.base(options.rows(60_000)).await?;
    for bytes in [2_000, 10_000] {
        let mails = Mails::queued(place, &base, bytes).await?;
        for sessions in [1, 10, 50] {
            compare(place, &mails, &sink, sessions, report).await?;
        }
        for (_, (database, _)) in mails.kinds {
            place.drop_database(&database).await?;
        }
    }
    place.drop_database(&base.name).await
}

/// Mails of one size, each kind queued in a database of its own.
struct Mails {
    bytes: usize,
    kinds: [(&'static str, (String, CampaignKey)); 3],
}

impl Mails {
    /// As they are, and with five links and a pixel, which are rewritten or left as they are.
    async fn queued(place: &Place, base: &Base, bytes: usize) -> Result<Self> {
        let plain = mail(bytes);
        let mut linked = plain.clone();
        let text = plain["emailContent"].as_str().context("a mail has content")?;
        let links = [1, 2, 3, 4, 5].map(|n| format!("<p><a href=\"https://example.test/page/{n}\">More</a></p>"));
        linked["emailContent"] = format!("{text}{}", links.join("\n")).into();
        let tracking = |on: bool| json!({"trackOpens": on, "trackClicks": on});
        let kinds = [
            ("", queued(place, base, &json!([plain]), &json!({})).await?),
            (" with 5 links, tracking off", queued(place, base, &json!([linked]), &tracking(false)).await?),
            (" with 5 links, tracking on", queued(place, base, &json!([linked]), &tracking(true)).await?),
        ];
        Ok(Self { bytes, kinds })
    }
}

/// Postfix's source and each kind of mail, by turns.
async fn compare(place: &Place, mails: &Mails, sink: &Sink, sessions: usize, report: &mut Report) -> Result<()> {
    let (mut limits, mut bare, mut ours) = (Vec::new(), Vec::new(), [const { Vec::new() }; 3]);
    for _ in 0..ROUNDS {
        limits.push(source(sink, sessions, mails.bytes).await?);
        bare.push(alone(place, &mails.kinds[0].1, sink, (sessions, mails.bytes)).await?);
        for ((_, queued), ours) in mails.kinds.iter().zip(&mut ours) {
            ours.push(sent(place, queued, sink, sessions).await?);
        }
    }
    let limit = median(limits);
    let goal = (sessions > 1).then_some(Goal::AtLeast(0.25, 0.6));
    let ours = ours.map(median);
    let size = format!("{} KB", mails.bytes / 1_000);
    for ((kind, _), ours) in mails.kinds.iter().zip(ours) {
        report.rate(&format!("{size}{kind}, {sessions} sessions"), ours, ("smtp-source", limit), "mails/s", goal);
    }
    let bare = median(bare);
    report.rate(
        &format!("{size}, {sessions} sessions, the protocol alone"),
        bare,
        ("smtp-source", limit),
        "mails/s",
        None,
    );
    report.rate(&format!("{size}, {sessions} sessions, again"), ours[0], ("the protocol alone", bare), "mails/s", None);
    Ok(())
}

/// A database in which a mail to everybody is queued.
async fn queued(place: &Place, base: &Base, steps: &Value, settings: &Value) -> Result<(String, CampaignKey)> {
    let database = place.copy(&base.name).await?;
    let key = launched(place, &database, base, steps, settings).await?;
    enroll(&database, key).await?;
    queue_all(&database).await?;
    Ok((database.text("current_database()").await?, key))
}

/// Mails a second that one `muster work` takes out of the queue, to the record.
async fn sent(place: &Place, of: &(String, CampaignKey), sink: &Sink, sessions: usize) -> Result<f64> {
    let database = place.copy(&of.0).await?;
    let name = database.text("current_database()").await?;
    let total = database.number("SELECT count(*) FROM outbox").await?;
    let worker = place.work(&name, &format!("smtp://127.0.0.1:{}?sessions={sessions}&tls=never", sink.port))?;
    let result = steady_rate(&database, total).await;
    drop(worker);
    place.forget(database).await?;
    result
}

/// The same by a program that does nothing else: see [`protocol`].
async fn alone(place: &Place, of: &(String, CampaignKey), sink: &Sink, what: (usize, usize)) -> Result<f64> {
    let database = place.copy(&of.0).await?;
    let rate = protocol::alone(&database, of.1, sink.port, what, ALONE_FOR).await;
    place.forget(database).await?;
    rate
}

/// From the first mails in the books to the last, or to the end of the time.
async fn steady_rate(database: &Database, total: f64) -> Result<f64> {
    let begun = Instant::now();
    let mut first: Option<(f64, Instant)> = None;
    loop {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let sent = database.number("SELECT coalesce(sum(sent), 0) FROM step_counters").await?;
        let now = Instant::now();
        match first {
            None if sent > 0.0 => first = Some((sent, now)),
            None => anyhow::ensure!(begun.elapsed().as_secs() < 60, "nothing is sent"),
            Some((before, since)) if sent >= total || since.elapsed().as_secs_f64() >= SECONDS => {
                return Ok((sent - before) / (now - since).as_secs_f64());
            }
            Some(_) => {}
        }
    }
}

/// Mails a second from `smtp-source`, which keeps its connections.
async fn source(sink: &Sink, sessions: usize, bytes: usize) -> Result<f64> {
    let first = source_for(sink, sessions, bytes, 2_000).await?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "some thousands")]
    let count = (first * SOURCE_SECONDS) as u64;
    source_for(sink, sessions, bytes, count.max(2_000)).await
}

async fn source_for(sink: &Sink, sessions: usize, bytes: usize, count: u64) -> Result<f64> {
    let mut command = Command::new(peers::postfix("smtp-source")?);
    let address = format!("127.0.0.1:{}", sink.port);
    command.args(["-d", "-s", &sessions.to_string(), "-m", &count.to_string(), "-l", &bytes.to_string()]);
    command.args(["-f", "news@example.test", "-t", "reader@example.test", &address]);
    let begun = Instant::now();
    let ended = tokio::task::spawn_blocking(move || command.status()).await??;
    anyhow::ensure!(ended.success(), "smtp-source failed");
    Ok(super::enroll::rate(count, begun))
}

/// Postfix's sink, on a port of its own.
pub(crate) struct Sink {
    pub(crate) port: u16,
    _process: Child,
}

impl Sink {
    pub(crate) async fn start(place: &Place) -> Result<Self> {
        let port = free_port()?;
        let mut command = Command::new(peers::postfix("smtp-sink")?);
        // As root it wants to be told who to be.
        if is_root() {
            command.args(["-u", "nobody"]);
        }
        command.args([&format!("127.0.0.1:{port}"), "256"]);
        let process = Child::start(command, port, &place.folder().join("smtp-sink.log"))?;
        for _ in 0..200 {
            if TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
                return Ok(Self { port, _process: process });
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        anyhow::bail!("smtp-sink does not listen")
    }
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}
