//! Taking in opens, each kept and counted once whatever is repeated, against a bare insert of the same rows; and what
//! reading the figures costs with few mails and with many.

use super::Options;
use super::database::Database;
use super::enroll::rate;
use super::report::{Goal, Report, median};
use super::stage::{OF, Place, launched, mail, store};
use anyhow::{Context, Result};
use chrono::{DateTime, Utc};
use muster_domain::model::delivery::DeliveryKey;
use muster_domain::model::events::{EngagementEvent, EventKind};
use muster_domain::model::ids::{CampaignKey, ContactNo, Pass, StepNo};
use muster_domain::ports::store::{StoreError, in_tx};
use serde_json::json;
use std::time::Instant;
use uuid::Uuid;

const AT_ONCE: usize = 1_000;
const READS: usize = 41;

pub(crate) async fn measure(place: &Place, options: &Options, report: &mut Report) -> Result<()> {
    let size = options.rows(100_000);
    let base = place.base(size).await?;
    let database = place.copy(&base.name).await?;
    let key = launched(place, &database, &base, &json!([mail(2_000)]), &json!({})).await?;
    sent_already(&database, key).await?;
    let few = reading(place, &database, &base.key, key).await?;
    let events = opens(&database, key).await?;
    let store = store(&database)?;
    let begun = Instant::now();
    for batch in events.chunks(AT_ONCE) {
        in_tx(&store, OF, async |tx| -> Result<_, StoreError> { tx.events().record(batch).await }).await?;
    }
    let ours = rate(size, begun);
    let begun = Instant::now();
    for batch in events.chunks(AT_ONCE) {
        in_tx(&store, OF, async |tx| -> Result<_, StoreError> { tx.events().record(batch).await }).await?;
    }
    let again = rate(size, begun);
    let bare = bare(&database, key, &events).await?;
    report.rate("opens, one transaction a thousand", ours, ("bare INSERT of the event rows", bare), "events/s", None);
    report.rate("the same told again", again, ("told first", ours), "events/s", None);
    let many = reading(place, &database, &base.key, key).await?;
    report.cost(
        &format!("30 days of analytics over HTTP, after {size} opens"),
        many,
        ("before the first", few),
        "ms",
        Goal::AtMost(1.3, 1.0),
    );
    place.forget(database).await?;
    place.drop_database(&base.name).await
}

/// Mail to everybody, an hour ago, and its figures over a month.
async fn sent_already(database: &Database, key: CampaignKey) -> Result<()> {
    let (tenant, campaign) = (key.tenant.0, key.campaign.0);
    database
        .run(&format!(
            "INSERT INTO messages (tenant_no, campaign_no, contact_no, step, pass, state, attempts, epoch, version, queued_at, ended_at) \
             SELECT {tenant}, {campaign}, contact_no, 1, 1, 's', 1, 1, 1, now() - interval '1 hour', now() - interval '1 hour' FROM contacts; \
             INSERT INTO stats (tenant_no, campaign_no, step, quarter, sent) SELECT {tenant}, {campaign}, 1, q, 100 \
             FROM generate_series(date_trunc('day', now()) - interval '30 days', now() - interval '1 day', interval '15 minutes') AS q; \
             ANALYZE messages; ANALYZE stats"
        ))
        .await
}

async fn opens(database: &Database, key: CampaignKey) -> Result<Vec<EngagementEvent>> {
    let rows = database.client().query("SELECT contact_no, now() FROM contacts ORDER BY contact_no", &[]).await?;
    let event = |row: &tokio_postgres::Row| {
        let at: std::time::SystemTime = row.get(1);
        EngagementEvent {
            id: Uuid::now_v7(),
            delivery: DeliveryKey {
                tenant: key.tenant,
                campaign: key.campaign,
                contact: ContactNo(row.get(0)),
                step: StepNo(1),
                pass: Pass(1),
            },
            kind: EventKind::Opened,
            link: None,
            at: DateTime::<Utc>::from(at),
            machine: None,
        }
    };
    Ok(rows.iter().map(event).collect())
}

/// The rows alone, into an empty copy of the table.
async fn bare(database: &Database, key: CampaignKey, events: &[EngagementEvent]) -> Result<f64> {
    database.run("CREATE TABLE bare (LIKE events INCLUDING ALL)").await?;
    let client = database.client();
    let statement = client
        .prepare(
            "INSERT INTO bare (tenant_no, campaign_no, contact_no, step, pass, kind, id, at) \
             SELECT $1, $2, u.*, 1, 1, 'o', gen_random_uuid(), now() FROM unnest($3::bigint[]) AS u",
        )
        .await?;
    let begun = Instant::now();
    for batch in events.chunks(AT_ONCE) {
        let contacts: Vec<i64> = batch.iter().map(|event| event.delivery.contact.0).collect();
        client.execute(&statement, &[&key.tenant.0, &key.campaign.0, &contacts]).await?;
    }
    let bare = rate(u64::try_from(events.len())?, begun);
    database.run("DROP TABLE bare").await?;
    Ok(bare)
}

/// The median time of a month's analytics over HTTP, in milliseconds.
async fn reading(place: &Place, database: &Database, api_key: &str, key: CampaignKey) -> Result<f64> {
    let server = place.serve(&database.text("current_database()").await?).await?;
    let id = database.text(&format!("SELECT id FROM campaigns WHERE campaign_no = {}", key.campaign.0)).await?;
    let (from, to) = (database.text("current_date - 30").await?, database.text("current_date").await?);
    let api = server.api(api_key);
    let path = format!("/api/campaigns/{id}/analytics?startDate={from}&endDate={to}");
    let mut times = Vec::new();
    for _ in 0..READS {
        let begun = Instant::now();
        let read = api.get(&path).await?;
        times.push(begun.elapsed().as_secs_f64() * 1_000.0);
        let days = read["overall"].as_array().context("analytics have days")?.len();
        anyhow::ensure!(days == 31, "{days} days");
    }
    Ok(median(times))
}
