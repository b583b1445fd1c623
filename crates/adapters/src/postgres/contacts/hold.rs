//! Holding the contacts of an address, so that no delivery to them begins.

use crate::postgres::error::StoreErrorExt;
use diesel::QueryableByName;
use diesel::sql_types::{Array, BigInt, Integer, Nullable, Text};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use muster_domain::model::ids::{ContactNo, TenantNo};
use muster_domain::ports::store::StoreResult;

#[derive(QueryableByName)]
struct NumberRow {
    #[diesel(sql_type = BigInt)]
    contact_no: i64,
}

#[derive(QueryableByName)]
struct HeldRow {
    #[diesel(sql_type = BigInt)]
    contact_no: i64,
    #[diesel(sql_type = Nullable<Text>)]
    email_key: Option<String>,
}

/// Holds the contacts with these address keys in every workspace of the tenant `FOR UPDATE`, in rising order, so that two
/// callers never wait for each other in a circle. Those of `also` are held with them, and in the answer unless their address has
/// just changed.
pub(in crate::postgres) async fn hold(
    conn: &mut AsyncPgConnection,
    tenant: TenantNo,
    email_keys: &[String],
    also: &[ContactNo],
) -> StoreResult<Vec<ContactNo>> {
    // One probe for each address, see `rows`.
    let found: Vec<NumberRow> = diesel::sql_query(
        "SELECT c.contact_no FROM unnest($2::text[]) AS u (email_key) CROSS JOIN LATERAL \
         (SELECT contact_no FROM contacts WHERE tenant_no = $1 AND email_key = u.email_key OFFSET 0) AS c",
    )
    .bind::<Integer, _>(tenant.0)
    .bind::<Array<Text>, _>(email_keys)
    .load(conn)
    .await
    .store()?;
    let mut numbers: Vec<i64> = found.into_iter().map(|row| row.contact_no).chain(also.iter().map(|no| no.0)).collect();
    numbers.sort_unstable();
    numbers.dedup();
    let held: Vec<HeldRow> = diesel::sql_query(
        "SELECT contact_no, email_key FROM contacts WHERE tenant_no = $1 AND contact_no = ANY($2) \
         ORDER BY contact_no FOR UPDATE",
    )
    .bind::<Integer, _>(tenant.0)
    .bind::<Array<BigInt>, _>(numbers)
    .load(conn)
    .await
    .store()?;
    let same = |row: &HeldRow| row.email_key.as_ref().is_some_and(|key| email_keys.contains(key));
    Ok(held.into_iter().filter(same).map(|row| ContactNo(row.contact_no)).collect())
}
