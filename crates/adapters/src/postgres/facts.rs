//! What is known of many contacts at once: three statements in one flight, however many.
//!
//! Each contact is looked up by its key, row by row: right after a big import the planner knows no statistics, and would
//! read a list given to `= ANY` through whatever index begins with the tenant.

use super::StoreErrorExt;
use super::prepared::prepared;
use super::rule_sql::push_engaged;
use super::statement::{Bind, Statement};
use diesel::QueryableByName;
use diesel::sql_types::{Array, BigInt, CChar, Double, Integer, Nullable, Text};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use futures::try_join;
use muster_domain::model::contact::{ContactFacts, FieldValue};
use muster_domain::model::ids::{CampaignNo, ContactNo, TenantNo};
use muster_domain::model::rules::Engaged;
use muster_domain::ports::store::{StoreResult, Workspace};
use std::collections::HashMap;

#[derive(QueryableByName)]
struct ContactRow {
    #[diesel(sql_type = BigInt)]
    contact_no: i64,
    #[diesel(sql_type = Nullable<Text>)]
    email: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    first_name: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    last_name: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    company: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    job_title: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    city: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    state: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    country: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    timezone: Option<String>,
    #[diesel(sql_type = Integer)]
    lead_score: i32,
}

#[derive(QueryableByName)]
struct TagRow {
    #[diesel(sql_type = BigInt)]
    contact_no: i64,
    #[diesel(sql_type = Text)]
    tag: String,
}

#[derive(QueryableByName)]
struct FieldRow {
    #[diesel(sql_type = BigInt)]
    contact_no: i64,
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = CChar)]
    kind: u8,
    #[diesel(sql_type = Text)]
    value: String,
    #[diesel(sql_type = Nullable<Double>)]
    number: Option<f64>,
}

/// A custom field as its row keeps it.
pub(crate) struct StoredField {
    /// `t`, `n` or `b`.
    pub(crate) kind: char,
    /// As text, which is what segments compare.
    pub(crate) value: String,
    /// As a number, where it is one.
    pub(crate) number: Option<f64>,
}

/// How a value is kept.
pub(crate) fn stored(value: &FieldValue) -> StoredField {
    match value {
        FieldValue::Text(text) => StoredField { kind: 't', value: text.clone(), number: None },
        FieldValue::Number(number) => StoredField { kind: 'n', value: number.to_string(), number: Some(*number) },
        FieldValue::Flag(flag) => StoredField { kind: 'b', value: flag.to_string(), number: None },
    }
}

/// The value that a row keeps.
pub(crate) fn read(kind: u8, value: String, number: Option<f64>) -> FieldValue {
    match (kind, number) {
        (b'n', Some(number)) => FieldValue::Number(number),
        (b'b', _) => FieldValue::Flag(value == "true"),
        _ => FieldValue::Text(value),
    }
}

/// The facts of those of `contacts` that exist and are not erased.
pub(crate) async fn of(
    conn: &AsyncPgConnection,
    tenant: TenantNo,
    contacts: &[ContactNo],
) -> StoreResult<HashMap<ContactNo, ContactFacts>> {
    if contacts.is_empty() {
        return Ok(HashMap::new());
    }
    let numbers: Vec<i64> = contacts.iter().map(|no| no.0).collect();
    let (rows, tags, fields) =
        try_join!(rows(conn, tenant, &numbers), tags(conn, tenant, &numbers), fields(conn, tenant, &numbers))?;
    let mut facts: HashMap<_, _> =
        rows.into_iter().map(|row| (ContactNo(row.contact_no), ContactFacts::from(row))).collect();
    for TagRow { contact_no, tag } in tags {
        facts.entry(ContactNo(contact_no)).and_modify(|f| {
            f.tags.insert(tag);
        });
    }
    for FieldRow { contact_no, name, kind, value, number } in fields {
        facts.entry(ContactNo(contact_no)).and_modify(|f| {
            f.custom_fields.insert(name, read(kind, value, number));
        });
    }
    Ok(facts)
}

