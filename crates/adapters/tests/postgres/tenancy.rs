//! Row-level security under every table: whatever a statement forgets, a tenant sees its own rows only.

use crate::fixture::Fixture;
use diesel::QueryableByName;
use diesel::result::Error;
use diesel::sql_types::{BigInt, Text};
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use muster_domain::ports::store::Store;

#[derive(QueryableByName)]
struct Name {
    #[diesel(sql_type = Text)]
    name: String,
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    n: i64,
}

const A_SMALL_DRIP: &str = r#"[{"no": 1, "id": "00000000-0000-7000-8000-000000000001", "order": 1, "name": "mail", "stepType": "email",
    "content": {"subjectLine": "Hello", "emailContent": "<p>Hello</p>"}, "next": "end"}]"#;

async fn names(conn: &mut AsyncPgConnection, sql: &str) -> Vec<String> {
    diesel::sql_query(sql).get_results::<Name>(conn).await.unwrap().into_iter().map(|row| row.name).collect()
}

/// Every table with a tenant's rows; the migrations' own bookkeeping and the clock have none.
async fn tenant_tables(conn: &mut AsyncPgConnection) -> Vec<String> {
    names(
        conn,
        "SELECT relname::text AS name FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace \
         AND relname NOT IN ('__diesel_schema_migrations', 'virtual_clock') ORDER BY 1",
    )
    .await
}

async fn count(conn: &mut AsyncPgConnection, table: &str) -> Result<i64, Error> {
    diesel::sql_query(format!("SELECT count(*) AS n FROM {table}")).get_result::<Count>(conn).await.map(|count| count.n)
}

