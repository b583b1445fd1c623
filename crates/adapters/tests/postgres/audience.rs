//! A tenant with contacts and a campaign, put in place with plain SQL.

use diesel::sql_types::{BigInt, Jsonb};
use diesel::{QueryableByName, sql_query};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use muster_adapters::postgres::{PgStore, PoolOptions};
use muster_domain::model::contact::{ContactFacts, FieldValue};
use muster_domain::model::ids::{ContactNo, TenantNo, WorkspaceNo};
use muster_domain::ports::store::Workspace;
use muster_testkit::database::TestDatabase;
use serde_json::{Value, json};

/// The workspace that [`tenant`] makes first.
pub(crate) const HERE: Workspace = Workspace { tenant: TenantNo(1), workspace: WorkspaceNo(1) };
/// Another workspace of the same tenant.
pub(crate) const NEXT_DOOR: Workspace = Workspace { tenant: TenantNo(1), workspace: WorkspaceNo(2) };
/// Another tenant's workspace.
pub(crate) const ELSEWHERE: Workspace = Workspace { tenant: TenantNo(2), workspace: WorkspaceNo(3) };

/// A database with [`HERE`], [`NEXT_DOOR`] and [`ELSEWHERE`], and storage over it.
pub(crate) async fn database() -> (TestDatabase, PgStore) {
    let database = TestDatabase::create().await;
    database
        .run_sql(
            "INSERT INTO tenants (id, name, created_at) VALUES (gen_random_uuid(), 'one', now()), (gen_random_uuid(), 'two', now()); \
             INSERT INTO workspaces (tenant_no, id, name, created_at) SELECT t, gen_random_uuid(), n, now() \
             FROM (VALUES (1, 'main'), (1, 'second'), (2, 'main')) v(t, n)",
        )
        .await;
    let store = PgStore::new(database.url(), PoolOptions::default()).unwrap();
    (database, store)
}

#[derive(QueryableByName)]
pub(crate) struct Count {
    #[diesel(sql_type = BigInt)]
    pub(crate) n: i64,
}

/// What `sql` selects as `n`.
pub(crate) async fn count(conn: &mut AsyncPgConnection, sql: &str) -> i64 {
    sql_query(sql).get_result::<Count>(conn).await.unwrap().n
}

/// Stores contacts with these facts and answers with their numbers, in order.
pub(crate) async fn store_contacts(
    conn: &mut AsyncPgConnection,
    of: Workspace,
    people: &[ContactFacts],
) -> Vec<ContactNo> {
    let rows: Vec<_> = people.iter().map(row).collect();
    let (tenant, workspace) = (of.tenant.0, of.workspace.0);
    let numbers: Vec<Count> = sql_query(format!(
        "WITH person AS MATERIALIZED ( \
            SELECT p.*, o FROM jsonb_array_elements($1) WITH ORDINALITY AS e(j, o), \
            jsonb_to_record(e.j) AS p(email text, \"firstName\" text, \"lastName\" text, company text, \"jobTitle\" text, \
               city text, state text, country text, timezone text, score int, tags jsonb, custom jsonb)), \
         made AS ( \
            INSERT INTO contacts (tenant_no, workspace_no, id, email, email_key, first_name, last_name, company, \
               job_title, city, state, country, timezone, lead_score, created_at, updated_at) \
            SELECT {tenant}, {workspace}, gen_random_uuid(), email, lower(email), \"firstName\", \"lastName\", company, \
               \"jobTitle\", city, state, country, timezone, score, now(), now() FROM person ORDER BY o \
            RETURNING contact_no, email), \
         tagged AS ( \
            INSERT INTO contact_tags SELECT {tenant}, contact_no, t FROM made JOIN person USING (email), \
            jsonb_array_elements_text(tags) t), \
         described AS ( \
            INSERT INTO contact_fields (tenant_no, contact_no, name, kind, value, number) \
            SELECT {tenant}, contact_no, f->>'name', (f->>'kind')::\"char\", f->>'value', (f->>'number')::double precision \
            FROM made JOIN person USING (email), jsonb_array_elements(custom) f) \
         SELECT contact_no AS n FROM made JOIN person USING (email) ORDER BY o",
    ))
    .bind::<Jsonb, _>(Value::from(rows))
    .load(conn)
    .await
    .unwrap();
    numbers.into_iter().map(|row| ContactNo(row.n)).collect()
}

fn row(facts: &ContactFacts) -> Value {
    let mut row: serde_json::Map<String, Value> =
        facts.fields.iter().map(|(name, text)| (name.clone(), json!(text))).collect();
    row.insert("score".to_owned(), json!(facts.lead_score));
    row.insert("tags".to_owned(), json!(facts.tags));
    row.insert("custom".to_owned(), facts.custom_fields.iter().map(|(name, value)| custom(name, value)).collect());
    Value::Object(row)
}

fn custom(name: &str, value: &FieldValue) -> Value {
    let (kind, number) = match value {
        FieldValue::Text(_) => ("t", None),
        FieldValue::Number(number) => ("n", Some(*number)),
        FieldValue::Flag(_) => ("b", None),
    };
    json!({"name": name, "kind": kind, "value": value.to_text(), "number": number})
}

/// Somebody with this address.
pub(crate) fn somebody(email: &str) -> ContactFacts {
    ContactFacts { fields: [("email".to_owned(), email.to_owned())].into(), ..ContactFacts::default() }
}
