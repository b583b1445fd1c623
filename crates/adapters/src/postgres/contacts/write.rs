//! Storing new contacts, and putting contacts into a segment; set-based.

use super::rows::{kind, number};
use crate::postgres::error::StoreErrorExt;
use crate::postgres::schema::segments;
use chrono::{DateTime, Utc};
use diesel::QueryableByName;
use diesel::prelude::{ExpressionMethods, OptionalExtension, QueryDsl};
use diesel::sql_types::{Array, BigInt, CChar, Double, Integer, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use muster_domain::model::contact::{Contact, FieldValue, NewContact, TEXT_FIELDS};
use muster_domain::model::ids::{ContactId, ContactNo, SegmentNo, TenantNo};
use muster_domain::ports::store::{StoreResult, Workspace};
use std::collections::HashMap;
use uuid::Uuid;

#[derive(QueryableByName)]
struct InsertedRow {
    #[diesel(sql_type = BigInt)]
    contact_no: i64,
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
}

pub(super) async fn insert(
    conn: &mut AsyncPgConnection,
    of: Workspace,
    mut contacts: Vec<NewContact>,
    now: DateTime<Utc>,
) -> StoreResult<Vec<Contact>> {
    if contacts.is_empty() {
        return Ok(Vec::new());
    }
    // In the order of the addresses: two imports of the same people never wait for each other in a circle.
    contacts.sort_by_cached_key(|contact| contact.email.key());
    let ids: Vec<Uuid> = contacts.iter().map(|_| Uuid::now_v7()).collect();
    let facts = || contacts.iter().map(|contact| &contact.facts);
    let text = |field: usize| facts().map(|facts| facts.fields.get(TEXT_FIELDS[field])).collect::<Vec<_>>();
    let inserted: Vec<InsertedRow> = diesel::sql_query(
        "INSERT INTO contacts (tenant_no, workspace_no, id, email, email_key, first_name, last_name, company, job_title, \
            city, state, country, timezone, lead_score, created_at, updated_at) \
         SELECT $1, $2, u.*, $15, $15 FROM unnest($3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], \
            $9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::int[]) \
            AS u(id, email, email_key, first_name, last_name, company, job_title, city, state, country, timezone, score) \
         ON CONFLICT (tenant_no, workspace_no, email_key) DO NOTHING RETURNING contact_no, id",
    )
    .bind::<Integer, _>(of.tenant.0)
    .bind::<Integer, _>(of.workspace.0)
    .bind::<Array<SqlUuid>, _>(&ids)
    .bind::<Array<Nullable<Text>>, _>(text(0))
    .bind::<Array<Text>, _>(contacts.iter().map(|contact| contact.email.key()).collect::<Vec<_>>())
    .bind::<Array<Nullable<Text>>, _>(text(1))
    .bind::<Array<Nullable<Text>>, _>(text(2))
    .bind::<Array<Nullable<Text>>, _>(text(3))
    .bind::<Array<Nullable<Text>>, _>(text(4))
    .bind::<Array<Nullable<Text>>, _>(text(5))
    .bind::<Array<Nullable<Text>>, _>(text(6))
    .bind::<Array<Nullable<Text>>, _>(text(7))
    .bind::<Array<Nullable<Text>>, _>(text(8))
    .bind::<Array<Integer>, _>(facts().map(|facts| facts.lead_score).collect::<Vec<_>>())
    .bind::<Timestamptz, _>(now)
    .load(conn)
    .await
    .store()?;
    let mut numbers: HashMap<Uuid, i64> = inserted.into_iter().map(|row| (row.id, row.contact_no)).collect();
    let mut stored: Vec<Contact> = contacts
        .into_iter()
        .zip(ids)
        .filter_map(|(NewContact { email, facts }, id)| {
            let no = ContactNo(numbers.remove(&id)?);
            Some(Contact { no, id: ContactId(id), email, facts, created_at: now, updated_at: now })
        })
        .collect();
    stored.sort_unstable_by_key(|contact| contact.no);
    put_tags(conn, of.tenant, all_tags(&stored)).await?;
    put_fields(conn, of.tenant, all_fields(&stored)).await?;
    Ok(stored)
}

/// Tags, and whose they are.
pub(super) type Tags<'a> = Vec<(ContactNo, &'a String)>;

