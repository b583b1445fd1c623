//! What ran out: the claims and sends of processes that died.

use super::heard::heard;
use super::record::{Terms, Verdict, apply};
use super::rows::{self, OutboxRow};
use super::{bind_campaign, open};
use crate::postgres::prepared::prepared;
use crate::postgres::{PgStore, StoreErrorExt};
use async_trait::async_trait;
use diesel::QueryableByName;
use diesel::sql_types::Integer;
use diesel_async::RunQueryDsl;
use muster_domain::model::delivery::{RetryPolicy, SendOutcome};
use muster_domain::model::ids::{CampaignKey, CampaignNo, TenantNo};
use muster_domain::ports::delivery::{Finished, ReapReport, Reaper};
use muster_domain::ports::store::{StoreError, StoreResult};

#[derive(QueryableByName)]
struct ExpiredRow {
    #[diesel(sql_type = Integer)]
    tenant_no: i32,
    #[diesel(sql_type = Integer)]
    campaign_no: i32,
}

#[async_trait]
impl Reaper for PgStore {
    async fn reap(&self, policy: &RetryPolicy) -> StoreResult<ReapReport> {
        let mut report = ReapReport::default();
        for key in expired(self).await? {
            match reap_campaign(self, key, policy, &mut report).await {
                // Somebody else was at it; the next round looks again.
                Ok(()) | Err(StoreError::Conflict) => {}
                Err(error @ StoreError::Unavailable(_)) => return Err(error),
                Err(error) => {
                    tracing::error!(tenant = key.tenant.0, campaign = key.campaign.0, %error, "leases of a campaign ran out and cannot be put right");
                }
            }
        }
        Ok(report)
    }
}

async fn reap_campaign(
    store: &PgStore,
    key: CampaignKey,
    policy: &RetryPolicy,
    report: &mut ReapReport,
) -> StoreResult<()> {
    report.returned += return_claims(store, key).await?;
    let closed = report.recorded.closed;
    let doubted = doubt_sends(store, key, policy, report).await;
    if report.recorded.closed > closed {
        report.closed.push(key);
    }
    doubted
}

async fn expired(store: &PgStore) -> StoreResult<Vec<CampaignKey>> {
    let mut tx = store.scheduler().await?;
    let rows: Vec<ExpiredRow> = prepared(
        "SELECT DISTINCT tenant_no, campaign_no FROM outbox \
         WHERE lease_until < statement_timestamp() ORDER BY tenant_no, campaign_no",
    )
    .get_results(&mut *tx)
    .await
    .store()?;
    tx.commit().await?;
    let key = |row: ExpiredRow| CampaignKey { tenant: TenantNo(row.tenant_no), campaign: CampaignNo(row.campaign_no) };
    Ok(rows.into_iter().map(key).collect())
}

async fn return_claims(store: &PgStore, key: CampaignKey) -> StoreResult<usize> {
    let mut tx = open(store, key.tenant).await?;
    let sql = "UPDATE outbox o SET state = 'p', lease_until = NULL FROM ( \
                   SELECT tenant_no, campaign_no, contact_no, step, pass FROM outbox \
                   WHERE tenant_no = $1 AND campaign_no = $2 AND state = 'c' AND lease_until < statement_timestamp() \
                   ORDER BY contact_no, step, pass FOR UPDATE SKIP LOCKED) AS w \
               WHERE o.tenant_no = w.tenant_no AND o.campaign_no = w.campaign_no AND o.contact_no = w.contact_no \
               AND o.step = w.step AND o.pass = w.pass";
    let returned = bind_campaign(prepared(sql), key).execute(&mut *tx).await.store()?;
    tx.commit().await?;
    Ok(returned)
}

async fn doubt_sends(
    store: &PgStore,
    key: CampaignKey,
    policy: &RetryPolicy,
    report: &mut ReapReport,
) -> StoreResult<()> {
    let outcome = SendOutcome::InDoubt { reason: "its worker was not heard of any more".to_owned() };
    loop {
        let mut tx = open(store, key.tenant).await?;
        let expired = rows::lock_expired_sends(&tx, key).await?;
        if expired.is_empty() {
            return tx.rollback().await;
        }
        let heard = heard(&mut tx, key.tenant, expired.iter().map(|row| row.attempt(key).key)).await?;
        let attempts = expired.iter().map(|row| row.attempt(key)).filter(|attempt| !heard.contains(&attempt.key));
        let doubts: Vec<_> = attempts.map(|attempt| Finished { attempt, outcome: outcome.clone() }).collect();
        let terms = Terms::read(&mut tx, key).await?;
        let of = |row: OutboxRow| {
            let arrived = heard.contains(&row.attempt(key).key);
            if arrived { Verdict::arrived(row) } else { Verdict::of(row, &outcome, policy, terms) }
        };
        let verdicts = expired.into_iter().map(of).collect();
        let recorded = apply(&mut tx, key, verdicts, terms).await?;
        tx.commit().await?;
        report.recorded.add(recorded);
        report.doubts.extend(doubts);
    }
}
