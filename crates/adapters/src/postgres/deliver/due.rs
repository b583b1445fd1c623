//! Which campaigns have deliveries to claim: two index probes for each active one.

use super::gate::is_open;
use crate::postgres::prepared::prepared;
use crate::postgres::{PgStore, StoreErrorExt};
use diesel::QueryableByName;
use diesel::sql_types::Integer;
use diesel_async::RunQueryDsl;
use muster_domain::model::ids::{CampaignKey, CampaignNo, TenantNo};
use muster_domain::ports::store::StoreResult;

/// Probes sideways, and not with `EXISTS`, which may be planned as one pass over all mail there is.
pub(super) const SQL: &str = concat!(
    "SELECT c.tenant_no, c.campaign_no FROM campaigns c \
    CROSS JOIN LATERAL ( \
        (SELECT 1 FROM outbox o WHERE o.tenant_no = c.tenant_no AND o.campaign_no = c.campaign_no \
            AND o.lease_until IS NULL AND o.retry_at IS NULL AND o.due_at <= (SELECT muster_now()) ORDER BY o.due_at LIMIT 1) \
        UNION ALL \
        (SELECT 1 FROM outbox o WHERE o.tenant_no = c.tenant_no AND o.campaign_no = c.campaign_no \
            AND o.lease_until IS NULL AND o.retry_at IS NOT NULL AND o.retry_at <= statement_timestamp() ORDER BY o.retry_at LIMIT 1) \
        LIMIT 1) AS due \
    WHERE ",
    is_open!(),
    " AND (c.held_until IS NULL OR c.held_until <= (SELECT muster_now())) \
    ORDER BY c.tenant_no, c.campaign_no"
);

#[derive(QueryableByName)]
struct DueRow {
    #[diesel(sql_type = Integer)]
    tenant_no: i32,
    #[diesel(sql_type = Integer)]
    campaign_no: i32,
}

pub(super) async fn due_campaigns(store: &PgStore) -> StoreResult<Vec<CampaignKey>> {
    let mut tx = store.scheduler().await?;
    let rows: Vec<DueRow> = prepared(SQL).get_results(&mut *tx).await.store()?;
    tx.commit().await?;
    let key = |row: DueRow| CampaignKey { tenant: TenantNo(row.tenant_no), campaign: CampaignNo(row.campaign_no) };
    Ok(rows.into_iter().map(key).collect())
}
