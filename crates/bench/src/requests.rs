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
/// A round of one of them, at most.
const SECONDS: Duration = Duration::from_secs(2);
/// Statements that need not wait for each other are sent together, as the program sends them.
const IN_FLIGHTS: &str = "the same in flights";
const GOAL: Goal = Goal::AtLeast(0.6, 0.85);
/// Campaigns that are there before, launched. So many that nobody plans for empty tables, which would be read whole, and be
/// until the next `ANALYZE`, while thousands of launches fill them within seconds.
const CAMPAIGNS: u64 = 500;
/// Campaigns that are there to be launched, each by one request, a third of them in each round.
const TO_LAUNCH: u64 = 3_000;

pub(crate) async fn measure(place: &Place, options: &Options, report: &mut Report) -> Result<()> {
    let base = place.base(10).await?;
    let database = place.copy(&base.name).await?;
    let name = database.text("current_database()").await?;
    let server = place.serve(&name).await?;
    let api = server.api(&base.key);
    let before = drafts(&api, &base, options.rows(CAMPAIGNS)).await?;
    for id in &before {
        api.post(&format!("/api/campaigns/{id}/launch"), &Value::Null).await?;
    }
    let read = before.last().context("there is a campaign")?;
    let launched = drafts(&api, &base, options.rows(TO_LAUNCH)).await?;
    let bare_launched = drafts(&api, &base, options.rows(TO_LAUNCH)).await?;
    let flown = drafts(&api, &base, options.rows(TO_LAUNCH)).await?;
    let launched_alone = drafts(&api, &base, options.rows(TO_LAUNCH)).await?;
    database.run("VACUUM (ANALYZE)").await?;
    let bare = Bare::start(&database.url).await?;
    let ports = Ports { own: server.port(), bare: bare.port };
    reading(ports, &base, read, report).await?;
    creating(ports, &base, read, report).await?;
    launching(ports, &base, [&launched, &bare_launched, &flown, &launched_alone], report).await?;
    checked(&database, launched.len()).await?;
    bare.stop().await;
    drop(server);
    place.forget(database).await?;
    place.drop_database(&base.name).await
}

/// The ports of the program and of the bare handlers.
#[derive(Clone, Copy)]
struct Ports {
    own: u16,
    bare: u16,
}

async fn reading(ports: Ports, base: &Base, read: &str, report: &mut Report) -> Result<()> {
    let [path, bare, flown] = ["/api/campaigns/", "/get/", "/get-in-flights/"].map(|path| format!("{path}{read}"));
    let [ours, bare, flown] = by_turns([
        (ports.own, &|_, _| Some(Request::get(&path, &base.key))),
        (ports.bare, &|_, _| Some(Request::get(&bare, ""))),
        (ports.bare, &|_, _| Some(Request::get(&flown, ""))),
    ])
    .await?;
    let what = "get a campaign, launched, with steps and figures";
    report.rate(what, ours, ("bare handler", bare), "requests/s", Some(GOAL));
    report.rate(&format!("{what}, again"), ours, (IN_FLIGHTS, flown), "requests/s", None);
    let [ours, bare] = by_turns([
        (ports.own, &|_, _| Some(Request::get("/api/campaigns?limit=20", &base.key))),
        (ports.bare, &|_, _| Some(Request::get("/list", ""))),
    ])
    .await?;
    report.rate("list 20 campaigns with totals", ours, ("bare handler", bare), "requests/s", Some(GOAL));
    Ok(())
}

async fn creating(ports: Ports, base: &Base, read: &str, report: &mut Report) -> Result<()> {
    let body = json!({"name": "Made", "campaignType": "broadcast", "segmentId": base.segment, "fromEmail": "news@example.test",
        "fromName": "News"});
    let alone = format!("/create-alone/{read}");
    let rates = by_turns([
        (ports.own, &|_, _| Some(Request::post("/api/campaigns", &base.key, &body))),
        (ports.bare, &|_, _| Some(Request::post("/create", "", &body))),
        (ports.bare, &|_, _| Some(Request::post("/create-in-flights", "", &body))),
        (ports.bare, &|_, _| Some(Request::post(&alone, "", &body))),
    ])
    .await?;
    of_writing(report, "create a campaign", rates);
    Ok(())
}

/// Of each list of campaigns a third is launched in each round.
async fn launching(ports: Ports, base: &Base, lists: [&[String]; 4], report: &mut Report) -> Result<()> {
    let [ours, bare, flown, alone] = lists;
    let nth = |ids: &[String], round: usize, n: usize| {
        let share = ids.len() / ROUNDS;
        (n < share).then(|| ids.get(round * share + n).cloned()).flatten()
    };
    let told = |path: &str, key: &str, id: String| Request::post(&path.replace("{id}", &id), key, &Value::Null);
    let rates = by_turns([
        (ports.own, &|round, n| Some(told("/api/campaigns/{id}/launch", &base.key, nth(ours, round, n)?))),
        (ports.bare, &|round, n| Some(told("/launch/{id}", "", nth(bare, round, n)?))),
        (ports.bare, &|round, n| Some(told("/launch-in-flights/{id}", "", nth(flown, round, n)?))),
        (ports.bare, &|round, n| Some(told("/launch-alone/{id}", "", nth(alone, round, n)?))),
    ])
    .await?;
    of_writing(report, "launch to 10 contacts", rates);
    Ok(())
}

/// What is held to a goal is compared with a handler that asks and writes the same, statement by statement; how it compares
/// with one that sends them in the program's flights, and with the writes alone, of values that are told, is shown beside it.
fn of_writing(report: &mut Report, what: &str, [ours, bare, flown, alone]: [f64; 4]) {
    report.rate(what, ours, ("bare handler", bare), "requests/s", Some(GOAL));
    let again = format!("{what}, again");
    report.rate(&again, ours, (IN_FLIGHTS, flown), "requests/s", None);
    report.rate(&again, ours, ("its writes alone", alone), "requests/s", None);
}

/// What is asked of a port for each round and number.
type Asked<'a> = (u16, &'a dyn Fn(usize, usize) -> Option<Request>);

/// The medians of requests a second, measured by turns, each round beginning with another.
async fn by_turns<const N: usize>(asked: [Asked<'_>; N]) -> Result<[f64; N]> {
    let mut rates = [const { Vec::new() }; N];
    for round in 0..ROUNDS {
        for turn in 0..N {
            let which = (round + turn) % N;
            let (port, request) = asked[which];
            rates[which].push(load(port, SECONDS, |n| request(round, n)).await?);
        }
    }
    Ok(rates.map(median))
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
