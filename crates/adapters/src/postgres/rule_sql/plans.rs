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

/// A campaign of 20,000 of which a few were opened, and another one of the same size that nobody asks about.
async fn engaged_database() -> (TestDatabase, PgStore) {
    let (database, store) = full_database().await;
    let both = "(VALUES (1), (2)) AS g (campaign_no), generate_series(1, 20000) n";
    database
        .run_sql(&format!(
            "INSERT INTO campaigns (tenant_no, workspace_no, id, name, campaign_type, status, segment_no, from_email, from_name, \
                 schedule, settings, created_by, created_at, updated_at) \
             SELECT 1, 1, lpad(n::text, 32, '0')::uuid, 'c', 'drip', 'draft', 1, 'a@x.test', 'A', '{{}}', '{{}}', \
                 gen_random_uuid(), now(), now() FROM generate_series(1, 2) n; \
             INSERT INTO messages (tenant_no, campaign_no, contact_no, step, pass, state, attempts, epoch, version, queued_at, ended_at) \
             SELECT 1, g.campaign_no, n, 1, 1, 's', 1, 1, 1, now(), now() FROM {both}; \
             INSERT INTO engagements (tenant_no, campaign_no, contact_no, step, pass, kind, link, total, human_total, first_at, \
                 first_human_at, last_human_at) \
             SELECT 1, g.campaign_no, n, 1, 1, k.kind, k.link, 1, 1, t.at, t.at, t.at FROM {both}, \
                 (VALUES ('o'::\"char\", 0::bigint), ('c', 0), ('c', 7)) AS k (kind, link), \
                 LATERAL (SELECT now() - n * interval '1 hour' AS at) t WHERE k.kind = 'o' OR n % 10 = 0; ANALYZE"
        ))
        .await;
    (database, store)
}

#[tokio::test]
async fn what_was_done_with_a_campaign_is_answered_by_index() {
    let (_database, store) = engaged_database().await;
    let campaign = "00000000-0000-0000-0000-000000000001";
    let rule = |field: &str, value: Value| json!({"field": field, "op": "eq", "value": value});
    for rule in [
        rule("opened", json!({"campaignId": campaign, "withinDays": 3})),
        rule("clicked", json!({"campaignId": campaign, "withinDays": 30})),
        rule("clicked", json!({"campaignId": campaign, "url": "https://x.test/"})),
        rule("replied", json!({"campaignId": campaign})),
    ] {
        let plan = plan_of(&store, rule.clone()).await;
        assert!(plan.contains("engagements_by_kind") && !plan.contains("Seq Scan on engagements"), "{rule}:\n{plan}");
    }
    // Of many, and of none: each line is read once, and no contact looks through all of them.
    for op in ["eq", "ne"] {
        for (field, table) in [("opened", "engagements"), ("received", "messages")] {
            let rule = json!({"field": field, "op": op, "value": {"campaignId": campaign}});
            let plan = plan_of(&store, rule.clone()).await;
            assert!(!plan.contains("SubPlan") && !plan.contains(&format!("Seq Scan on {table}")), "{rule}:\n{plan}");
        }
    }
}

#[tokio::test]
async fn what_was_received_of_any_campaign_is_answered_by_an_index_of_contacts() {
    let (database, store) = engaged_database().await;
    // Most mails on a server are another tenant's.
    database
        .run_sql(
            "INSERT INTO messages (tenant_no, campaign_no, contact_no, step, pass, state, attempts, epoch, version, queued_at, ended_at) \
             SELECT 2, 3, n, s, 1, 's', 1, 1, 1, now(), now() FROM generate_series(20001, 40000) n, generate_series(1, 10) s",
        )
        .await;
    database.run_sql("VACUUM ANALYZE messages").await;
    let received = |op: &str, value: Value| json!({"field": "received", "op": op, "value": value});
    // Of many, each contact once or all along the index; of one, a look-up by its number.
    for rule in [
        received("exists", json!(true)),
        received("eq", json!(false)),
        received("eq", json!({"withinDays": 30})),
        received("ne", json!({"withinDays": 30})),
    ] {
        let plan = plan_of(&store, rule.clone()).await;
        assert!(plan.contains("messages_by_contact") && !plan.contains("Seq Scan on messages"), "{rule}:\n{plan}");
        let one = json!({"all": [{"field": "email", "op": "eq", "value": "c7@x.test"}, rule]});
        let plan = plan_of(&store, one).await;
        let look_up = plan.lines().skip_while(|line| !line.contains("messages_by_contact"));
        assert!(look_up.take(2).any(|line| line.contains("contact_no = c.contact_no")), "{rule}, of one:\n{plan}");
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
    let of = Workspace { tenant: TenantNo(1), workspace: WorkspaceNo(1) };
    push_rule(&mut statement, of, &Rule::parse(&rule).unwrap());
    for part in ["DROP", "OR true", "1=1", "SELECT 1", "4711"] {
        assert!(!statement.sql().contains(part), "{}", statement.sql());
    }
}
