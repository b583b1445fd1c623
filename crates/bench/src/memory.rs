//! The most memory that a worker and a server ever had, at lists of three sizes.

use super::Options;
use super::chain::Sink;
use super::enroll::enroll;
use super::import::csv;
use super::report::{Goal, Report};
use super::stage::{Place, launched, mail};
use anyhow::Result;
use serde_json::json;
use std::time::Duration;

const SENDING: Duration = Duration::from_secs(6);

pub(crate) async fn measure(place: &Place, options: &Options, report: &mut Report) -> Result<()> {
    let sink = Sink::start(place).await;
    for size in options.sizes() {
        let goal = Goal::AtMost(100.0, 50.0);
        let empty = place.base(0).await?;
        let server = place.serve(&empty.name).await?;
        server.api(&empty.key).upload("/api/contacts/import", "text/csv", csv(size)).await?;
        report.alone(&format!("serve, {size} rows imported"), server.peak_memory()?, "MiB", Some(goal));
        drop(server);
        place.drop_database(&empty.name).await?;

        let sink = match &sink {
            Ok(sink) => sink,
            Err(error) => {
                report.missing(&format!("work, {size} enrolled"), &format!("{error:#}"));
                continue;
            }
        };
        let base = place.base(size).await?;
        let database = place.copy(&base.name).await?;
        let key = launched(place, &database, &base, &json!([mail(2_000)]), &json!({})).await?;
        enroll(&database, key).await?;
        let name = database.text("current_database()").await?;
        let worker = place.work(&name, &format!("smtp://127.0.0.1:{}?sessions=10&tls=never", sink.port))?;
        tokio::time::sleep(SENDING).await;
        let peak = worker.peak_memory()?;
        let sent = database.number("SELECT coalesce(sum(sent), 0) FROM step_counters").await?;
        report.alone(&format!("work, {size} enrolled, {sent} sent"), peak, "MiB", Some(goal));
        drop(worker);
        place.forget(database).await?;
        place.drop_database(&base.name).await?;
    }
    Ok(())
}
