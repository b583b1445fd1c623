//! Prolonging leases.

use super::{lease_ms, open};
use crate::postgres::delivery_keys::DeliveryColumns;
use crate::postgres::prepared::prepared;
use crate::postgres::{PgStore, StoreErrorExt};
use diesel::QueryableByName;
use diesel::sql_types::{Array, BigInt, Integer, SmallInt};
use diesel_async::RunQueryDsl;
use muster_domain::model::delivery::{Attempt, Epoch};
use muster_domain::model::ids::TenantNo;
use muster_domain::ports::delivery::RenewReport;
use muster_domain::ports::store::{StoreError, StoreResult};
use std::collections::BTreeMap;

/// Tenant by tenant; the trouble of one keeps nobody else's from being prolonged, but where storage is away for all of them.
pub(super) async fn renew(store: &PgStore, attempts: &[Attempt]) -> RenewReport {
    let mut tenants: BTreeMap<TenantNo, Vec<&Attempt>> = BTreeMap::new();
    for attempt in attempts {
        tenants.entry(attempt.key.tenant).or_default().push(attempt);
    }
    let mut report = RenewReport::default();
    for (tenant, attempts) in tenants {
        match renew_of(store, tenant, &attempts).await {
            Ok(renewed) => report.renewed.extend(renewed),
            Err(error) => {
                let away = matches!(error, StoreError::Unavailable(_));
                report.trouble = Some(error);
                if away {
                    break;
                }
            }
        }
    }
    report
}

#[derive(QueryableByName)]
struct RenewedRow {
    #[diesel(embed)]
    delivery: DeliveryColumns,
    #[diesel(sql_type = Integer)]
    epoch: i32,
}

/// Rows that somebody holds are left out: whoever holds one is beginning or ending it this moment.
async fn renew_of(store: &PgStore, tenant: TenantNo, attempts: &[&Attempt]) -> StoreResult<Vec<Attempt>> {
    let mut tx = open(store, tenant).await?;
    let rows: Vec<RenewedRow> = prepared(
        "UPDATE outbox o SET lease_until = clock_timestamp() + $7 * interval '1 millisecond' FROM ( \
             SELECT k.* FROM unnest($2::int[], $3::bigint[], $4::smallint[], $5::int[], $6::int[]) \
                 AS a (campaign_no, contact_no, step, pass, epoch) \
             CROSS JOIN LATERAL (SELECT tenant_no, campaign_no, contact_no, step, pass FROM outbox \
                 WHERE tenant_no = $1 AND campaign_no = a.campaign_no AND contact_no = a.contact_no AND step = a.step \
                 AND pass = a.pass AND epoch = a.epoch AND state IN ('c', 's') FOR UPDATE SKIP LOCKED) AS k OFFSET 0) AS w \
         WHERE o.tenant_no = w.tenant_no AND o.campaign_no = w.campaign_no AND o.contact_no = w.contact_no \
         AND o.step = w.step AND o.pass = w.pass RETURNING o.campaign_no, o.contact_no, o.step, o.pass, o.epoch",
    )
    .bind::<Integer, _>(tenant.0)
    .bind::<Array<Integer>, _>(attempts.iter().map(|one| one.key.campaign.0).collect::<Vec<_>>())
    .bind::<Array<BigInt>, _>(attempts.iter().map(|one| one.key.contact.0).collect::<Vec<_>>())
    .bind::<Array<SmallInt>, _>(attempts.iter().map(|one| one.key.step.0).collect::<Vec<_>>())
    .bind::<Array<Integer>, _>(attempts.iter().map(|one| one.key.pass.0).collect::<Vec<_>>())
    .bind::<Array<Integer>, _>(attempts.iter().map(|one| one.epoch.0).collect::<Vec<_>>())
    .bind::<BigInt, _>(lease_ms())
    .get_results(&mut *tx)
    .await
    .store()?;
    tx.commit().await?;
    let attempt = |row: RenewedRow| Attempt { key: row.delivery.key(tenant), epoch: Epoch(row.epoch) };
    Ok(rows.into_iter().map(attempt).collect())
}