#[derive(QueryableByName)]
struct NumberRow {
    #[diesel(sql_type = BigInt)]
    contact_no: i64,
}

/// Those of `contacts` of whom the answer to a question of the campaign `own` is yes. Each is looked up by its key.
pub(crate) async fn engaged(
    conn: &mut AsyncPgConnection,
    of: Workspace,
    own: CampaignNo,
    question: &Engaged,
    contacts: &[ContactNo],
) -> StoreResult<Vec<ContactNo>> {
    let mut statement = Statement::new("SELECT u.contact_no FROM (SELECT ");
    statement.bind(Bind::Int(of.tenant.0)).push("::int AS tenant_no, contact_no FROM unnest(");
    statement.bind(Bind::BigIntArray(contacts.iter().map(|no| no.0).collect()));
    statement.push("::bigint[]) AS n (contact_no)) AS u CROSS JOIN LATERAL (SELECT ");
    push_engaged(&mut statement, of, Some(own), ("u.tenant_no", "u.contact_no"), question);
    statement.push(" AS yes OFFSET 0) AS k WHERE k.yes");
    let rows: Vec<NumberRow> = statement.into_query().load(conn).await.store()?;
    Ok(rows.into_iter().map(|row| ContactNo(row.contact_no)).collect())
}

async fn rows(mut conn: &AsyncPgConnection, tenant: TenantNo, numbers: &[i64]) -> StoreResult<Vec<ContactRow>> {
    prepared(
        "SELECT k.* FROM unnest($2::bigint[]) AS u (contact_no) CROSS JOIN LATERAL ( \
             SELECT c.contact_no, c.email, c.first_name, c.last_name, c.company, c.job_title, c.city, c.state, c.country, \
             c.timezone, c.lead_score FROM contacts c \
             WHERE c.tenant_no = $1 AND c.contact_no = u.contact_no AND c.erased_at IS NULL OFFSET 0) AS k",
    )
    .bind::<Integer, _>(tenant.0)
    .bind::<Array<BigInt>, _>(numbers.to_vec())
    .get_results(&mut conn)
    .await
    .store()
}

async fn tags(mut conn: &AsyncPgConnection, tenant: TenantNo, numbers: &[i64]) -> StoreResult<Vec<TagRow>> {
    prepared(
        "SELECT k.* FROM unnest($2::bigint[]) AS u (contact_no) CROSS JOIN LATERAL ( \
             SELECT t.contact_no, t.tag FROM contact_tags t WHERE t.tenant_no = $1 AND t.contact_no = u.contact_no OFFSET 0) AS k",
    )
        .bind::<Integer, _>(tenant.0)
        .bind::<Array<BigInt>, _>(numbers.to_vec())
        .get_results(&mut conn)
        .await
        .store()
}

async fn fields(mut conn: &AsyncPgConnection, tenant: TenantNo, numbers: &[i64]) -> StoreResult<Vec<FieldRow>> {
    prepared(
        "SELECT k.* FROM unnest($2::bigint[]) AS u (contact_no) CROSS JOIN LATERAL ( \
             SELECT f.contact_no, f.name, f.kind, f.value, f.number FROM contact_fields f \
             WHERE f.tenant_no = $1 AND f.contact_no = u.contact_no OFFSET 0) AS k",
    )
    .bind::<Integer, _>(tenant.0)
    .bind::<Array<BigInt>, _>(numbers.to_vec())
    .get_results(&mut conn)
    .await
    .store()
}

impl From<ContactRow> for ContactFacts {
    fn from(row: ContactRow) -> Self {
        let texts = [
            ("email", row.email),
            ("firstName", row.first_name),
            ("lastName", row.last_name),
            ("company", row.company),
            ("jobTitle", row.job_title),
            ("city", row.city),
            ("state", row.state),
            ("country", row.country),
            ("timezone", row.timezone),
        ];
        let fields = texts.into_iter().filter_map(|(name, text)| Some((name.to_owned(), text?))).collect();
        ContactFacts { fields, lead_score: row.lead_score, ..ContactFacts::default() }
    }
}
