//! Contacts as rows, and back.

use crate::postgres::error::StoreErrorExt;
use crate::postgres::schema::{contact_fields, contact_tags, contacts};
use chrono::{DateTime, Utc};
use diesel::prelude::{Queryable, QueryableByName, Selectable};
use diesel::sql_types::{Array, BigInt, Integer};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use muster_domain::model::address::EmailAddress;
use muster_domain::model::contact::{Contact, ContactFacts, FieldValue, TEXT_FIELDS};
use muster_domain::model::ids::{ContactId, ContactNo, TenantNo};
use muster_domain::ports::store::{StoreError, StoreResult};
use std::collections::BTreeMap;
use uuid::Uuid;

/// A row of `contacts` that is not erased.
#[derive(Queryable, QueryableByName, Selectable)]
#[diesel(table_name = contacts)]
pub(super) struct ContactRow {
    contact_no: i64,
    id: Uuid,
    email: Option<String>,
    first_name: Option<String>,
    last_name: Option<String>,
    company: Option<String>,
    job_title: Option<String>,
    city: Option<String>,
    state: Option<String>,
    country: Option<String>,
    timezone: Option<String>,
    lead_score: i32,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl ContactRow {
    fn into_contact(self) -> StoreResult<Contact> {
        let corrupt = || StoreError::Corrupt { table: "contacts", column: "email", id: self.id.to_string() };
        let email = self.email.as_deref().and_then(|email| EmailAddress::parse(email).ok()).ok_or_else(corrupt)?;
        let texts = [
            self.email,
            self.first_name,
            self.last_name,
            self.company,
            self.job_title,
            self.city,
            self.state,
            self.country,
            self.timezone,
        ];
        let fields = TEXT_FIELDS.into_iter().zip(texts).filter_map(|(name, text)| Some((name.to_owned(), text?)));
        let facts = ContactFacts { fields: fields.collect(), lead_score: self.lead_score, ..ContactFacts::default() };
        Ok(Contact {
            no: ContactNo(self.contact_no),
            id: ContactId(self.id),
            email,
            facts,
            created_at: self.created_at,
            updated_at: self.updated_at,
        })
    }
}

// `LATERAL … OFFSET 0` makes one probe of the primary key for each contact, whatever statistics say: while a big list is
// being imported there are none yet, and a plan made without them reads all of a tenant's rows for every batch.
const TAGS: &str = "SELECT t.* FROM unnest($2::bigint[]) AS u(contact_no) CROSS JOIN LATERAL \
    (SELECT contact_no, tag FROM contact_tags t WHERE t.tenant_no = $1 AND t.contact_no = u.contact_no OFFSET 0) t";
const FIELDS: &str = "SELECT f.* FROM unnest($2::bigint[]) AS u(contact_no) CROSS JOIN LATERAL \
    (SELECT contact_no, name, kind, value FROM contact_fields f \
     WHERE f.tenant_no = $1 AND f.contact_no = u.contact_no OFFSET 0) f";

#[derive(QueryableByName)]
#[diesel(table_name = contact_tags)]
struct TagRow {
    contact_no: i64,
    tag: String,
}

#[derive(QueryableByName)]
#[diesel(table_name = contact_fields)]
struct FieldRow {
    contact_no: i64,
    name: String,
    kind: u8,
    value: String,
}

/// Puts tags and custom fields to the rows; keeps their order.
pub(super) async fn complete(
    conn: &mut AsyncPgConnection,
    tenant: TenantNo,
    rows: Vec<ContactRow>,
) -> StoreResult<Vec<Contact>> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let numbers: Vec<i64> = rows.iter().map(|row| row.contact_no).collect();
    let tags: Vec<TagRow> = diesel::sql_query(TAGS)
        .bind::<Integer, _>(tenant.0)
        .bind::<Array<BigInt>, _>(&numbers)
        .load(conn)
        .await
        .store()?;
    let fields: Vec<FieldRow> = diesel::sql_query(FIELDS)
        .bind::<Integer, _>(tenant.0)
        .bind::<Array<BigInt>, _>(&numbers)
        .load(conn)
        .await
        .store()?;
    let mut contacts = rows.into_iter().map(ContactRow::into_contact).collect::<StoreResult<Vec<_>>>()?;
    let places: BTreeMap<i64, usize> = numbers.into_iter().enumerate().map(|(place, no)| (no, place)).collect();
    for TagRow { contact_no, tag } in tags {
        if let Some(contact) = places.get(&contact_no).and_then(|place| contacts.get_mut(*place)) {
            contact.facts.tags.insert(tag);
        }
    }
    for FieldRow { contact_no, name, kind, value } in fields {
        if let Some(contact) = places.get(&contact_no).and_then(|place| contacts.get_mut(*place)) {
            let value = read_value(kind, value).ok_or_else(|| StoreError::Corrupt {
                table: "contact_fields",
                column: "value",
                id: contact.id.to_string(),
            })?;
            contact.facts.custom_fields.insert(name, value);
        }
    }
    Ok(contacts)
}

/// The kind of a custom field's value, as rows say it.
pub(super) fn kind(value: &FieldValue) -> u8 {
    match value {
        FieldValue::Text(_) => b't',
        FieldValue::Number(_) => b'n',
        FieldValue::Flag(_) => b'b',
    }
}

/// The number that a row keeps beside the text of it.
pub(super) fn number(value: &FieldValue) -> Option<f64> {
    match value {
        FieldValue::Number(number) => Some(*number),
        FieldValue::Text(_) | FieldValue::Flag(_) => None,
    }
}

fn read_value(kind: u8, value: String) -> Option<FieldValue> {
    match kind {
        b't' => Some(FieldValue::Text(value)),
        b'n' => value.parse().ok().map(FieldValue::Number),
        b'b' => value.parse().ok().map(FieldValue::Flag),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_read_as_it_was_written() {
        let numbers = [0.0, -0.5, 3.0, 1e300, f64::MIN_POSITIVE, 0.1 + 0.2].map(FieldValue::Number);
        let others = [FieldValue::Text("12".to_owned()), FieldValue::Flag(true), FieldValue::Flag(false)];
        for value in numbers.into_iter().chain(others) {
            assert!(read_value(kind(&value), value.to_text()) == Some(value.clone()), "{}", value.to_text());
        }
    }
}
