//! The demonstration itself, told through the REST API: from a list of contacts to books that balance.

use super::books::Books;
use super::client::Client;
use super::drip::{self, Contact};
use super::import::import;
use super::verify::verify;
use super::watch::{CampaignState, LOOK_EVERY, Watch};
use crate::catcher::Catcher;
use crate::output::thousands;
use crate::progress::Progress;
use anyhow::{bail, ensure};
use chrono::TimeDelta;
use serde::Deserialize;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long it stays paused, to see that nothing begins.
const PAUSED_FOR: Duration = Duration::from_millis(1500);

/// How it ended.
pub(super) struct Outcome {
    pub(super) books: Books,
    /// What is wrong besides the books; nothing, if all is well.
    pub(super) wrong: Vec<String>,
    /// What the catcher says, if mail was caught.
    pub(super) caught: Option<String>,
    /// From launch to completion by the clock, and in business time.
    pub(super) real: Duration,
    pub(super) business: Option<TimeDelta>,
}

/// What creating answers, as far as it matters here.
#[derive(Deserialize)]
struct Made {
    id: String,
}

#[derive(Deserialize)]
struct Launched {
    campaign: CampaignState,
    enrolled: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Paused {
    campaign: CampaignState,
    in_flight: u64,
}

#[derive(Deserialize)]
struct EnrollmentRow {
    status: String,
}

/// Tells it. `catcher` is `None` when mail goes to a real server.
pub(super) async fn tell(client: &Client, csv: Option<&Path>, catcher: Option<&Catcher>) -> anyhow::Result<Outcome> {
    let progress = Progress::on_stdout();
    import_contacts(client, csv, &progress).await?;
    let segment: Made = client.post("/segments", &drip::segment()).await?;
    let audience: Vec<Contact> = client.list(&format!("/segments/{}/contacts", segment.id)).await?;
    ensure!(!audience.is_empty(), "no contact of that file can be mailed");
    progress.say(&format!("{} of them are in the segment", thousands(audience.len() as u64)));

    let campaign: Made = client.post("/campaigns", &drip::campaign(&segment.id)).await?;
    let path = format!("/campaigns/{}", campaign.id);
    client.put::<Value>(&format!("{path}/steps"), &drip::steps()).await?;
    let mut watch = Watch::new(client, &campaign.id);
    let begun = Instant::now();
    launch(client, &path, &watch, &progress, audience.len() as u64).await?;
    watch.show_steps(&progress, &drip::entering(&audience)).await?;

    let mut teller = Teller { client, path: &path, catcher, progress: &progress };
    let mut wrong = teller.pause_on_the_way(&mut watch, audience.len() as u64).await?;
    let ended = teller.await_completion(&mut watch).await?;
    let real = begun.elapsed();
    let books = watch.look().await?;
    watch.finish();

    let verdict = catcher.map(|catcher| verify(&audience, catcher.mailbox()));
    let caught = verdict.as_ref().map(|verdict| verdict.found.clone());
    wrong.extend(verdict.into_iter().flat_map(|verdict| verdict.wrong));
    let expected = audience.len() as u64 * 3;
    if books.sent() != expected {
        wrong.push(format!("{} mails were sent instead of {}", thousands(books.sent()), thousands(expected)));
    }
    let business = ended.launched_at.zip(ended.completed_at).map(|(from, to)| to - from);
    Ok(Outcome { books, wrong, caught, real, business })
}

async fn import_contacts(client: &Client, csv: Option<&Path>, progress: &Progress) -> anyhow::Result<()> {
    let stage = Arc::new(progress.stage("Import", 0, "lines"));
    let imported = import(client, csv, Arc::clone(&stage)).await?;
    stage.set_total(stage.done());
    if let Some(stage) = Arc::into_inner(stage) {
        stage.finish();
    }
    let [created, updated, skipped] = [imported.created, imported.updated, imported.skipped].map(thousands);
    let mut line = format!("{created} contacts imported");
    if imported.updated + imported.skipped > 0 {
        line = format!("{line}; {updated} rows more changed one of them, {skipped} were left out");
    }
    progress.say(&line);
    if let Some(problem) = imported.first_problem() {
        progress.say(&format!("the first that was left out is {problem}"));
    }
    Ok(())
}

async fn launch(client: &Client, path: &str, watch: &Watch<'_>, progress: &Progress, total: u64) -> anyhow::Result<()> {
    let stage = progress.stage("Enroll", total, "contacts");
    let launched: Launched = client.act(&format!("{path}/launch")).await?;
    stage.set(launched.enrolled);
    ensure!(launched.campaign.status == "active", "the launched campaign is {}", launched.campaign.status);
    let mut enrolling = launched.campaign.enrollment;
    while let Some(state) = enrolling.take().filter(|enrolling| enrolling.state == "running") {
        stage.set_total(state.total);
        stage.set(state.enrolled);
        tokio::time::sleep(LOOK_EVERY).await;
        enrolling = watch.campaign().await?.enrollment;
    }
    stage.set(total);
    stage.finish();
    Ok(())
}

/// What the rest of the story needs.
struct Teller<'a> {
    client: &'a Client,
    path: &'a str,
    catcher: Option<&'a Catcher>,
    progress: &'a Progress,
}

