//! Queueing deliveries again that have ended.

use super::decisions::{evidence_code, resolution_code};
use crate::postgres::StoreErrorExt;
use chrono::{DateTime, Utc};
use diesel::QueryableByName;
use diesel::sql_types::{BigInt, Bool, CChar, Integer, Nullable, SmallInt, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use muster_domain::model::books::BookEntries;
use muster_domain::model::decision::{Evidence, Resolution, Retriable};
use muster_domain::model::delivery::DeliveryKey;
use muster_domain::model::ids::{CampaignKey, StepNo};
use muster_domain::ports::store::StoreResult;

#[derive(QueryableByName)]
struct OverRow {
    #[diesel(sql_type = Bool)]
    over: bool,
}

#[derive(QueryableByName)]
struct QueuedRow {
    #[diesel(sql_type = SmallInt)]
    step: i16,
    #[diesel(sql_type = CChar)]
    state: u8,
    #[diesel(sql_type = BigInt)]
    n: i64,
}

/// Locks the campaign's row, so that it is not completed meanwhile, and says whether it is.
pub(super) async fn lock_campaign(conn: &mut AsyncPgConnection, key: CampaignKey) -> StoreResult<bool> {
    let row: Vec<OverRow> = diesel::sql_query(
        "SELECT status = 'completed' AS over FROM campaigns WHERE tenant_no = $1 AND campaign_no = $2 FOR NO KEY UPDATE",
    )
    .bind::<Integer, _>(key.tenant.0)
    .bind::<Integer, _>(key.campaign.0)
    .get_results(conn)
    .await
    .store()?;
    Ok(row.into_iter().next().is_some_and(|row| row.over))
}

/// Queues one delivery in doubt again. What comes back has to be posted; it is empty when it may not be.
pub(super) async fn one(
    conn: &mut AsyncPgConnection,
    key: DeliveryKey,
    over: bool,
    evidence: Evidence,
    now: DateTime<Utc>,
) -> StoreResult<BookEntries> {
    let only = format!(
        "m.state = 'd' AND m.contact_no = {} AND m.step = {} AND m.pass = {}",
        key.contact.0, key.step.0, key.pass.0
    );
    queue(conn, key.campaign_key(), &only, over, evidence, now).await
}

/// Queues everything again that ended so. What comes back has to be posted.
pub(super) async fn all(
    conn: &mut AsyncPgConnection,
    key: CampaignKey,
    endings: &[Retriable],
    over: bool,
    evidence: Evidence,
    now: DateTime<Utc>,
) -> StoreResult<BookEntries> {
    let codes: Vec<_> = endings.iter().map(|ending| code(*ending)).collect();
    // Spelled out, so that the planner sees that the index of what was not sent has all of them.
    let only = format!("m.state IN ({})", codes.join(", "));
    conn.batch_execute("SET LOCAL statement_timeout = '600s'").await.store()?;
    queue(conn, key, &only, over, evidence, now).await
}

fn code(ending: Retriable) -> &'static str {
    match ending {
        Retriable::Failed => "'f'",
        Retriable::InDoubt => "'d'",
    }
}

/// Locks enrollments before it takes the messages: a contact that leaves at the same moment either keeps its mail from
/// being queued, or finds it queued and cancels it. `only` is made of numbers and codes.
async fn queue(
    conn: &mut AsyncPgConnection,
    key: CampaignKey,
    only: &str,
    over: bool,
    evidence: Evidence,
    now: DateTime<Utc>,
) -> StoreResult<BookEntries> {
    let (evidence, by) = evidence_code(evidence);
    let rows: Vec<QueuedRow> = diesel::sql_query(format!(
        "WITH held AS MATERIALIZED ( \
            SELECT m.contact_no, m.step, m.pass FROM messages m \
            JOIN enrollments e ON e.tenant_no = m.tenant_no AND e.campaign_no = m.campaign_no AND e.contact_no = m.contact_no \
            WHERE m.tenant_no = $1 AND m.campaign_no = $2 AND {only} AND (e.status <> 'x' OR e.exit_reason IN ('b', 'e')) \
            AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.tenant_no = $1 AND o.campaign_no = $2 AND o.contact_no = m.contact_no \
                AND o.step = m.step AND o.pass = m.pass) \
            ORDER BY m.contact_no, m.step, m.pass FOR NO KEY UPDATE OF e), \
        gone AS ( \
            DELETE FROM messages m USING held h WHERE m.tenant_no = $1 AND m.campaign_no = $2 AND {only} \
            AND m.contact_no = h.contact_no AND m.step = h.step AND m.pass = h.pass RETURNING m.*), \
        queued AS ( \
            INSERT INTO outbox (tenant_no, campaign_no, contact_no, step, pass, epoch, due_at, queued_at, version, next_step, \
                resends, by_hand) \
            SELECT tenant_no, campaign_no, contact_no, step, pass, epoch, $3, queued_at, version, 0, resends + (state = 'd')::int, true \
            FROM gone), \
        told AS ( \
            INSERT INTO delivery_decisions (tenant_no, campaign_no, contact_no, step, pass, at, decision, evidence, decided_by, \
                state, detail) \
            SELECT tenant_no, campaign_no, contact_no, step, pass, $3, $4::\"char\", $5::\"char\", $6, state, detail FROM gone) \
        SELECT step, state, count(*) AS n FROM gone GROUP BY step, state"
    ))
    .bind::<Integer, _>(key.tenant.0)
    .bind::<Integer, _>(key.campaign.0)
    .bind::<Timestamptz, _>(now)
    .bind::<Text, _>(resolution_code(Resolution::Resend))
    .bind::<Text, _>(evidence)
    .bind::<Nullable<SqlUuid>, _>(by)
    .get_results(conn)
    .await
    .store()?;
    if over && !rows.is_empty() {
        mark_retrying(conn, key).await?;
    }
    Ok(booked(&rows))
}

fn booked(rows: &[QueuedRow]) -> BookEntries {
    let mut entries = BookEntries::default();
    for row in rows {
        let line = entries.step(StepNo(row.step));
        line.pending += row.n;
        match row.state {
            b'd' => line.in_doubt -= row.n,
            _ => line.failed -= row.n,
        }
    }
    entries
}

/// Lets the deliver pass look at a completed campaign.
async fn mark_retrying(conn: &mut AsyncPgConnection, key: CampaignKey) -> StoreResult<()> {
    diesel::sql_query(
        "UPDATE campaigns SET retrying = true, held_until = NULL WHERE tenant_no = $1 AND campaign_no = $2 AND status = 'completed'",
    )
    .bind::<Integer, _>(key.tenant.0)
    .bind::<Integer, _>(key.campaign.0)
    .execute(conn)
    .await
    .store()?;
    Ok(())
}
