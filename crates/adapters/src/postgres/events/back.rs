//! Mails that came back: they were sent and not delivered, and both are told of the time when they were sent.
//!
//! The two are written in either order. Who records that a mail came back looks whether it counts as sent by now
//! ([`sent_at`]); who records that it was sent looks whether it came back before (`already!`, [`came_back`]). Both hold the
//! delivery's row, so that one of them sees the other.

use super::StoreErrorExt;
use crate::postgres::delivery_keys::bind_deliveries;
use crate::postgres::prepared::prepared;
use chrono::{DateTime, Utc};
use diesel::QueryableByName;
use diesel::sql_types::{Array, BigInt, Integer, SmallInt, Timestamptz};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use muster_domain::model::delivery::DeliveryKey;
use muster_domain::model::ids::{CampaignKey, CampaignNo, StepNo, TenantNo};
use muster_domain::ports::store::StoreResult;

/// Whether the mail `m`, a row of `messages`, came back. A scalar, so that it is one look-up a mail and never a list of all.
macro_rules! already {
    () => {
        "coalesce((SELECT first_human_at IS NOT NULL FROM engagements b WHERE b.tenant_no = m.tenant_no \
         AND b.campaign_no = m.campaign_no AND b.contact_no = m.contact_no AND b.step = m.step AND b.pass = m.pass \
         AND b.kind = 'b' AND b.link = 0), false)"
    };
}
pub(crate) use already;

#[derive(QueryableByName)]
struct SentRow {
    #[diesel(sql_type = Integer)]
    campaign_no: i32,
    #[diesel(sql_type = SmallInt)]
    step: i16,
    #[diesel(sql_type = Timestamptz)]
    ended_at: DateTime<Utc>,
}

/// Those of `mails` that count as sent, by campaign and step, and when they were sent.
pub(super) async fn sent_at(
    conn: &mut AsyncPgConnection,
    tenant: TenantNo,
    mails: &[DeliveryKey],
) -> StoreResult<Vec<(CampaignNo, StepNo, DateTime<Utc>)>> {
    if mails.is_empty() {
        return Ok(Vec::new());
    }
    let sql = "SELECT m.campaign_no, m.step, m.ended_at FROM unnest($2::int[], $3::bigint[], $4::smallint[], $5::int[]) \
            AS u (campaign_no, contact_no, step, pass) CROSS JOIN LATERAL ( \
        SELECT campaign_no, step, ended_at FROM messages WHERE tenant_no = $1 AND campaign_no = u.campaign_no \
        AND contact_no = u.contact_no AND step = u.step AND pass = u.pass AND state = 's' OFFSET 0) m";
    let rows: Vec<SentRow> =
        bind_deliveries(prepared(sql), tenant, mails.iter().copied()).get_results(conn).await.store()?;
    Ok(rows.into_iter().map(|row| (CampaignNo(row.campaign_no), StepNo(row.step), row.ended_at)).collect())
}

#[derive(QueryableByName)]
struct BackRow {
    #[diesel(sql_type = SmallInt)]
    step: i16,
}

/// A step for each of these mails of a campaign (contact, step, pass), which count as sent from now on, that came back before.
pub(crate) async fn came_back(
    conn: &mut AsyncPgConnection,
    campaign: CampaignKey,
    mails: &[(i64, i16, i32)],
) -> StoreResult<Vec<StepNo>> {
    if mails.is_empty() {
        return Ok(Vec::new());
    }
    let sql = concat!(
        "SELECT m.step FROM (SELECT $1::int AS tenant_no, $2::int AS campaign_no, u.* \
         FROM unnest($3::bigint[], $4::smallint[], $5::int[]) AS u (contact_no, step, pass) OFFSET 0) m WHERE ",
        already!()
    );
    let rows: Vec<BackRow> = prepared(sql)
        .bind::<Integer, _>(campaign.tenant.0)
        .bind::<Integer, _>(campaign.campaign.0)
        .bind::<Array<BigInt>, _>(mails.iter().map(|mail| mail.0).collect::<Vec<_>>())
        .bind::<Array<SmallInt>, _>(mails.iter().map(|mail| mail.1).collect::<Vec<_>>())
        .bind::<Array<Integer>, _>(mails.iter().map(|mail| mail.2).collect::<Vec<_>>())
        .get_results(conn)
        .await
        .store()?;
    Ok(rows.into_iter().map(|row| StepNo(row.step)).collect())
}