impl Teller<'_> {
    /// Pauses when a quarter of the first mails are out, sees that nothing begins, and resumes. What it saw against it.
    async fn pause_on_the_way(&mut self, watch: &mut Watch<'_>, audience: u64) -> anyhow::Result<Vec<String>> {
        while self.sent(watch).await? < audience.div_ceil(4) {
            tokio::time::sleep(LOOK_EVERY / 10).await;
        }
        let paused: Paused = self.client.act(&format!("{}/pause", self.path)).await?;
        let before = self.sent(watch).await?;
        let asked_at = Instant::now();
        let mut wrong = Vec::new();
        if paused.campaign.status != "paused" {
            wrong.push(format!("the paused campaign is {}", paused.campaign.status));
        }
        watch.note("paused");
        while asked_at.elapsed() < PAUSED_FOR {
            watch.look().await?;
            tokio::time::sleep(LOOK_EVERY).await;
        }
        let after = self.sent(watch).await?;
        if after > before + paused.in_flight {
            wrong.push(format!("{} mails went out while it was paused", after - before));
        }
        let open: Rows = self.client.get(&format!("{}/enrollments?limit=100&status=paused", self.path)).await?;
        if open.data.is_empty() || open.data.iter().any(|row| row.status != "paused") {
            wrong.push("the contacts on their way do not show as paused".to_owned());
        }
        let resumed: Resumed = self.client.post(&format!("{}/resume", self.path), &json!({})).await?;
        if resumed.campaign.status != "active" {
            wrong.push(format!("the resumed campaign is {}", resumed.campaign.status));
        }
        watch.note("");
        self.progress.say(&format!(
            "paused at {} mails for {:.1} s: {}; resumed",
            thousands(before),
            PAUSED_FOR.as_secs_f64(),
            if after == before { "none went out".to_owned() } else { format!("{} went out", after - before) }
        ));
        Ok(wrong)
    }

    async fn await_completion(&mut self, watch: &mut Watch<'_>) -> anyhow::Result<CampaignState> {
        loop {
            watch.look().await?;
            let campaign = watch.campaign().await?;
            match campaign.status.as_str() {
                "completed" => return Ok(campaign),
                "active" => tokio::time::sleep(LOOK_EVERY).await,
                other => bail!("the campaign is {other} all of a sudden"),
            }
        }
    }

    /// Mails out: as the catcher has them, else as the books do.
    async fn sent(&self, watch: &mut Watch<'_>) -> anyhow::Result<u64> {
        match self.catcher {
            Some(catcher) => {
                let received = catcher.stats().received;
                if received == 0 {
                    watch.look().await?;
                }
                Ok(received)
            }
            None => Ok(watch.look().await?.sent()),
        }
    }
}

#[derive(Deserialize)]
struct Rows {
    data: Vec<EnrollmentRow>,
}

#[derive(Deserialize)]
struct Resumed {
    campaign: CampaignState,
}
