//! Rules find their index under row-level security, as the application's role.

use super::*;
use crate::postgres::{PgStore, PoolOptions, StoreErrorExt};
use diesel::QueryableByName;
use diesel_async::RunQueryDsl;
use muster_domain::model::ids::{TenantNo, WorkspaceNo};
use muster_testkit::database::TestDatabase;
use serde_json::{Value, json};

#[derive(QueryableByName)]
struct Line {
    #[diesel(sql_type = diesel::sql_types::Text, column_name = "QUERY PLAN")]
    line: String,
}

async fn full_database() -> (TestDatabase, PgStore) {
    let database = TestDatabase::create().await;
    database
        .run_sql(
            "INSERT INTO tenants (id, name, created_at) VALUES (gen_random_uuid(), 'one', now()); \
             INSERT INTO workspaces (tenant_no, id, name, created_at) VALUES (1, gen_random_uuid(), 'main', now()); \
             INSERT INTO contacts (tenant_no, workspace_no, id, email, email_key, created_at, updated_at) \
             SELECT 1, 1, gen_random_uuid(), 'c' || n || '@x.test', 'c' || n || '@x.test', now(), now() FROM generate_series(1, 20000) n; \
             INSERT INTO contact_tags SELECT 1, n, 'tag' || n % 500 FROM generate_series(1, 20000) n; \
             INSERT INTO contact_fields (tenant_no, contact_no, name, kind, value) \
             SELECT 1, n, 'plan', 't', 'Plan ' || n % 500 FROM generate_series(1, 20000) n; \
             INSERT INTO contact_fields (tenant_no, contact_no, name, kind, value, number) \
             SELECT 1, n, 'seats', 'n', n % 500, n % 500 FROM generate_series(1, 20000) n; \
             INSERT INTO segments (tenant_no, workspace_no, id, name, kind, created_at, updated_at) \
             VALUES (1, 1, gen_random_uuid(), 's', 'static', now(), now()); \
             INSERT INTO segment_members SELECT 1, 1 + (n % 1000 > 0)::int, n FROM generate_series(1, 20000) n; ANALYZE",
        )
        .await;
    let store = PgStore::new(database.url(), PoolOptions::default()).unwrap();
    (database, store)
}

async fn plan(store: &PgStore, members: Members<'_>) -> String {
    let of = Workspace { tenant: TenantNo(1), workspace: WorkspaceNo(1) };
    let mut statement = Statement::new("EXPLAIN SELECT count(*)");
    push_from(&mut statement, of, members);
    let mut tx = store.app(of.tenant).await.unwrap();
    let lines: Vec<Line> = statement.into_query().load(&mut *tx).await.store().unwrap();
    tx.rollback().await.unwrap();
    lines.into_iter().map(|row| row.line + "\n").collect()
}

async fn plan_of(store: &PgStore, rule: Value) -> String {
    plan(store, Members::Matching(&Rule::parse(&rule).unwrap())).await
}

#[tokio::test]
async fn equality_of_tags_custom_fields_and_addresses_is_answered_by_index() {
    let (_database, store) = full_database().await;
    let compare = |field: &str, op: &str, value: Value| json!({"field": field, "op": op, "value": value});
    for (rule, index) in [
        (compare("tags", "contains", json!("TAG7")), "contact_tags_by_tag"),
        (compare("tags", "in", json!(["tag7", "tag8"])), "contact_tags_by_tag"),
        (compare("customFields.plan", "eq", json!("plan 7")), "contact_fields_by_value"),
        (compare("customFields.plan", "in", json!(["plan 7", "plan 8"])), "contact_fields_by_value"),
        (compare("customFields.seats", "eq", json!(7)), "contact_fields_by_number"),
        (compare("customFields.seats", "gte", json!(499)), "contact_fields_by_number"),
        (compare("email", "eq", json!("C7@x.test")), "email_key"),
    ] {
        let plan = plan_of(&store, rule.clone()).await;
        assert!(plan.contains(index), "{rule} does not use {index}:\n{plan}");
        assert!(!plan.contains("Seq Scan"), "{rule} reads a whole table:\n{plan}");
        let combined = json!({"all": [rule.clone(), compare("leadScore", "gte", json!(0))]});
        let plan = plan_of(&store, combined).await;
        assert!(plan.contains(index) && !plan.contains("Seq Scan"), "{rule} beside another comparison:\n{plan}");
    }
}

#[tokio::test]
async fn a_list_is_read_by_its_key() {
    let (_database, store) = full_database().await;
    let plan = plan(&store, Members::Listed(SegmentNo(1))).await;
    assert!(plan.contains("segment_members_pkey") && !plan.contains("Seq Scan on contacts"), "{plan}");
}

/// Without statistics the planner takes both for a row or two, and compares each of one with each of the other.
#[tokio::test]
async fn right_after_an_import_a_list_is_read_once_and_each_of_its_contacts_looked_up() {
    let database = TestDatabase::create().await;
    database
        .run_sql(
            "ALTER TABLE contacts SET (autovacuum_enabled = false); ALTER TABLE segment_members SET (autovacuum_enabled = false); \
             INSERT INTO tenants (id, name, created_at) VALUES (gen_random_uuid(), 'one', now()); \
             INSERT INTO workspaces (tenant_no, id, name, created_at) VALUES (1, gen_random_uuid(), 'main', now()); \
             INSERT INTO contacts (tenant_no, workspace_no, id, email, email_key, created_at, updated_at) \
             SELECT 1, 1, gen_random_uuid(), 'c' || n || '@x.test', 'c' || n || '@x.test', now(), now() FROM generate_series(1, 5000) n; \
             INSERT INTO segment_members SELECT 1, 1, n FROM generate_series(1, 5000) n",
        )
        .await;
    let store = PgStore::new(database.url(), PoolOptions::default()).unwrap();
    let plan = plan(&store, Members::Listed(SegmentNo(1))).await;
    assert!(plan.contains("(contact_no = m.contact_no)") && !plan.contains("Join Filter"), "{plan}");
}

#[test]
fn no_value_of_a_rule_becomes_text_of_the_statement() {
    let rule = json!({"any": [
        {"field": "customFields.plan", "op": "in", "value": ["'; DROP TABLE contacts; --", "') OR true --", 4711]},
        {"field": "city", "op": "startsWith", "value": "%' OR 1=1"},
        {"field": "tags", "op": "eq", "value": "\\'; SELECT 1"},
    ]});
    let mut statement = Statement::new("");
    push_rule(&mut statement, &Rule::parse(&rule).unwrap());
    for part in ["DROP", "OR true", "1=1", "SELECT 1", "4711"] {
        assert!(!statement.sql().contains(part), "{}", statement.sql());
    }
}
