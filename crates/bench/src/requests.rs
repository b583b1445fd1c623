//! Requests to the REST API, against bare actix handlers that run the same queries: no key, no tenant, no checks.

mod bare;
mod load;

use super::Options;
use super::children::Api;
use super::database::Database;
use super::report::{Goal, Report, median};
use super::stage::{Base, Place, campaign, mail};
use anyhow::{Context, Result};
use bare::Bare;
use load::{Request, load};
use serde_json::{Value, json};
use std::time::Duration;

const ROUNDS: usize = 3;
/// A round of one of the two, at most.
const SECONDS: Duration = Duration::from_secs(2);
const GOAL: Goal = Goal::AtLeast(0.6, 0.85);
/// Campaigns that a list finds.
const CAMPAIGNS: u64 = 100;
/// Campaigns that are there to be launched, each by one request, a third of them in each round.
const TO_LAUNCH: u64 = 3_000;

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
    let measured = Pair { ours: server.port(), theirs: bare.port };
    for (what, ours, theirs) in pairs {
        let (ours, theirs) = measured
            .by_turns(|_, _| Some(Request::get(&ours, &base.key)), |_, _| Some(Request::get(&theirs, "")))
            .await?;
        report.rate(what, ours, ("bare handler", theirs), "requests/s", Some(GOAL));
    }
    let body = json!({"name": "Made", "campaignType": "broadcast", "segmentId": base.segment, "fromEmail": "news@example.test",
        "fromName": "News"});
    let path = format!("/create/{read}");
    let (ours, theirs) = measured
        .by_turns(
            |_, _| Some(Request::post("/api/campaigns", &base.key, &body)),
            |_, _| Some(Request::post(&path, "", &body)),
        )
        .await?;
    report.rate("create a campaign", ours, ("bare handler", theirs), "requests/s", Some(GOAL));
    let nth = |ids: &[String], round: usize, n: usize| {
        let share = ids.len() / ROUNDS;
        (n < share).then(|| ids.get(round * share + n).cloned()).flatten()
    };
    let launch = |id: String| Request::post(&format!("/api/campaigns/{id}/launch"), &base.key, &Value::Null);
    let launch_bare = |id: String| Request::post(&format!("/launch/{id}"), "", &Value::Null);
    let (ours, theirs) = measured
        .by_turns(
            |round, n| nth(&launched, round, n).map(launch),
            |round, n| nth(&bare_launched, round, n).map(launch_bare),
        )
        .await?;
    report.rate("launch to 10 contacts", ours, ("bare handler", theirs), "requests/s", Some(GOAL));
    checked(&database, launched.len()).await?;
    bare.stop().await;
    drop(server);
    place.forget(database).await?;
    place.drop_database(&base.name).await
}

/// The ports of the program and of the bare handlers.
struct Pair {
    ours: u16,
    theirs: u16,
}

impl Pair {
    /// The medians of requests a second, measured by turns, of what is asked for each round and number.
    async fn by_turns(
        &self,
        ours: impl Fn(usize, usize) -> Option<Request>,
        theirs: impl Fn(usize, usize) -> Option<Request>,
    ) -> Result<(f64, f64)> {
        let (mut our_rates, mut their_rates) = (Vec::new(), Vec::new());
        for round in 0..ROUNDS {
            our_rates.push(load(self.ours, SECONDS, |n| ours(round, n)).await?);
            their_rates.push(load(self.theirs, SECONDS, |n| theirs(round, n)).await?);
        }
        Ok((median(our_rates), median(their_rates)))
    }
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