/// Custom fields with their values, and whose they are.
pub(super) type CustomFields<'a> = Vec<(ContactNo, &'a String, &'a FieldValue)>;

fn all_tags(contacts: &[Contact]) -> Tags<'_> {
    contacts.iter().flat_map(|contact| contact.facts.tags.iter().map(|tag| (contact.no, tag))).collect()
}

fn all_fields(contacts: &[Contact]) -> CustomFields<'_> {
    contacts
        .iter()
        .flat_map(|contact| contact.facts.custom_fields.iter().map(move |(name, value)| (contact.no, name, value)))
        .collect()
}

/// Puts tags on contacts; those that are there stay.
pub(super) async fn put_tags(conn: &mut AsyncPgConnection, tenant: TenantNo, tags: Tags<'_>) -> StoreResult<()> {
    let (numbers, tags): (Vec<i64>, Vec<&String>) = tags.into_iter().map(|(no, tag)| (no.0, tag)).unzip();
    if numbers.is_empty() {
        return Ok(());
    }
    diesel::sql_query(
        "INSERT INTO contact_tags (tenant_no, contact_no, tag) \
         SELECT $1, u.* FROM unnest($2::bigint[], $3::text[]) AS u ON CONFLICT DO NOTHING",
    )
    .bind::<Integer, _>(tenant.0)
    .bind::<Array<BigInt>, _>(numbers)
    .bind::<Array<Text>, _>(tags)
    .execute(conn)
    .await
    .store()?;
    Ok(())
}

/// Sets custom fields, new and old.
pub(super) async fn put_fields(
    conn: &mut AsyncPgConnection,
    tenant: TenantNo,
    fields: CustomFields<'_>,
) -> StoreResult<()> {
    if fields.is_empty() {
        return Ok(());
    }
    diesel::sql_query(
        "INSERT INTO contact_fields (tenant_no, contact_no, name, kind, value, number) \
         SELECT $1, u.* FROM unnest($2::bigint[], $3::text[], $4::\"char\"[], $5::text[], $6::float8[]) AS u \
         ON CONFLICT (tenant_no, contact_no, name) DO UPDATE \
         SET kind = excluded.kind, value = excluded.value, number = excluded.number",
    )
    .bind::<Integer, _>(tenant.0)
    .bind::<Array<BigInt>, _>(fields.iter().map(|(no, ..)| no.0).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(fields.iter().map(|(_, name, _)| *name).collect::<Vec<_>>())
    .bind::<Array<CChar>, _>(fields.iter().map(|(.., value)| kind(value)).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(fields.iter().map(|(.., value)| value.to_text()).collect::<Vec<_>>())
    .bind::<Array<Nullable<Double>>, _>(fields.iter().map(|(.., value)| number(value)).collect::<Vec<_>>())
    .execute(conn)
    .await
    .store()?;
    Ok(())
}

pub(super) async fn join_segment(
    conn: &mut AsyncPgConnection,
    of: Workspace,
    segment: SegmentNo,
    contacts: &[ContactNo],
) -> StoreResult<bool> {
    let found: Option<i32> = segments::table
        .filter(segments::tenant_no.eq(of.tenant.0))
        .filter(segments::workspace_no.eq(of.workspace.0))
        .filter(segments::segment_no.eq(segment.0))
        .filter(segments::kind.eq("static"))
        .select(segments::segment_no)
        .for_key_share()
        .first(conn)
        .await
        .optional()
        .store()?;
    if found.is_none() {
        return Ok(false);
    }
    let mut numbers: Vec<i64> = contacts.iter().map(|no| no.0).collect();
    numbers.sort_unstable();
    diesel::sql_query(
        "INSERT INTO segment_members (tenant_no, segment_no, contact_no) \
         SELECT $1, $3, c.contact_no FROM unnest($4::bigint[]) AS u(contact_no) CROSS JOIN LATERAL \
            (SELECT contact_no FROM contacts c WHERE c.tenant_no = $1 AND c.workspace_no = $2 \
             AND c.contact_no = u.contact_no AND c.erased_at IS NULL OFFSET 0) c \
         ON CONFLICT DO NOTHING",
    )
    .bind::<Integer, _>(of.tenant.0)
    .bind::<Integer, _>(of.workspace.0)
    .bind::<Integer, _>(segment.0)
    .bind::<Array<BigInt>, _>(numbers)
    .execute(conn)
    .await
    .store()?;
    Ok(true)
}
