//! Requests to the REST API, against bare actix handlers that run the same queries: no key, no tenant, no checks.

mod bare;
mod load;

use super::Options;
use super::children::Api;
use super::database::Database;
use super::report::{Goal, Report};
use super::stage::{Base, Place, campaign, mail};
use anyhow::{Context, Result};
use bare::Bare;
use load::{Request, load};
use serde_json::{Value, json};
use std::time::Duration;

const SECONDS: Duration = Duration::from_secs(4);
const GOAL: Goal = Goal::AtLeast(0.6, 0.85);
/// Campaigns that a list finds.
const CAMPAIGNS: u64 = 100;
/// Campaigns that are there to be launched, each by one request; more than can be launched in the time.
const TO_LAUNCH: u64 = 1_500;

pub(crate) async fn measure(place: &Place, options: &Options, report: &mut Report) -> Result<()> {
    let base = place.base(10).await?;
    let database = place.copy(&base.name).await?;
    let name = database.text("current_database()").await?;
    let server = place.serve(&name).await?;
    let api = server.api(&base.key);
    let read = drafts(&api, &base, options.rows(CAMPAIGNS)).await?.pop().context("there is a campaign")?;
    api.post(&format!("/api/campaigns/{read}/launch"), &Value::Null).await?;
    let launched = drafts(&api, &base, options.rows(TO_LAUNCH)).await?;
    let bare_launched = drafts(&api, &base, options.rows(TO_LAUNCH)).await?;
    database.run("VACUUM (ANALYZE)").await?;
    let bare = Bare::start(&database.url).await?;

    let pairs = [
        ("get a campaign, launched, with steps and figures", format!("/api/campaigns/{read}"), format!("/get/{read}")),
        ("list 20 campaigns with totals", "/api/campaigns?limit=20".to_owned(), "/list".to_owned()),
    ];
    for (what, ours, theirs) in pairs {
        let ours = load(server.port(), SECONDS, |_| Some(Request::get(&ours, &base.key))).await?;
        let theirs = load(bare.port, SECONDS, |_| Some(Request::get(&theirs, ""))).await?;
        report.rate(what, ours, ("bare handler", theirs), "requests/s", Some(GOAL));
    }
    let body = json!({"name": "Made", "campaignType": "broadcast", "segmentId": base.segment, "fromEmail": "news@example.test",
        "fromName": "News"});
    let ours = load(server.port(), SECONDS, |_| Some(Request::post("/api/campaigns", &base.key, &body))).await?;
    let theirs = load(bare.port, SECONDS, |_| Some(Request::post(&format!("/create/{read}"), "", &body))).await?;
    report.rate("create a campaign", ours, ("bare handler", theirs), "requests/s", Some(GOAL));
    let launch = |ids: &[String], path: &dyn Fn(&str) -> String, key: &str, n: usize| {
        ids.get(n).map(|id| Request::post(&path(id), key, &Value::Null))
    };
    let path = |id: &str| format!("/api/campaigns/{id}/launch");
    let ours = load(server.port(), SECONDS, |n| launch(&launched, &path, &base.key, n)).await?;
    let path = |id: &str| format!("/launch/{id}");
    let theirs = load(bare.port, SECONDS, |n| launch(&bare_launched, &path, "", n)).await?;
    report.rate("launch to 10 contacts", ours, ("bare handler", theirs), "requests/s", Some(GOAL));
    checked(&database, launched.len()).await?;
    bare.stop().await;
    drop(server);
    place.forget(database).await?;
    place.drop_database(&base.name).await
}

/// Campaigns with a step each; their ids.
async fn drafts(api: &Api, base: &Base, count: u64) -> Result<Vec<String>> {
    let mut ids = Vec::new();
    for _ in 0..count {
        ids.push(campaign(api, base, &json!([mail(2_000)]), &json!({})).await?);
    }
    Ok(ids)
}

/// A launch that enrolled nobody would be quick.
async fn checked(database: &Database, ours: usize) -> Result<()> {
    let launched = database.number("SELECT count(*) FROM campaigns WHERE status = 'active'").await?;
    let enrolled = database.number("SELECT count(*) FROM enrollments").await?;
    anyhow::ensure!(
        (enrolled - 10.0 * launched).abs() < 0.5,
        "{launched} launched, {enrolled} enrolled, {ours} to launch"
    );
    Ok(())
}
