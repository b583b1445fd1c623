//! Claiming due deliveries and loading what their mails are made of.

use super::ending::{self, Ending};
use super::gate::{self, Gate};
use super::quota::Limits;
use super::rows::AttemptColumns;
use super::{bind_campaign, lease_ms, open_asking, rows};
use crate::postgres::prepared::prepared;
use crate::postgres::{PgStore, PgTx, StoreErrorExt, books, facts, sequences};
use chrono::{DateTime, Utc};
use diesel::QueryableByName;
use diesel::sql_types::{BigInt, Integer, SmallInt, Timestamptz};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use muster_domain::model::address::EmailAddress;
use muster_domain::model::contact::ContactFacts;
use muster_domain::model::delivery::{Attempt, DeliveryState};
use muster_domain::model::enrollment::ExitReason;
use muster_domain::model::ids::{CampaignKey, ContactNo, SequenceVersion};
use muster_domain::ports::delivery::{ClaimReport, Claimed, Letter};
use muster_domain::ports::store::StoreResult;
use std::sync::Arc;

/// Those that wait for another attempt first, then those due longest. A row without `retry_at` was never begun.
pub(super) const SQL: &str = "WITH again AS MATERIALIZED ( \
        SELECT tenant_no, campaign_no, contact_no, step, pass FROM outbox \
        WHERE tenant_no = $1 AND campaign_no = $2 AND lease_until IS NULL AND retry_at IS NOT NULL AND retry_at <= statement_timestamp() \
        ORDER BY retry_at LIMIT $3 FOR UPDATE SKIP LOCKED), \
    fresh AS MATERIALIZED ( \
        SELECT tenant_no, campaign_no, contact_no, step, pass FROM outbox \
        WHERE tenant_no = $1 AND campaign_no = $2 AND lease_until IS NULL AND retry_at IS NULL AND due_at <= $5 \
        ORDER BY due_at LIMIT least($3 - (SELECT count(*) FROM again), $4) FOR UPDATE SKIP LOCKED) \
    UPDATE outbox o SET state = 'c', epoch = o.epoch + 1, lease_until = clock_timestamp() + $6 * interval '1 millisecond' \
    FROM (SELECT * FROM again UNION ALL SELECT * FROM fresh) AS w \
    WHERE o.tenant_no = w.tenant_no AND o.campaign_no = w.campaign_no AND o.contact_no = w.contact_no \
        AND o.step = w.step AND o.pass = w.pass \
    RETURNING o.contact_no, o.step, o.pass, o.epoch, o.attempts, o.version, o.queued_at";

#[derive(QueryableByName)]
struct ClaimedRow {
    #[diesel(embed)]
    attempt: AttemptColumns,
    #[diesel(sql_type = SmallInt)]
    attempts: i16,
    #[diesel(sql_type = Integer)]
    version: i32,
    #[diesel(sql_type = Timestamptz)]
    queued_at: DateTime<Utc>,
}

pub(super) async fn claim(store: &PgStore, key: CampaignKey, limit: usize) -> StoreResult<ClaimReport> {
    let (mut tx, gate) = open_asking(store, key.tenant, async move |conn| gate::ask(conn, key).await).await?;
    let report = match gate {
        Some(gate) => claim_in(&mut tx, store, key, limit, gate).await?,
        None => ClaimReport::default(),
    };
    tx.commit().await?;
    Ok(report)
}

async fn claim_in(
    tx: &mut PgTx,
    store: &PgStore,
    key: CampaignKey,
    limit: usize,
    gate: Gate,
) -> StoreResult<ClaimReport> {
    if let Some(opening) = gate.closed_until() {
        gate.hold(tx, key, opening).await?;
        return Ok(ClaimReport { not_before: Some(opening), ..ClaimReport::default() });
    }
    let left = Limits::of(&gate).left(tx, key).await?;
    let fresh = left.map_or(limit, |left| left.deliveries.min(limit));
    let claimed = take(tx, key, limit, fresh, gate.now).await?;
    // With nothing left only retries can be claimed; once there are none, it is not worth asking again.
    let not_before = left.and_then(|left| left.not_before).filter(|_| claimed.is_empty());
    if let Some(until) = not_before {
        gate.hold(tx, key, until).await?;
    }
    Ok(ClaimReport { letters: load(tx, store, key, gate, claimed).await?, not_before })
}

async fn take(
    conn: &mut AsyncPgConnection,
    key: CampaignKey,
    limit: usize,
    fresh: usize,
    now: DateTime<Utc>,
) -> StoreResult<Vec<Claimed>> {
    let rows: Vec<ClaimedRow> = bind_campaign(prepared(SQL), key)
        .bind::<BigInt, _>(i64::try_from(limit).unwrap_or(i64::MAX))
        .bind::<BigInt, _>(i64::try_from(fresh).unwrap_or(i64::MAX))
        .bind::<Timestamptz, _>(now)
        .bind::<BigInt, _>(lease_ms())
        .get_results(conn)
        .await
        .store()?;
    Ok(rows.into_iter().map(|row| row.claimed(key)).collect())
}

/// Those whose contact is gone end here: there is nobody to write to.
async fn load(
    tx: &mut PgTx,
    store: &PgStore,
    key: CampaignKey,
    gate: Gate,
    claimed: Vec<Claimed>,
) -> StoreResult<Vec<Letter>> {
    if claimed.is_empty() {
        return Ok(Vec::new());
    }
    let now = gate.now;
    let sender = Arc::new(gate.sender(key)?);
    let contacts: Vec<ContactNo> = claimed.iter().map(|one| one.attempt.key.contact).collect();
    let known = facts::of(tx, key.tenant, &contacts).await?;
    let mut letters = Vec::with_capacity(claimed.len());
    let mut gone = Vec::new();
    for claimed in claimed {
        let facts = known.get(&claimed.attempt.key.contact);
        let Some((facts, recipient)) = facts.and_then(|facts| Some((facts.clone(), address(facts)?))) else {
            gone.push(claimed.attempt);
            continue;
        };
        let sequence = sequences::of(tx, store.sequences(), key, claimed.version).await?;
        letters.push(Letter { claimed, recipient, facts, sender: Arc::clone(&sender), sequence });
    }
    end_gone(tx, key, now, &gone).await?;
    Ok(letters)
}

fn address(facts: &ContactFacts) -> Option<EmailAddress> {
    EmailAddress::parse(facts.fields.get("email")?).ok()
}

async fn end_gone(
    conn: &mut AsyncPgConnection,
    key: CampaignKey,
    now: DateTime<Utc>,
    gone: &[Attempt],
) -> StoreResult<()> {
    if gone.is_empty() {
        return Ok(());
    }
    let endings = rows::lock(conn, key, gone).await?.into_iter().map(|row| Ending {
        row,
        fate: DeliveryState::Cancelled,
        detail: "the contact is gone".to_owned(),
        refused: false,
        leave: Some(ExitReason::ContactErased),
    });
    let entries = ending::end(conn, key, now, &endings.collect::<Vec<_>>()).await?;
    books::post(conn, key, &entries).await
}

impl ClaimedRow {
    fn claimed(self, key: CampaignKey) -> Claimed {
        Claimed {
            attempt: self.attempt.attempt(key),
            version: SequenceVersion(self.version),
            attempts: self.attempts,
            queued_at: self.queued_at,
        }
    }
}
