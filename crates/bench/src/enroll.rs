//! Enrolling an audience at launch, against the barest statement that writes the same rows into the same table.

use super::report::{Goal, Report, median};
use super::stage::{OF, Place, launched, mail, store};
use super::{Options, database::Database};
use anyhow::Result;
use muster_domain::model::ids::CampaignKey;
use muster_domain::ports::store::in_tx;
use muster_domain::usecases::enroll_audience::enroll_audience;
use muster_domain::usecases::pause_campaign::TransitionError;
use muster_worker::plan::PlanOptions;
use serde_json::json;
use std::time::Instant;

const REPETITIONS: usize = 3;

pub(crate) async fn measure(place: &Place, options: &Options, report: &mut Report) -> Result<()> {
    for size in options.sizes().into_iter().filter(|size| *size >= 100_000) {
        let base = place.base(size).await?;
        let (mut ours, mut bare, mut bytes) = (Vec::new(), Vec::new(), 0.0);
        for _ in 0..REPETITIONS {
            let database = place.copy(&base.name).await?;
            let key = launched(place, &database, &base, &json!([mail(2_000)]), &json!({})).await?;
            database.run("CHECKPOINT").await?;
            let begun = Instant::now();
            let enrolled = enroll(&database, key).await?;
            anyhow::ensure!(enrolled > 0, "a list so short is enrolled within the request");
            ours.push(rate(enrolled, begun));
            bytes = database.number("pg_total_relation_size('enrollments')").await? / as_f64(size);
            place.forget(database).await?;

            let database = place.copy(&base.name).await?;
            database.run("CHECKPOINT").await?;
            let begun = Instant::now();
            let enrolled = database
                .execute(
                    "INSERT INTO enrollments (tenant_no, campaign_no, contact_no, due_at, enrolled_at, version, step, status) \
                     SELECT tenant_no, 1, contact_no, now(), now(), 1, 1, 'e' FROM segment_members",
                    &[],
                )
                .await?;
            bare.push(rate(enrolled, begun));
            place.forget(database).await?;
        }
        let what = format!("{size} contacts, in chunks that can be resumed");
        report.rate(
            &what,
            median(ours),
            ("one bare INSERT … SELECT", median(bare)),
            "contacts/s",
            Some(Goal::AtLeast(0.7, 0.9)),
        );
        report.alone(&format!("{size} contacts: an enrollment with its indexes"), bytes, "bytes", None);
        place.drop_database(&base.name).await?;
    }
    Ok(())
}

/// Enrolls a launched campaign's audience to the end, chunk by chunk, as the worker does.
pub(crate) async fn enroll(database: &Database, key: CampaignKey) -> Result<u64> {
    let store = store(database)?;
    let limit = PlanOptions::default().enroll_chunk;
    let mut enrolled = 0;
    loop {
        let story = async |tx: &mut _| -> Result<_, TransitionError> { enroll_audience(tx, key.campaign, limit).await };
        match in_tx(&store, OF, story).await? {
            Some(chunk) => enrolled += u64::try_from(chunk.enrolled)?,
            None => return Ok(enrolled),
        }
    }
}

pub(crate) fn rate(count: u64, begun: Instant) -> f64 {
    as_f64(count) / begun.elapsed().as_secs_f64()
}

#[expect(clippy::cast_precision_loss, reason = "counts here are far below 2^52")]
pub(crate) fn as_f64(count: u64) -> f64 {
    count as f64
}
