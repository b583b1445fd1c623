//! Putting entries on the list; set-based.

use crate::postgres::StoreErrorExt;
use crate::postgres::schema::suppressions;
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, Integer, Text, Timestamptz};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use muster_domain::model::ids::TenantNo;
use muster_domain::model::suppression::NewSuppression;
use muster_domain::ports::store::StoreResult;
use std::collections::BTreeSet;

#[derive(QueryableByName)]
struct AddedRow {
    #[diesel(sql_type = Text)]
    entry: String,
}

/// The keys that are not on the list, as far as that is committed.
pub(super) async fn not_listed(
    conn: &mut AsyncPgConnection,
    tenant: TenantNo,
    entries: &[NewSuppression],
) -> StoreResult<Vec<String>> {
    let keys: BTreeSet<String> = entries.iter().map(|new| new.what.key()).collect();
    let listed: Vec<String> = suppressions::table
        .filter(suppressions::tenant_no.eq(tenant.0).and(suppressions::entry.eq_any(&keys)))
        .select(suppressions::entry)
        .load(conn)
        .await
        .store()?;
    let listed: BTreeSet<String> = listed.into_iter().collect();
    Ok(keys.difference(&listed).cloned().collect())
}

/// The keys that were added: not those on the list, nor addresses of people who were erased.
pub(super) async fn insert(
    conn: &mut AsyncPgConnection,
    tenant: TenantNo,
    entries: &[NewSuppression],
    now: DateTime<Utc>,
) -> StoreResult<Vec<String>> {
    let column = |of: fn(&NewSuppression) -> String| entries.iter().map(of).collect::<Vec<_>>();
    let added: Vec<AddedRow> = diesel::sql_query(
        "INSERT INTO suppressions (tenant_no, entry, reason, source, created_at) \
         SELECT $1, u.entry, u.reason, u.source, $5 FROM ( \
            SELECT n.*, muster_pseudonym(n.entry, k.inner_key, k.outer_key) AS hash \
            FROM unnest($2::text[], $3::text[], $4::text[]) AS n (entry, reason, source) \
            LEFT JOIN suppression_keys k ON k.tenant_no = $1 ORDER BY n.entry OFFSET 0) AS u \
         WHERE NOT EXISTS (SELECT FROM erased_addresses e WHERE e.tenant_no = $1 AND e.hash = u.hash OFFSET 0) \
         ON CONFLICT DO NOTHING RETURNING entry",
    )
    .bind::<Integer, _>(tenant.0)
    .bind::<Array<Text>, _>(column(|new| new.what.key()))
    .bind::<Array<Text>, _>(column(|new| new.reason.as_str().to_owned()))
    .bind::<Array<Text>, _>(column(|new| new.source.clone()))
    .bind::<Timestamptz, _>(now)
    .load(conn)
    .await
    .store()?;
    Ok(added.into_iter().map(|row| row.entry).collect())
}
