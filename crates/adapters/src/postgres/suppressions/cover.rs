//! Which entries keep an address from being mailed: the one question that beginning a delivery and everybody else asks.

use crate::postgres::StoreErrorExt;
use crate::postgres::prepared::prepared;
use chrono::{DateTime, Utc};
use diesel::QueryableByName;
use diesel::sql_types::{Array, Integer, Nullable, Text, Timestamptz};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use muster_domain::model::ids::TenantNo;
use muster_domain::model::suppression::{Entry, Suppression, SuppressionReason};
use muster_domain::ports::store::{StoreError, StoreResult};

/// Two probes of a primary key for each address: the address and its domain among the entries, its pseudonym among those
/// who were erased. The first subquery is finished before the second (`OFFSET 0`), so that what is looked up are plain
/// values, which an index may be asked for under row-level security.
pub(crate) const SQL: &str = "SELECT u.email_key, x.entry, x.reason, x.source, x.created_at FROM ( \
        SELECT a.email_key, ARRAY[a.email_key, split_part(a.email_key, '@', 2)] AS entries, \
            muster_pseudonym(a.email_key, k.inner_key, k.outer_key) AS hash \
        FROM unnest($2::text[]) AS a (email_key) LEFT JOIN suppression_keys k ON k.tenant_no = $1 OFFSET 0) AS u \
    CROSS JOIN LATERAL ( \
        SELECT entry, reason, source, created_at FROM suppressions WHERE tenant_no = $1 AND entry = ANY(u.entries) \
        UNION ALL \
        SELECT NULL, reason, 'erasure', created_at FROM erased_addresses WHERE tenant_no = $1 AND hash = u.hash \
        OFFSET 0) AS x";

/// An entry, and the address that it covers.
#[derive(QueryableByName)]
pub(crate) struct CoverRow {
    /// The address that was asked about.
    #[diesel(sql_type = Text)]
    pub(crate) email_key: String,
    #[diesel(sql_type = Nullable<Text>)]
    entry: Option<String>,
    /// Why it is not mailed.
    #[diesel(sql_type = Text)]
    pub(crate) reason: String,
    #[diesel(sql_type = Text)]
    source: String,
    #[diesel(sql_type = Timestamptz)]
    created_at: DateTime<Utc>,
}

/// Every entry that covers one of these addresses, by their keys.
pub(crate) async fn covering(
    mut conn: &AsyncPgConnection,
    tenant: TenantNo,
    email_keys: Vec<String>,
) -> StoreResult<Vec<CoverRow>> {
    prepared(SQL).bind::<Integer, _>(tenant.0).bind::<Array<Text>, _>(email_keys).get_results(&mut conn).await.store()
}

impl CoverRow {
    pub(super) fn into_suppression(self) -> StoreResult<Suppression> {
        let reason = read_reason(&self.reason)?;
        let entry = self.entry.map_or(Entry::Erased, Entry::of_key);
        Ok(Suppression { entry, reason, source: self.source, created_at: self.created_at })
    }
}

/// A reason as rows have it.
pub(super) fn read_reason(stored: &str) -> StoreResult<SuppressionReason> {
    let corrupt = || StoreError::Corrupt { table: "suppressions", column: "reason", id: stored.to_owned() };
    SuppressionReason::parse(stored).ok_or_else(corrupt)
}

#[cfg(test)]
mod tests {
    use super::*;
    use diesel_async::SimpleAsyncConnection;
    use muster_testkit::database::TestDatabase;

    #[derive(QueryableByName)]
    struct PlanRow {
        #[diesel(sql_type = Text)]
        #[diesel(column_name = "QUERY PLAN")]
        line: String,
    }

    #[tokio::test]
    async fn an_address_is_looked_up_by_two_keys_whatever_is_known_of_the_tables() {
        let database = TestDatabase::create().await;
        database
            .run_sql(
                "INSERT INTO tenants (id, name, created_at) VALUES (gen_random_uuid(), 'one', now()); \
                 INSERT INTO suppressions SELECT 1, 'c' || n || '@x.test', 'manual', 'api', now() FROM generate_series(1, 20000) n; \
                 INSERT INTO erased_addresses SELECT 1, sha256(n::text::bytea), 'erased', now() FROM generate_series(1, 20000) n",
            )
            .await;
        let mut conn = database.connect().await;
        conn.batch_execute(&format!(
            "SET ROLE muster_app; SET app.tenant_no = '1'; PREPARE cover (int, text[]) AS {SQL}"
        ))
        .await
        .unwrap();
        for analyzed in [false, true] {
            if analyzed {
                database.run_sql("ANALYZE suppressions; ANALYZE erased_addresses").await;
            }
            for mode in ["force_custom_plan", "force_generic_plan"] {
                conn.batch_execute(&format!("SET plan_cache_mode = {mode}")).await.unwrap();
                let explain = "EXPLAIN EXECUTE cover (1, '{a@x.test,b@y.test}')";
                let rows: Vec<PlanRow> = diesel::sql_query(explain).get_results(&mut conn).await.unwrap();
                let plan: String = rows.into_iter().map(|row| row.line + "\n").collect();
                let probed = |key: &str| plan.lines().any(|line| line.contains("Index Cond") && line.contains(key));
                assert!(probed(" AND (entry = ANY (") && probed(" AND (hash = "), "{plan}");
                assert!(!plan.contains("Seq Scan on suppressions"), "{plan}");
                assert!(!plan.contains("Seq Scan on erased_addresses"), "{plan}");
                assert!(!plan.contains("Filter: (entry") && !plan.contains("Filter: (hash"), "{plan}");
            }
        }
    }
}
