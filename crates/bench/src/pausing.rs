//! How long a pause takes to be answered: with a million enrolled and nothing under way, and under full load.

use super::Options;
use super::chain::Sink;
use super::children::Api;
use super::enroll::enroll;
use super::report::{Goal, Report, median};
use super::stage::{Place, launched, mail};
use anyhow::Result;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const IDLE: usize = 51;
const LOADED: usize = 40;

pub(crate) async fn measure(place: &Place, options: &Options, report: &mut Report) -> Result<()> {
    let size = options.rows(1_000_000);
    let base = place.base(size).await?;
    let database = place.copy(&base.name).await?;
    let key = launched(place, &database, &base, &json!([mail(2_000)]), &json!({})).await?;
    enroll(&database, key).await?;
    let name = database.text("current_database()").await?;
    let id = database.text("SELECT id FROM campaigns").await?;
    let server = place.serve(&name).await?;
    let api = server.api(&base.key);
    let idle = median(pauses(&api, &id, IDLE, Duration::ZERO).await?);
    report.alone(&format!("{size} enrolled, nothing under way"), idle, "ms", Some(Goal::AtMost(10.0, 1.0)));
    match Sink::start(place).await {
        Ok(sink) => {
            let _worker = place.work(&name, &format!("smtp://127.0.0.1:{}?sessions=10&tls=never", sink.port))?;
            let mut loaded = pauses(&api, &id, LOADED, Duration::from_millis(200)).await?;
            loaded.sort_by(f64::total_cmp);
            report.alone(&format!("sending at 10 sessions, median of {LOADED}"), median(loaded.clone()), "ms", None);
            let slowest = loaded.last().copied().unwrap_or_default();
            report.alone(
                &format!("sending at 10 sessions, slowest of {LOADED}"),
                slowest,
                "ms",
                Some(Goal::AtMost(2_000.0, 300.0)),
            );
        }
        Err(error) => report.missing("under load", &format!("{error:#}")),
    }
    drop(server);
    place.forget(database).await?;
    place.drop_database(&base.name).await
}

/// Pauses and resumes so many times; how long each pause took, in milliseconds.
async fn pauses(api: &Api, id: &str, times: usize, between: Duration) -> Result<Vec<f64>> {
    let mut took = Vec::new();
    for _ in 0..times {
        tokio::time::sleep(between).await;
        let begun = Instant::now();
        let said = api.post(&format!("/api/campaigns/{id}/pause"), &Value::Null).await?;
        took.push(begun.elapsed().as_secs_f64() * 1_000.0);
        anyhow::ensure!(said["inFlight"] == 0, "{said}");
        api.post(&format!("/api/campaigns/{id}/resume"), &Value::Null).await?;
    }
    Ok(took)
}
