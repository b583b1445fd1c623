//! Finding contacts. Each statement says the tenant, the workspace and that nobody erased is meant.

use super::rows::{ContactRow, complete};
use crate::postgres::error::StoreErrorExt;
use crate::postgres::schema::{contact_tags, contacts};
use diesel::prelude::{ExpressionMethods, OptionalExtension, QueryDsl, SelectableHelper};
use diesel::sql_types::{Array, BigInt, Integer, Text};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use muster_domain::model::contact::{Contact, ContactFacts};
use muster_domain::model::ids::{ContactId, ContactNo};
use muster_domain::ports::contacts::ContactFilter;
use muster_domain::ports::store::{StoreResult, Workspace};
use std::collections::BTreeMap;

/// The contacts of a workspace that are not erased.
macro_rules! living {
    ($of:expr) => {
        contacts::table
            .filter(contacts::tenant_no.eq($of.tenant.0))
            .filter(contacts::workspace_no.eq($of.workspace.0))
            .filter(contacts::erased_at.is_null())
            .select(ContactRow::as_select())
    };
}

/// The columns of a [`ContactRow`].
const COLUMNS: &str = "contact_no, id, email, first_name, last_name, company, job_title, city, state, country, \
    timezone, lead_score, created_at, updated_at";

pub(super) async fn find(conn: &mut AsyncPgConnection, of: Workspace, id: ContactId) -> StoreResult<Option<Contact>> {
    let row = living!(of).filter(contacts::id.eq(id.0)).first(conn).await.optional().store()?;
    one(conn, of, row).await
}

pub(super) async fn find_for_update(
    conn: &mut AsyncPgConnection,
    of: Workspace,
    id: ContactId,
) -> StoreResult<Option<Contact>> {
    let row = living!(of).filter(contacts::id.eq(id.0)).for_no_key_update().first(conn).await.optional().store()?;
    one(conn, of, row).await
}

async fn one(conn: &mut AsyncPgConnection, of: Workspace, row: Option<ContactRow>) -> StoreResult<Option<Contact>> {
    Ok(complete(conn, of.tenant, row.into_iter().collect()).await?.pop())
}

pub(super) async fn find_by_email_for_update(
    conn: &mut AsyncPgConnection,
    of: Workspace,
    keys: &[String],
) -> StoreResult<Vec<Contact>> {
    // In their order, so that two callers never wait for each other in a circle.
    let mut keys: Vec<&String> = keys.iter().collect();
    keys.sort_unstable();
    let rows = by_email(conn, of, keys, "FOR NO KEY UPDATE").await?;
    complete(conn, of.tenant, rows).await
}

/// One probe for each address; see `rows` for why it is written so. Without the `+ 0` the planner may take the index by
/// workspace instead, and look through all of it for every address.
async fn by_email(
    conn: &mut AsyncPgConnection,
    of: Workspace,
    keys: Vec<&String>,
    lock: &'static str,
) -> StoreResult<Vec<ContactRow>> {
    diesel::sql_query(format!(
        "SELECT c.* FROM unnest($3::text[]) AS u(email_key) CROSS JOIN LATERAL \
         (SELECT {COLUMNS} FROM contacts c WHERE c.tenant_no = $1 AND c.workspace_no + 0 = $2 \
          AND c.email_key = u.email_key AND c.erased_at IS NULL OFFSET 0 {lock}) c"
    ))
    .bind::<Integer, _>(of.tenant.0)
    .bind::<Integer, _>(of.workspace.0)
    .bind::<Array<Text>, _>(keys)
    .load(conn)
    .await
    .store()
}

pub(super) async fn list(
    conn: &mut AsyncPgConnection,
    of: Workspace,
    filter: &ContactFilter,
    after: Option<ContactNo>,
    limit: u32,
) -> StoreResult<Vec<Contact>> {
    let after = after.unwrap_or(ContactNo(0));
    if let Some(key) = &filter.email_key {
        let rows = by_email(conn, of, vec![key], "").await?;
        let mut found = complete(conn, of.tenant, rows).await?;
        found.retain(|one| one.no > after && filter.tag.as_ref().is_none_or(|tag| one.facts.tags.contains(tag)));
        return Ok(found);
    }
    let mut query = living!(of)
        .filter(contacts::contact_no.gt(after.0))
        .order(contacts::contact_no)
        .limit(i64::from(limit))
        .into_boxed();
    if let Some(tag) = &filter.tag {
        let tagged = contact_tags::table
            .filter(contact_tags::tenant_no.eq(of.tenant.0))
            .filter(contact_tags::tag.eq(tag))
            .select(contact_tags::contact_no);
        query = query.filter(contacts::contact_no.eq_any(tagged));
    }
    let rows = query.load(conn).await.store()?;
    complete(conn, of.tenant, rows).await
}

/// Those of these contacts that are there, in the order of their creation.
pub(in crate::postgres) async fn by_number(
    conn: &mut AsyncPgConnection,
    of: Workspace,
    numbers: &[ContactNo],
) -> StoreResult<Vec<Contact>> {
    let numbers: Vec<i64> = numbers.iter().map(|no| no.0).collect();
    let rows = living!(of)
        .filter(contacts::contact_no.eq_any(numbers))
        .order(contacts::contact_no)
        .load(conn)
        .await
        .store()?;
    complete(conn, of.tenant, rows).await
}

pub(super) async fn find_facts(
    conn: &mut AsyncPgConnection,
    of: Workspace,
    numbers: &[ContactNo],
) -> StoreResult<BTreeMap<ContactNo, ContactFacts>> {
    let numbers: Vec<i64> = numbers.iter().map(|no| no.0).collect();
    let rows = diesel::sql_query(format!(
        "SELECT c.* FROM unnest($3::bigint[]) AS u(contact_no) CROSS JOIN LATERAL \
         (SELECT {COLUMNS} FROM contacts c WHERE c.tenant_no = $1 AND c.workspace_no = $2 \
          AND c.contact_no = u.contact_no AND c.erased_at IS NULL OFFSET 0) c"
    ))
    .bind::<Integer, _>(of.tenant.0)
    .bind::<Integer, _>(of.workspace.0)
    .bind::<Array<BigInt>, _>(numbers)
    .load(conn)
    .await
    .store()?;
    let found = complete(conn, of.tenant, rows).await?;
    Ok(found.into_iter().map(|contact| (contact.no, contact.facts)).collect())
}