/// Two tenants with a row in every table.
async fn two_full_tenants() -> (Fixture, [i32; 2]) {
    let fixture = Fixture::new().await;
    let mut tenants = [0; 2];
    for tenant in &mut tenants {
        let seed = fixture.campaign(A_SMALL_DRIP).await;
        let contact = fixture.contacts(&seed, 1..=1).await;
        let (t, w, c) = (seed.key.tenant.0, seed.workspace.workspace.0, seed.key.campaign.0);
        *tenant = t;
        fixture
            .sql(&format!(
                "INSERT INTO contact_tags VALUES ({t}, {contact}, 'vip'); \
                 INSERT INTO contact_fields (tenant_no, contact_no, name, kind, value) VALUES ({t}, {contact}, 'plan', 't', 'gold'); \
                 INSERT INTO suppressions VALUES ({t}, 'gone@example.org', 'manual', 'test', now()); \
                 INSERT INTO erased_addresses VALUES ({t}, sha256('gone'), 'erased', now()); \
                 INSERT INTO api_keys (tenant_no, workspace_no, id, prefix, secret_hash, name, scopes, created_at) \
                     VALUES ({t}, {w}, gen_random_uuid(), 'prefix{t}', '\\x00', 'key', '{{}}', now()); \
                 INSERT INTO enrollments (tenant_no, campaign_no, contact_no, due_at, enrolled_at, version, step, status) \
                     VALUES ({t}, {c}, {contact}, now(), now(), 1, 1, 'e'); \
                 INSERT INTO enrollment_history (tenant_no, campaign_no, contact_no, at, version, path) VALUES ({t}, {c}, {contact}, now(), 1, '{{1,6}}'); \
                 INSERT INTO outbox (tenant_no, campaign_no, contact_no, step, pass, due_at, queued_at, version, next_step) \
                     VALUES ({t}, {c}, {contact}, 1, 1, now(), now(), 1, 0); \
                 INSERT INTO messages VALUES ({t}, {c}, {contact}, 1, 2, 's', 1, 1, 1, now(), now(), 'ok'); \
                 INSERT INTO campaign_counters VALUES ({t}, {c}); INSERT INTO step_counters VALUES ({t}, {c}, 1); \
                 INSERT INTO stats VALUES ({t}, {c}, 1, now()); INSERT INTO sending_quota VALUES ({t}, {c}, 'd', now(), 1); \
                 INSERT INTO delivery_decisions (tenant_no, campaign_no, contact_no, step, pass, at, decision, evidence, state) \
                     VALUES ({t}, {c}, {contact}, 1, 2, now(), 's', 'l', 'd'); \
                 INSERT INTO events VALUES ({t}, {c}, {contact}, 1, 2, 'o', gen_random_uuid(), 0, now()); \
                 INSERT INTO engagements VALUES ({t}, {c}, {contact}, 1, 2, 'o'); INSERT INTO links VALUES ({t}, {c}, 1, 7, 'https://example.org'); \
                 INSERT INTO link_stats VALUES ({t}, {c}, 1, 7, now()); INSERT INTO event_horizons VALUES ({t}, now()); \
                 INSERT INTO hooks (tenant_no, workspace_no, id, name, created_at) VALUES ({t}, {w}, gen_random_uuid(), 'hook', now()); \
                 INSERT INTO hook_receipts (tenant_no, hook_no, receipt, content) VALUES ({t}, 1, '\\x00', '\\x00'); \
                 INSERT INTO soft_bounces VALUES ({t}, {contact}, {c}, 1, 2, now()); \
                 INSERT INTO idempotency_keys (tenant_no, workspace_no, key, fingerprint, status, headers, body) VALUES ({t}, {w}, 'k', '\\x00', 200, '[]', '');"
            ))
            .await;
    }
    (fixture, tenants)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_table_has_row_level_security_enabled_and_forced_with_both_policies() {
    let fixture = Fixture::new().await;
    let mut conn = fixture.database.connect().await;
    let unprotected = names(
        &mut conn,
        "SELECT relname::text AS name FROM pg_class c WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace \
         AND relname NOT IN ('__diesel_schema_migrations', 'virtual_clock') AND NOT (relrowsecurity AND relforcerowsecurity \
         AND EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid AND polname = 'tenant' AND polqual IS NOT NULL AND polwithcheck IS NOT NULL))",
    )
    .await;
    assert_eq!(unprotected, Vec::<String>::new());
    let keyed_otherwise = names(
        &mut conn,
        "SELECT c.relname::text AS name FROM pg_class c LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_no' AND a.attnotnull \
         WHERE c.relkind IN ('r', 'p') AND c.relnamespace = 'public'::regnamespace AND a.attname IS NULL \
         AND c.relname NOT IN ('__diesel_schema_migrations', 'virtual_clock')",
    )
    .await;
    assert_eq!(keyed_otherwise, Vec::<String>::new(), "tables without a tenant");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_roles_own_nothing_and_cannot_bypass() {
    let fixture = Fixture::new().await;
    let mut conn = fixture.database.connect().await;
    let mighty = names(
        &mut conn,
        "SELECT rolname::text AS name FROM pg_roles WHERE rolname IN ('muster_app', 'muster_scheduler') \
         AND (rolsuper OR rolbypassrls OR rolcanlogin OR rolcreaterole OR rolcreatedb OR rolreplication \
         OR EXISTS (SELECT FROM pg_class WHERE relowner = pg_roles.oid) OR EXISTS (SELECT FROM pg_auth_members WHERE member = pg_roles.oid))",
    )
    .await;
    assert_eq!(mighty, Vec::<String>::new());
    let may_truncate = names(
        &mut conn,
        "SELECT relname::text AS name FROM pg_class, unnest(ARRAY['muster_app', 'muster_scheduler']) AS r \
         WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND (has_table_privilege(r, oid, 'TRUNCATE') OR has_table_privilege(r, oid, 'TRIGGER'))",
    )
    .await;
    assert_eq!(may_truncate, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_tenant_there_is_no_row_and_with_one_only_its_own() {
    let (fixture, [a, b]) = two_full_tenants().await;
    let mut conn = fixture.database.connect().await;
    let tables = tenant_tables(&mut conn).await;
    assert!(tables.len() >= 19, "{tables:?}");
    for table in &tables {
        assert_eq!(count(&mut conn, table).await.unwrap() % 2, 0, "{table} has a row for each tenant");
        assert!(count(&mut conn, table).await.unwrap() >= 2, "{table} is empty, so this would prove nothing");
    }
    conn.batch_execute("SET ROLE muster_app").await.unwrap();
    for table in &tables {
        assert_eq!(count(&mut conn, table).await.unwrap(), 0, "{table} without a tenant");
    }
    for (own, other) in [(a, b), (b, a)] {
        conn.batch_execute(&format!("SET app.tenant_no = '{own}'")).await.unwrap();
        for table in &tables {
            assert!(count(&mut conn, table).await.unwrap() >= 1, "{table}");
            assert_eq!(count(&mut conn, &format!("{table} WHERE tenant_no <> {own}")).await.unwrap(), 0, "{table}");
            let moved = conn.batch_execute(&format!("UPDATE {table} SET tenant_no = {other}")).await;
            assert!(moved.is_err(), "rows of {table} can be given to another tenant");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_scheduler_reads_nothing_personal() {
    let fixture = Fixture::new().await;
    let mut conn = fixture.database.connect().await;
    let columns = names(
        &mut conn,
        "SELECT p.table_name || '.' || p.column_name AS name FROM information_schema.column_privileges p \
         JOIN information_schema.columns c USING (table_schema, table_name, column_name) \
         WHERE p.grantee = 'muster_scheduler' AND c.udt_name IN ('text', 'jsonb', '_text', 'bytea') ORDER BY 1",
    )
    .await;
    // Names of tenants and workspaces are how the command line finds them; the others are states, and what a key is checked by.
    let harmless = [
        "api_keys.prefix",
        "api_keys.scopes",
        "api_keys.secret_hash",
        "campaigns.campaign_type",
        "campaigns.enrollment_state",
        "campaigns.status",
        "tenants.name",
        "workspaces.name",
    ];
    let personal: Vec<_> = columns.iter().filter(|column| !harmless.contains(&column.as_str())).collect();
    assert_eq!(personal, Vec::<&String>::new());
    conn.batch_execute("SET ROLE muster_scheduler").await.unwrap();
    for table in ["contacts", "contact_tags", "contact_fields", "suppressions", "messages", "idempotency_keys"] {
        assert!(count(&mut conn, table).await.is_err(), "{table} can be read");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pooled_connection_keeps_nothing_of_the_tenant_before() {
    use muster_adapters::postgres::{PgStore, PoolOptions};
    let fixture = Fixture::new().await;
    let (one, two) = (fixture.campaign(A_SMALL_DRIP).await, fixture.campaign(A_SMALL_DRIP).await);
    let store = PgStore::new(fixture.database.url(), PoolOptions { max_size: 1, ..PoolOptions::default() }).unwrap();
    for turn in 0..200 {
        let (own, other) = if turn % 2 == 0 { (&one, &two) } else { (&two, &one) };
        let mut tx = store.begin(own.workspace).await.unwrap();
        assert!(tx.campaigns().find(own.id).await.unwrap().is_some());
        assert!(tx.campaigns().find(other.id).await.unwrap().is_none());
        match turn % 3 {
            0 => tx.commit().await.unwrap(),
            1 => tx.rollback().await.unwrap(),
            _ => drop(tx),
        }
    }
}
