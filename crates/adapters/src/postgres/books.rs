//! Writing [`BookEntries`]: the last statements before a commit, in sorted order, so that hot rows are held briefly
//! and two transactions never wait for each other in a circle. Sent in one flight.

use super::error::StoreErrorExt;
use super::prepared::prepared;
use super::stats;
use diesel::sql_types::{Array, BigInt, Integer, SmallInt};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use muster_domain::model::books::{BookEntries, CampaignFigures, StepFigures};
use muster_domain::model::ids::{CampaignKey, CampaignNo, TenantNo};
use muster_domain::ports::store::StoreResult;
use std::collections::BTreeMap;

/// Adds `entries` to the books of `key`.
pub(crate) async fn post(conn: &AsyncPgConnection, key: CampaignKey, entries: &BookEntries) -> StoreResult<()> {
    futures::try_join!(
        post_steps(conn, key, entries),
        stats::post_quarters(conn, key, entries),
        stats::post_links(conn, key, entries),
        post_campaign(conn, key, &entries.campaign),
    )?;
    Ok(())
}

/// The same for each campaign, in rising order: once in a transaction and as its last statements, or two of them would wait
/// for each other.
pub(crate) async fn post_all(
    conn: &AsyncPgConnection,
    tenant: TenantNo,
    entries: &BTreeMap<CampaignNo, BookEntries>,
) -> StoreResult<()> {
    for (campaign, entries) in entries {
        post(conn, CampaignKey { tenant, campaign: *campaign }, entries).await?;
    }
    Ok(())
}

async fn post_campaign(mut conn: &AsyncPgConnection, key: CampaignKey, add: &CampaignFigures) -> StoreResult<()> {
    if *add == CampaignFigures::default() {
        return Ok(());
    }
    prepared(
        "INSERT INTO campaign_counters AS c (tenant_no, campaign_no, audience, open, completed, exited) \
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (tenant_no, campaign_no) DO UPDATE SET \
         audience = c.audience + excluded.audience, open = c.open + excluded.open, \
         completed = c.completed + excluded.completed, exited = c.exited + excluded.exited",
    )
    .bind::<Integer, _>(key.tenant.0)
    .bind::<Integer, _>(key.campaign.0)
    .bind::<BigInt, _>(add.audience)
    .bind::<BigInt, _>(add.open)
    .bind::<BigInt, _>(add.completed)
    .bind::<BigInt, _>(add.exited)
    .execute(&mut conn)
    .await
    .store()?;
    Ok(())
}

async fn post_steps(mut conn: &AsyncPgConnection, key: CampaignKey, entries: &BookEntries) -> StoreResult<()> {
    let changed: Vec<_> = entries.steps.iter().filter(|(_, add)| **add != StepFigures::default()).collect();
    if changed.is_empty() {
        return Ok(());
    }
    let column = |of: fn(&StepFigures) -> i64| changed.iter().map(|(_, add)| of(add)).collect::<Vec<_>>();
    prepared(
        "INSERT INTO step_counters AS c (tenant_no, campaign_no, step, entered, pending, passed, sent, failed, \
         suppressed, skipped, in_doubt, cancelled) \
         SELECT $1, $2, u.* FROM unnest($3::smallint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], \
         $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[]) AS u \
         ON CONFLICT (tenant_no, campaign_no, step) DO UPDATE SET \
         entered = c.entered + excluded.entered, pending = c.pending + excluded.pending, \
         passed = c.passed + excluded.passed, sent = c.sent + excluded.sent, failed = c.failed + excluded.failed, \
         suppressed = c.suppressed + excluded.suppressed, skipped = c.skipped + excluded.skipped, \
         in_doubt = c.in_doubt + excluded.in_doubt, cancelled = c.cancelled + excluded.cancelled",
    )
    .bind::<Integer, _>(key.tenant.0)
    .bind::<Integer, _>(key.campaign.0)
    .bind::<Array<SmallInt>, _>(changed.iter().map(|(no, _)| no.0).collect::<Vec<_>>())
    .bind::<Array<BigInt>, _>(column(|f| f.entered))
    .bind::<Array<BigInt>, _>(column(|f| f.pending))
    .bind::<Array<BigInt>, _>(column(|f| f.passed))
    .bind::<Array<BigInt>, _>(column(|f| f.sent))
    .bind::<Array<BigInt>, _>(column(|f| f.failed))
    .bind::<Array<BigInt>, _>(column(|f| f.suppressed))
    .bind::<Array<BigInt>, _>(column(|f| f.skipped))
    .bind::<Array<BigInt>, _>(column(|f| f.in_doubt))
    .bind::<Array<BigInt>, _>(column(|f| f.cancelled))
    .execute(&mut conn)
    .await
    .store()?;
    Ok(())
}
