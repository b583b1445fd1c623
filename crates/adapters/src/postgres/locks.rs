//! Advisory locks, by two integers: a class and a number. Held to the end of the transaction.
//!
//! Beginning a delivery and advancing share their campaign's and tenant's lock; a pause takes the campaign's, and a
//! new suppression the tenant's, for itself alone. PostgreSQL's lock queue is first come, first served, so the one
//! who wants it alone is not starved. Order: tenant before campaign, smaller numbers first.

use super::error::StoreErrorExt;
use super::prepared::prepared;
use diesel::sql_types::Integer;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use muster_domain::model::ids::{CampaignKey, CampaignNo, TenantNo};
use muster_domain::ports::store::StoreResult;

/// What a lock is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lock {
    /// A tenant's suppression list.
    Tenant(TenantNo),
    /// A campaign's right to act.
    Campaign(CampaignNo),
}

impl Lock {
    fn numbers(self) -> (i32, i32) {
        match self {
            Lock::Tenant(TenantNo(no)) => (1, no),
            Lock::Campaign(CampaignNo(no)) => (2, no),
        }
    }
}

/// Waits until nobody holds it alone.
pub(crate) async fn share(conn: &mut AsyncPgConnection, lock: Lock) -> StoreResult<()> {
    take(conn, "SELECT pg_advisory_xact_lock_shared($1, $2)", lock).await
}

/// Waits until nobody holds the tenant's, then the campaign's, alone.
pub(crate) async fn share_both(mut conn: &AsyncPgConnection, key: CampaignKey) -> StoreResult<()> {
    let ((tenant_class, tenant), (campaign_class, campaign)) =
        (Lock::Tenant(key.tenant).numbers(), Lock::Campaign(key.campaign).numbers());
    // A list of results is evaluated from left to right.
    prepared("SELECT pg_advisory_xact_lock_shared($1, $2), pg_advisory_xact_lock_shared($3, $4)")
        .bind::<Integer, _>(tenant_class)
        .bind::<Integer, _>(tenant)
        .bind::<Integer, _>(campaign_class)
        .bind::<Integer, _>(campaign)
        .execute(&mut conn)
        .await
        .store()?;
    Ok(())
}

/// Waits until nobody holds it at all.
pub(crate) async fn exclude(conn: &mut AsyncPgConnection, lock: Lock) -> StoreResult<()> {
    #[cfg(feature = "fault-injection")]
    if matches!(lock, Lock::Campaign(_)) {
        crate::faults::point("barrier");
    }
    take(conn, "SELECT pg_advisory_xact_lock($1, $2)", lock).await
}

async fn take(conn: &mut AsyncPgConnection, sql: &'static str, lock: Lock) -> StoreResult<()> {
    let (class, number) = lock.numbers();
    prepared(sql).bind::<Integer, _>(class).bind::<Integer, _>(number).execute(conn).await.store()?;
    Ok(())
}
