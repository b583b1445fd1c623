//! What was heard of a delivery before its own attempt knew how it ended.

use super::bind_attempts;
use crate::postgres::StoreErrorExt;
use crate::postgres::prepared::prepared;
use diesel::QueryableByName;
use diesel::sql_types::{BigInt, Integer, SmallInt};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use muster_domain::model::delivery::{Attempt, DeliveryKey, Epoch, SendOutcome};
use muster_domain::model::ids::{CampaignKey, ContactNo, Pass, StepNo};
use muster_domain::ports::store::StoreResult;
use std::collections::HashSet;

#[derive(QueryableByName)]
struct HeardRow {
    #[diesel(sql_type = BigInt)]
    contact_no: i64,
    #[diesel(sql_type = SmallInt)]
    step: i16,
    #[diesel(sql_type = Integer)]
    pass: i32,
    #[diesel(sql_type = Integer)]
    epoch: i32,
}

/// Those of `attempts`, whose rows the caller has locked, of which something was told that a mail server must have taken
/// the mail for: it came back, a provider or the recipient gave a sign of it. A program's opens and clicks are none: it
/// may have looked into a mail that was refused afterwards.
pub(crate) async fn heard(
    conn: &mut AsyncPgConnection,
    key: CampaignKey,
    attempts: &[Attempt],
) -> StoreResult<HashSet<Attempt>> {
    if attempts.is_empty() {
        return Ok(HashSet::new());
    }
    let sql = "SELECT a.contact_no, a.step, a.pass, a.epoch \
        FROM unnest($3::bigint[], $4::smallint[], $5::int[], $6::int[]) AS a (contact_no, step, pass, epoch) \
        CROSS JOIN LATERAL (SELECT FROM engagements WHERE tenant_no = $1 AND campaign_no = $2 AND contact_no = a.contact_no \
            AND step = a.step AND pass = a.pass AND link = 0 AND (kind IN ('b', 'p', 'd', 'r', 'u') AND total > 0 \
            OR kind IN ('o', 'c') AND human_total > 0) LIMIT 1) AS e";
    let rows: Vec<HeardRow> = bind_attempts(prepared(sql), key, attempts).get_results(conn).await.store()?;
    let CampaignKey { tenant, campaign } = key;
    let attempt = |row: HeardRow| {
        let (contact, step, pass) = (ContactNo(row.contact_no), StepNo(row.step), Pass(row.pass));
        Attempt { key: DeliveryKey { tenant, campaign, contact, step, pass }, epoch: Epoch(row.epoch) }
    };
    Ok(rows.into_iter().map(attempt).collect())
}

/// The outcome of an attempt of which something was heard, in place of a doubt.
pub(super) fn arrived() -> SendOutcome {
    SendOutcome::Sent { reply: "no answer of the mail server, but a sign of the mail".to_owned() }
}
