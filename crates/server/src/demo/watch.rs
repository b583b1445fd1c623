//! Watching a campaign from outside: a bar for each step, and whether anything moves at all.

use super::books::Books;
use super::client::Client;
use crate::progress::{Progress, Stage};
use anyhow::bail;
use serde::Deserialize;
use std::time::{Duration, Instant};

/// How often the books are asked for.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(100);

/// When nothing has moved for so long, nothing will.
const STUCK_AFTER: Duration = Duration::from_mins(1);

/// What the API tells of a campaign, as far as it is watched.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CampaignState {
    pub(super) status: String,
    pub(super) launched_at: Option<chrono::DateTime<chrono::Utc>>,
    pub(super) completed_at: Option<chrono::DateTime<chrono::Utc>>,
    pub(super) enrollment: Option<Enrolling>,
}

/// How far enrolling has come.
#[derive(Debug, Deserialize)]
pub(super) struct Enrolling {
    pub(super) state: String,
    pub(super) enrolled: u64,
    pub(super) total: u64,
}

/// `GET /api/campaigns/{id}`.
#[derive(Debug, Deserialize)]
struct Detail {
    campaign: CampaignState,
}

/// A campaign and the bars that show it.
pub(super) struct Watch<'a> {
    client: &'a Client,
    id: String,
    stages: Vec<Stage>,
    seen: Vec<u64>,
    moved: Instant,
}

impl<'a> Watch<'a> {
    /// Watches the campaign of that id.
    pub(super) fn new(client: &'a Client, id: &str) -> Self {
        Self { client, id: id.to_owned(), stages: Vec::new(), seen: Vec::new(), moved: Instant::now() }
    }

    /// Shows a bar for each step; `entering` says how many contacts should come through it.
    pub(super) async fn show_steps(&mut self, progress: &Progress, entering: &[u64]) -> anyhow::Result<()> {
        let books = self.books().await?;
        let stage = |(step, total): (&super::books::StepBooks, &u64)| {
            let unit = if step.step_type == "email" { "mails" } else { "contacts" };
            progress.stage(&step.name, *total, unit)
        };
        self.stages = books.steps.iter().zip(entering).map(stage).collect();
        Ok(())
    }

    /// The campaign as it is now.
    pub(super) async fn campaign(&self) -> anyhow::Result<CampaignState> {
        Ok(self.client.get::<Detail>(&format!("/campaigns/{}", self.id)).await?.campaign)
    }

    /// The books as they are now.
    pub(super) async fn books(&self) -> anyhow::Result<Books> {
        self.client.get(&format!("/campaigns/{}/balance", self.id)).await
    }

    /// One look at the books, shown.
    ///
    /// # Errors
    /// Also when nothing has moved for a minute.
    pub(super) async fn look(&mut self) -> anyhow::Result<Books> {
        let books = self.books().await?;
        let done: Vec<u64> = books.steps.iter().map(super::books::StepBooks::done).collect();
        for (stage, done) in self.stages.iter().zip(&done) {
            stage.set(*done);
        }
        if done != self.seen {
            self.seen = done;
            self.moved = Instant::now();
        }
        if self.moved.elapsed() > STUCK_AFTER {
            bail!("nothing has moved for {} seconds; the log tells why", STUCK_AFTER.as_secs());
        }
        Ok(books)
    }

    /// Writes a word beside every bar that is not full.
    pub(super) fn note(&self, word: &str) {
        for stage in &self.stages {
            stage.note(word);
        }
    }

    /// Leaves the bars as they are.
    pub(super) fn finish(&mut self) {
        self.stages.drain(..).for_each(Stage::finish);
    }
}
