//! What an erasure leaves of an address: a keyed hash, so that whoever comes again under it is not mailed.

use crate::postgres::StoreErrorExt;
use chrono::{DateTime, Utc};
use diesel::sql_types::{Integer, Text, Timestamptz};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use muster_domain::model::ids::TenantNo;
use muster_domain::ports::store::StoreResult;

/// Puts the hash in the place of the address: the entry is gone, its reason and age stay. An address without an entry is
/// suppressed as `erased` from now on. The same again changes nothing.
pub(crate) async fn keep_hash(
    conn: &mut AsyncPgConnection,
    tenant: TenantNo,
    email_key: &str,
    now: DateTime<Utc>,
) -> StoreResult<()> {
    diesel::sql_query(
        "WITH listed AS (DELETE FROM suppressions WHERE tenant_no = $1 AND entry = $2 RETURNING reason, created_at) \
         INSERT INTO erased_addresses (tenant_no, hash, reason, created_at) \
         SELECT $1, (SELECT muster_pseudonym($2, inner_key, outer_key) FROM suppression_keys WHERE tenant_no = $1), \
            coalesce((SELECT reason FROM listed), 'erased'), coalesce((SELECT created_at FROM listed), $3) \
         ON CONFLICT DO NOTHING",
    )
    .bind::<Integer, _>(tenant.0)
    .bind::<Text, _>(email_key)
    .bind::<Timestamptz, _>(now)
    .execute(conn)
    .await
    .store()?;
    Ok(())
}

/// Forgets that somebody with this address was erased; false when nobody was.
pub(super) async fn lift(conn: &mut AsyncPgConnection, tenant: TenantNo, email_key: &str) -> StoreResult<bool> {
    let lifted = diesel::sql_query(
        "DELETE FROM erased_addresses WHERE tenant_no = $1 AND hash = \
            (SELECT muster_pseudonym($2, inner_key, outer_key) FROM suppression_keys WHERE tenant_no = $1)",
    )
    .bind::<Integer, _>(tenant.0)
    .bind::<Text, _>(email_key)
    .execute(conn)
    .await
    .store()?;
    Ok(lifted > 0)
}
