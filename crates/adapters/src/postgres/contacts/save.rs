//! Writing what differs between contacts before and after a change; set-based.
//!
//! The contacts are locked by now, so that their rows stay where `LATERAL … OFFSET 0` finds them; see `rows` for why it
//! is written so.

use super::write::{CustomFields, Tags, put_fields, put_tags};
use crate::postgres::error::StoreErrorExt;
use chrono::{DateTime, Utc};
use diesel::result::{DatabaseErrorKind, Error as DieselError};
use diesel::sql_types::{Array, BigInt, Integer, Nullable, Text, Timestamptz};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use muster_domain::model::contact::{FieldValue, Revision, TEXT_FIELDS};
use muster_domain::model::ids::TenantNo;
use muster_domain::ports::store::{StoreError, StoreResult, Workspace};

pub(super) async fn save(
    conn: &mut AsyncPgConnection,
    of: Workspace,
    revisions: &[Revision],
    now: DateTime<Utc>,
) -> StoreResult<()> {
    if revisions.is_empty() {
        return Ok(());
    }
    update_rows(conn, of, revisions, now).await?;
    delete(conn, of.tenant, "contact_tags", "tag", lost_tags(revisions)).await?;
    delete(conn, of.tenant, "contact_fields", "name", lost_fields(revisions)).await?;
    put_tags(conn, of.tenant, new_tags(revisions)).await?;
    put_fields(conn, of.tenant, new_fields(revisions)).await
}

fn lost_tags(revisions: &[Revision]) -> Tags<'_> {
    let mut lost = Vec::new();
    for Revision { before, after } in revisions {
        lost.extend(before.facts.tags.difference(&after.facts.tags).map(|tag| (after.no, tag)));
    }
    lost
}

fn new_tags(revisions: &[Revision]) -> Tags<'_> {
    let mut new = Vec::new();
    for Revision { before, after } in revisions {
        new.extend(after.facts.tags.difference(&before.facts.tags).map(|tag| (after.no, tag)));
    }
    new
}

fn lost_fields(revisions: &[Revision]) -> Tags<'_> {
    let mut lost = Vec::new();
    for Revision { before, after } in revisions {
        let names = before.facts.custom_fields.keys();
        lost.extend(names.filter(|name| !after.facts.custom_fields.contains_key(*name)).map(|name| (after.no, name)));
    }
    lost
}

fn new_fields(revisions: &[Revision]) -> CustomFields<'_> {
    let mut new = Vec::new();
    for Revision { before, after } in revisions {
        let fields = after.facts.custom_fields.iter();
        let differs = |name: &String, value: &FieldValue| before.facts.custom_fields.get(name) != Some(value);
        new.extend(fields.filter(|(name, value)| differs(name, value)).map(|(name, value)| (after.no, name, value)));
    }
    new
}

async fn update_rows(
    conn: &mut AsyncPgConnection,
    of: Workspace,
    revisions: &[Revision],
    now: DateTime<Utc>,
) -> StoreResult<()> {
    let after = || revisions.iter().map(|revision| &revision.after);
    let text = |field: usize| after().map(|contact| contact.facts.fields.get(TEXT_FIELDS[field])).collect::<Vec<_>>();
    let updated = diesel::sql_query(
        "UPDATE contacts c SET email = u.email, email_key = u.email_key, first_name = u.first_name, \
            last_name = u.last_name, company = u.company, job_title = u.job_title, city = u.city, state = u.state, \
            country = u.country, timezone = u.timezone, lead_score = u.score, updated_at = $15 \
         FROM unnest($3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[], \
            $11::text[], $12::text[], $13::text[], $14::int[]) AS u(contact_no, email, email_key, first_name, last_name, \
            company, job_title, city, state, country, timezone, score) \
            CROSS JOIN LATERAL (SELECT ctid AS at FROM contacts WHERE tenant_no = $1 AND workspace_no = $2 \
               AND contact_no = u.contact_no AND erased_at IS NULL OFFSET 0) p \
         WHERE c.ctid = p.at AND c.tenant_no = $1",
    )
    .bind::<Integer, _>(of.tenant.0)
    .bind::<Integer, _>(of.workspace.0)
    .bind::<Array<BigInt>, _>(after().map(|contact| contact.no.0).collect::<Vec<_>>())
    .bind::<Array<Nullable<Text>>, _>(text(0))
    .bind::<Array<Text>, _>(after().map(|contact| contact.email.key()).collect::<Vec<_>>())
    .bind::<Array<Nullable<Text>>, _>(text(1))
    .bind::<Array<Nullable<Text>>, _>(text(2))
    .bind::<Array<Nullable<Text>>, _>(text(3))
    .bind::<Array<Nullable<Text>>, _>(text(4))
    .bind::<Array<Nullable<Text>>, _>(text(5))
    .bind::<Array<Nullable<Text>>, _>(text(6))
    .bind::<Array<Nullable<Text>>, _>(text(7))
    .bind::<Array<Nullable<Text>>, _>(text(8))
    .bind::<Array<Integer>, _>(after().map(|contact| contact.facts.lead_score).collect::<Vec<_>>())
    .bind::<Timestamptz, _>(now)
    .execute(conn)
    .await;
    match updated {
        // The one unique column that changes is the address.
        Err(DieselError::DatabaseError(DatabaseErrorKind::UniqueViolation, _)) => Err(StoreError::Conflict),
        other => other.store().map(drop),
    }
}

/// Deletes the rows of `table` with these texts in `column`.
async fn delete(
    conn: &mut AsyncPgConnection,
    tenant: TenantNo,
    table: &'static str,
    column: &'static str,
    lost: Tags<'_>,
) -> StoreResult<()> {
    if lost.is_empty() {
        return Ok(());
    }
    diesel::sql_query(format!(
        "DELETE FROM {table} t USING unnest($2::bigint[], $3::text[]) AS u(contact_no, text) \
            CROSS JOIN LATERAL (SELECT ctid AS at FROM {table} WHERE tenant_no = $1 AND contact_no = u.contact_no \
               AND {column} = u.text OFFSET 0) p \
         WHERE t.ctid = p.at AND t.tenant_no = $1"
    ))
    .bind::<Integer, _>(tenant.0)
    .bind::<Array<BigInt>, _>(lost.iter().map(|(no, _)| no.0).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(lost.iter().map(|(_, text)| *text).collect::<Vec<_>>())
    .execute(conn)
    .await
    .store()?;
    Ok(())
}
