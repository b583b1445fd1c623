//! Letting single events go that are older than they are to be kept.

use crate::postgres::{PgStore, StoreErrorExt};
use async_trait::async_trait;
use diesel::QueryableByName;
use diesel::sql_types::{BigInt, Integer};
use diesel_async::RunQueryDsl;
use muster_domain::model::ids::TenantNo;
use muster_domain::ports::events::EventKeeper;
use muster_domain::ports::store::StoreResult;

#[derive(QueryableByName)]
struct TenantRow {
    #[diesel(sql_type = Integer)]
    tenant_no: i32,
}

#[async_trait]
impl EventKeeper for PgStore {
    async fn forget_events(&self, days: i32, at_most: i64) -> StoreResult<u64> {
        let mut tx = self.scheduler().await?;
        let query = diesel::sql_query("SELECT tenant_no FROM tenants ORDER BY 1");
        let tenants: Vec<TenantRow> = query.load(&mut *tx).await.store()?;
        tx.rollback().await?;
        let mut gone = 0;
        for TenantRow { tenant_no } in tenants {
            gone += forget(self, TenantNo(tenant_no), days, at_most).await?;
        }
        Ok(gone)
    }
}

/// One batch of one tenant. Since when events are complete is noted with the first that go, by whole quarter-hours, as the
/// figures are kept.
async fn forget(store: &PgStore, tenant: TenantNo, days: i32, at_most: i64) -> StoreResult<u64> {
    let mut tx = store.app(tenant).await?;
    let gone = diesel::sql_query(
        "WITH line AS MATERIALIZED (SELECT date_bin('15 minutes', (SELECT muster_now()) - $2 * interval '1 day', 'epoch') AS since), \
        old AS MATERIALIZED (SELECT ctid AS place FROM events WHERE tenant_no = $1 AND at < (SELECT since FROM line) \
            LIMIT $3 FOR UPDATE SKIP LOCKED), \
        noted AS (INSERT INTO event_horizons (tenant_no, kept_since) SELECT $1, since FROM line WHERE EXISTS (SELECT FROM old) \
            ON CONFLICT (tenant_no) DO UPDATE SET kept_since = greatest(event_horizons.kept_since, excluded.kept_since)) \
        DELETE FROM events e USING old WHERE e.ctid = old.place AND e.tenant_no = $1",
    )
    .bind::<Integer, _>(tenant.0)
    .bind::<Integer, _>(days)
    .bind::<BigInt, _>(at_most)
    .execute(&mut *tx)
    .await
    .store()?;
    tx.commit().await?;
    Ok(u64::try_from(gone).unwrap_or(u64::MAX))
}
