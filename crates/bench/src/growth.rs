//! What a claim costs, of enrollments and of mail, with ten thousand and with a million enrolled, in the second pass and in the
//! fifteenth.

use super::Options;
use super::database::Database;
use super::enroll::{as_f64, enroll};
use super::report::{Goal, Report, median};
use super::stage::{Place, launched, mail, queue_all, store};
use anyhow::Result;
use muster_adapters::postgres::begin_time_lapse;
use muster_domain::model::advance;
use muster_domain::model::ids::CampaignKey;
use muster_domain::ports::advance::{AdvanceStore, Claim};
use muster_domain::ports::delivery::DeliveryStore;
use muster_worker::plan::{PlanOptions, PlanPass};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Batches that are timed at each size; the smallest list has no more.
const BATCHES: usize = 9;
/// Mails claimed at once, as by a worker of fifty sessions, and how often.
const MAILS: usize = 50;
const CLAIMS: usize = 41;
const PASSES: u64 = 15;
/// A wait of one minute passes in a quarter of a second.
const FACTOR: f64 = 240.0;

pub(crate) async fn measure(place: &Place, options: &Options, report: &mut Report) -> Result<()> {
    let mut smallest = None;
    for size in options.sizes() {
        let base = place.base(size).await?;
        let database = place.copy(&base.name).await?;
        let key = launched(place, &database, &base, &json!([mail(2_000)]), &json!({})).await?;
        enroll(&database, key).await?;
        let batch = batches(&database, key).await?;
        queue_all(&database).await?;
        let claim = claims(&database, key).await?;
        place.forget(database).await?;
        place.drop_database(&base.name).await?;
        let (first_batch, first_claim) = *smallest.get_or_insert((batch, claim));
        let said = [
            (format!("a batch of 1,000 of {size} enrolled"), batch, first_batch),
            (format!("a claim of {MAILS} of {size} mails"), claim, first_claim),
        ];
        for (what, cost, first) in said {
            if size == options.sizes()[0] {
                report.alone(&what, cost, "ms", None);
            } else {
                report.cost(&what, cost, ("of the smallest list", first), "ms", Goal::AtMost(1.3, 1.0));
            }
        }
    }
    for between in [Between::Vacuumed, Between::LeftAlone] {
        passes(place, options, report, between).await?;
    }
    Ok(())
}

/// What happens to the dead rows of one pass before the next.
#[derive(Clone, Copy)]
enum Between {
    /// What autovacuum does where passes are minutes or days apart, as they are in life.
    Vacuumed,
    /// Nothing: fifteen passes in half a minute, which autovacuum sleeps through.
    LeftAlone,
}

impl Between {
    fn name(self) -> &'static str {
        match self {
            Self::Vacuumed => "vacuumed between",
            Self::LeftAlone => "nothing vacuumed",
        }
    }
}

/// The median time of a batch, in milliseconds.
async fn batches(database: &Database, key: CampaignKey) -> Result<f64> {
    let store = store(database)?;
    let decide = |due: muster_domain::ports::advance::Due<'_>| {
        advance::advance(due.enrollment, due.sequence, due.facts, due.timezone, due.now)
    };
    let (mut low, mut times) = (None, Vec::new());
    for _ in 0..BATCHES {
        let begun = Instant::now();
        let done = store.advance(Claim { campaign: key, limit: 1_000, low }, &decide).await?;
        times.push(begun.elapsed().as_secs_f64() * 1_000.0);
        low = done.up_to;
    }
    Ok(median(times))
}

/// The median time in which mails are claimed and loaded, in milliseconds.
async fn claims(database: &Database, key: CampaignKey) -> Result<f64> {
    let store = store(database)?;
    let mut times = Vec::new();
    for _ in 0..CLAIMS {
        let begun = Instant::now();
        let claimed = store.claim(key, MAILS).await?;
        times.push(begun.elapsed().as_secs_f64() * 1_000.0);
        anyhow::ensure!(claimed.letters.len() == MAILS, "{} mails were claimed", claimed.letters.len());
    }
    Ok(median(times))
}

/// Everybody waits again and again, in time lapse.
async fn passes(place: &Place, options: &Options, report: &mut Report, between: Between) -> Result<()> {
    let size = options.rows(100_000);
    let base = place.base(size).await?;
    let database = place.copy(&base.name).await?;
    begin_time_lapse(&database.url, FACTOR).await?;
    let wait = json!({"name": "Wait", "stepType": "wait", "waitDuration": {"value": 1, "unit": "minutes"}});
    let mut steps = vec![wait; usize::try_from(PASSES)?];
    steps.push(mail(2_000));
    let key = launched(place, &database, &base, &Value::Array(steps), &json!({})).await?;
    enroll(&database, key).await?;
    let store = Arc::new(store(&database)?);
    let mut pass = PlanPass::new(store.clone(), store.clone(), store.clone(), store, PlanOptions::default());
    let (mut moved, mut busy) = (0, vec![Duration::ZERO; usize::try_from(PASSES)?]);
    while moved < PASSES * size {
        let begun = Instant::now();
        let done = u64::try_from(pass.tick().await?.advanced)?;
        if done == 0 {
            tokio::time::sleep(Duration::from_millis(2)).await;
            continue;
        }
        let of = usize::try_from(moved / size)?.min(busy.len() - 1);
        busy[of] += begun.elapsed();
        moved += done;
        if matches!(between, Between::Vacuumed) && moved / size > (moved - done) / size {
            database.run("VACUUM enrollments").await?;
        }
    }
    place.forget(database).await?;
    place.drop_database(&base.name).await?;
    let cost = |of: usize| busy[of].as_secs_f64() * 1_000.0 * 1_000.0 / as_f64(size);
    let (early, late) = (cost(1), cost(busy.len() - 1));
    report.cost(
        &format!("{size} enrolled, pass {PASSES}, by the thousand, {}", between.name()),
        late,
        ("the second pass", early),
        "ms",
        Goal::AtMost(1.3, 1.0),
    );
    Ok(())
}
