//! Advisory locks, by two integers: a class and a number. Held to the end of the transaction.
//!
//! Beginning a delivery and advancing share their campaign's and tenant's lock; a pause takes the campaign's, and a
//! new suppression the tenant's, for itself alone. PostgreSQL's lock queue is first come, first served, so the one
//! who wants it alone is not starved. Order: tenant before campaign, smaller numbers first.

use super::error::StoreErrorExt;
use super::prepared::prepared;
use diesel::sql_types::Integer;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use muster_domain::model::ids::{CampaignNo, TenantNo};
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
