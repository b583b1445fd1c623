//! Moving everybody on by one step, against what one statement can do, against one row at a time, and against job queues.

use super::database::{Database, connect};
use super::enroll::{enroll, rate};
use super::report::{Goal, Report, median};
use super::stage::{Base, Place, launched, mail, store};
use super::{Options, peers};
use anyhow::Result;
use futures::future::try_join_all;
use muster_domain::model::ids::CampaignKey;
use muster_worker::plan::{PlanOptions, PlanPass};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

const REPETITIONS: usize = 3;
const ROW_AT_A_TIME_FOR: Duration = Duration::from_secs(5);

pub(crate) async fn measure(place: &Place, options: &Options, report: &mut Report) -> Result<()> {
    let size = options.rows(200_000);
    let base = place.base(size).await?;
    let (ready, key) = ready(place, &base).await?;

    let mut ceiling = Vec::new();
    for _ in 0..REPETITIONS {
        let database = place.copy(&ready).await?;
        let begun = Instant::now();
        let moved = database.execute(&one_statement(key), &[]).await;
        ceiling.push(rate(size, begun));
        anyhow::ensure!(moved? == size, "the statement did not move everybody");
        place.forget(database).await?;
    }
    let ceiling = median(ceiling);
    let mut best: f64 = 0.0;
    for workers in [1, 2, 4] {
        let mut ours = Vec::new();
        for _ in 0..REPETITIONS {
            let database = place.copy(&ready).await?;
            ours.push(advance(&database, workers, size).await?);
            place.forget(database).await?;
        }
        let ours = median(ours);
        best = best.max(ours);
        let goal = (workers == 2).then_some(Goal::AtLeast(0.35, 0.6));
        report.rate(&format!("{workers} workers"), ours, ("one SQL statement, one session", ceiling), "steps/s", goal);
    }
    let database = place.copy(&ready).await?;
    let row = row_at_a_time(&database, key).await?;
    place.forget(database).await?;
    report.rate("the best of these", best, ("a row at a time, 2 sessions", row), "steps/s", None);
    for (name, script) in peers::QUEUES {
        let database = place.empty().await?;
        match peers::queue(place, &database, script, size).await {
            Ok(peer) => {
                report.rate(
                    "the best of these",
                    best,
                    (&format!("{name}, empty jobs"), peer),
                    "steps/s",
                    Some(Goal::AtLeast(2.0, 4.0)),
                );
            }
            Err(error) => report.missing(&format!("against {name}"), &format!("{error:#}")),
        }
        place.forget(database).await?;
    }
    place.drop_database(&ready).await?;
    place.drop_database(&base.name).await
}

/// A database in which everybody is enrolled and due, to be copied.
async fn ready(place: &Place, base: &Base) -> Result<(String, CampaignKey)> {
    let database = place.copy(&base.name).await?;
    let key = launched(place, &database, base, &json!([mail(2_000)]), &json!({})).await?;
    enroll(&database, key).await?;
    database.run("VACUUM (ANALYZE) enrollments").await?;
    Ok((database.text("current_database()").await?, key))
}

/// So many workers, each with a pool of its own, until everybody is moved on; enrollments a second.
async fn advance(database: &Database, workers: usize, size: u64) -> Result<f64> {
    let done = Arc::new(AtomicU64::new(0));
    let mut passes = Vec::new();
    for _ in 0..workers {
        let store = Arc::new(store(database)?);
        passes.push(PlanPass::new(store.clone(), store.clone(), store.clone(), store, PlanOptions::default()));
    }
    let begun = Instant::now();
    let running = passes.into_iter().map(|mut pass| {
        let done = Arc::clone(&done);
        tokio::spawn(async move {
            while done.load(Ordering::Relaxed) < size {
                let report = pass.tick().await?;
                done.fetch_add(u64::try_from(report.queued)?, Ordering::Relaxed);
            }
            anyhow::Ok(())
        })
    });
    for outcome in try_join_all(running).await? {
        outcome?;
    }
    Ok(rate(size, begun))
}

/// The same rows of the same tables, written by one statement that decides nothing.
fn one_statement(key: CampaignKey) -> String {
    let (tenant, campaign) = (key.tenant.0, key.campaign.0);
    format!(
        "WITH due AS MATERIALIZED (SELECT contact_no FROM enrollments WHERE tenant_no = {tenant} AND campaign_no = {campaign} \
             AND due_at <= now() ORDER BY due_at FOR UPDATE SKIP LOCKED), \
         moved AS (UPDATE enrollments e SET status = 'd', pass = e.pass + 1, due_at = NULL FROM due \
             WHERE e.tenant_no = {tenant} AND e.campaign_no = {campaign} AND e.contact_no = due.contact_no \
             RETURNING e.contact_no, e.step, e.pass, e.version), \
         queued AS (INSERT INTO outbox (tenant_no, campaign_no, contact_no, step, pass, due_at, queued_at, version, next_step) \
             SELECT {tenant}, {campaign}, contact_no, step, pass, now(), now(), version, 0 FROM moved), \
         told AS (INSERT INTO enrollment_history (tenant_no, campaign_no, contact_no, at, version, path) \
             SELECT {tenant}, {campaign}, contact_no, now(), version, '{{1,1}}' FROM moved) \
         SELECT contact_no FROM moved"
    )
}

/// As a first sketch would do it: claim one, write it, commit. Two sessions, for some seconds; rows a second.
async fn row_at_a_time(database: &Database, key: CampaignKey) -> Result<f64> {
    let begun = Instant::now();
    let sessions = [(); 2].map(|()| async {
        let client = connect(&database.url).await?;
        let (tenant, campaign) = (key.tenant.0, key.campaign.0);
        let claim = client
            .prepare(
                "SELECT contact_no, version, step FROM enrollments WHERE tenant_no = $1 AND campaign_no = $2 AND due_at <= now() \
                 ORDER BY due_at LIMIT 1 FOR UPDATE SKIP LOCKED",
            )
            .await?;
        let moved = client
            .prepare(
                "UPDATE enrollments SET status = 'd', pass = pass + 1, due_at = NULL \
                 WHERE tenant_no = $1 AND campaign_no = $2 AND contact_no = $3",
            )
            .await?;
        let queued = client
            .prepare(
                "INSERT INTO outbox (tenant_no, campaign_no, contact_no, step, pass, due_at, queued_at, version, next_step) \
                 VALUES ($1, $2, $3, $4, 1, now(), now(), $5, 0)",
            )
            .await?;
        let told = client
            .prepare(
                "INSERT INTO enrollment_history (tenant_no, campaign_no, contact_no, at, version, path) \
                 VALUES ($1, $2, $3, now(), $4, '{1,1}')",
            )
            .await?;
        let mut done = 0_u64;
        while begun.elapsed() < ROW_AT_A_TIME_FOR {
            client.batch_execute("BEGIN").await?;
            let Some(row) = client.query_opt(&claim, &[&tenant, &campaign]).await? else { break };
            let (contact, version, step): (i64, i32, i16) = (row.get(0), row.get(1), row.get(2));
            client.execute(&moved, &[&tenant, &campaign, &contact]).await?;
            client.execute(&queued, &[&tenant, &campaign, &contact, &step, &version]).await?;
            client.execute(&told, &[&tenant, &campaign, &contact, &version]).await?;
            client.batch_execute("COMMIT").await?;
            done += 1;
        }
        anyhow::Ok(done)
    });
    let done: u64 = try_join_all(sessions).await?.into_iter().sum();
    Ok(rate(done, begun))
}
