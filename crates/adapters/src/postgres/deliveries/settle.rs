//! Settling a delivery in doubt where it is: nothing is sent.

use super::decisions::{self, Decided};
use crate::postgres::StoreErrorExt;
use chrono::{DateTime, Utc};
use diesel::QueryableByName;
use diesel::sql_types::{BigInt, Integer, Nullable, SmallInt, Text, Timestamptz};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use muster_domain::model::books::BookEntries;
use muster_domain::model::decision::{Evidence, Resolution};
use muster_domain::model::delivery::{DeliveryKey, DeliveryState};
use muster_domain::ports::store::StoreResult;

#[derive(QueryableByName)]
struct BeforeRow {
    #[diesel(sql_type = Nullable<Text>)]
    detail: Option<String>,
}

/// Turns a message in doubt into one that was sent, has failed or was dropped. What comes back has to be posted; it is
/// empty when the delivery is not in doubt.
pub(super) async fn settle(
    conn: &mut AsyncPgConnection,
    key: DeliveryKey,
    resolution: Resolution,
    evidence: Evidence,
    now: DateTime<Utc>,
) -> StoreResult<BookEntries> {
    let mut entries = BookEntries::default();
    let (code, detail) = match resolution {
        Resolution::Sent => ("s", "settled as sent"),
        Resolution::Failed => ("f", "settled as failed"),
        Resolution::Drop | Resolution::Resend => ("x", "dropped while in doubt"),
    };
    let before: Vec<BeforeRow> = diesel::sql_query(
        "WITH before AS ( \
            SELECT tenant_no, campaign_no, contact_no, step, pass, detail FROM messages WHERE tenant_no = $1 \
            AND campaign_no = $2 AND contact_no = $3 AND step = $4 AND pass = $5 AND state = 'd' FOR UPDATE) \
         UPDATE messages m SET state = $6::\"char\", detail = $7, ended_at = $8 FROM before b \
         WHERE m.tenant_no = b.tenant_no AND m.campaign_no = b.campaign_no AND m.contact_no = b.contact_no \
         AND m.step = b.step AND m.pass = b.pass RETURNING b.detail",
    )
    .bind::<Integer, _>(key.tenant.0)
    .bind::<Integer, _>(key.campaign.0)
    .bind::<BigInt, _>(key.contact.0)
    .bind::<SmallInt, _>(key.step.0)
    .bind::<Integer, _>(key.pass.0)
    .bind::<Text, _>(code)
    .bind::<Text, _>(detail)
    .bind::<Timestamptz, _>(now)
    .get_results(conn)
    .await
    .store()?;
    let Some(BeforeRow { detail }) = before.into_iter().next() else { return Ok(entries) };
    let decided = Decided {
        contact_no: key.contact.0,
        step: key.step.0,
        pass: key.pass.0,
        resolution,
        state: "d".to_owned(),
        detail,
    };
    decisions::write(conn, key.campaign_key(), &[decided], evidence, now).await?;
    let line = entries.step(key.step);
    line.in_doubt -= 1;
    match resolution.state() {
        DeliveryState::Sent => line.sent += 1,
        DeliveryState::Failed => line.failed += 1,
        _ => line.cancelled += 1,
    }
    if resolution == Resolution::Sent {
        entries.quarter(now, key.step).sent += 1;
    }
    Ok(entries)
}
