//! Erasing a person, column by column as `personal_data` lists them. Stored answers are blanked by the story, before
//! this.

use super::hold;
use crate::postgres::error::StoreErrorExt;
use crate::postgres::exits::{Leaving, exit_open_enrollments};
use crate::postgres::schema::{contact_fields, contact_tags, contacts, segment_members, segments};
use crate::postgres::suppressions::erased;
use chrono::{DateTime, Utc};
use diesel::prelude::{ExpressionMethods, OptionalExtension, QueryDsl};
use diesel::sql_types::{BigInt, Integer};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use muster_domain::model::enrollment::ExitReason;
use muster_domain::model::ids::{ContactId, ContactNo};
use muster_domain::ports::store::{StoreError, StoreResult, Workspace};

pub(super) async fn erase(
    conn: &mut AsyncPgConnection,
    of: Workspace,
    id: ContactId,
    now: DateTime<Utc>,
) -> StoreResult<bool> {
    let Some((no, email_key)) = find(conn, of, id).await? else { return Ok(false) };
    // All of the tenant's contacts of that address: it is suppressed for every one of them. A delivery that is beginning
    // holds its contact `FOR KEY SHARE`, and is waited for.
    if !hold::hold(conn, of.tenant, std::slice::from_ref(&email_key), &[no]).await?.contains(&no) {
        // It was erased, or has another address, since it was found.
        return Err(StoreError::Conflict);
    }
    erased::keep_hash(conn, of.tenant, &email_key, now).await?;
    let leaving =
        Leaving { tenant: of.tenant, contacts: &[no], campaign: None, reason: ExitReason::ContactErased, now };
    let exits = exit_open_enrollments(conn, leaving).await?;
    forget(conn, of, no, now).await?;
    forget_replies(conn, of, no).await?;
    exits.post(conn).await?;
    Ok(true)
}

async fn find(conn: &mut AsyncPgConnection, of: Workspace, id: ContactId) -> StoreResult<Option<(ContactNo, String)>> {
    let found: Option<(i64, Option<String>)> = contacts::table
        .filter(contacts::tenant_no.eq(of.tenant.0))
        .filter(contacts::workspace_no.eq(of.workspace.0))
        .filter(contacts::id.eq(id.0))
        .filter(contacts::erased_at.is_null())
        .select((contacts::contact_no, contacts::email_key))
        .first(conn)
        .await
        .optional()
        .store()?;
    Ok(found.and_then(|(no, email_key)| Some((ContactNo(no), email_key?))))
}

/// What mail servers said about mails to this contact, where it stands with the mail and where the mail was decided on.
/// Held first: whoever is settling one of them comes before.
async fn forget_replies(conn: &mut AsyncPgConnection, of: Workspace, no: ContactNo) -> StoreResult<()> {
    const REPLIES: &str = "campaigns c CROSS JOIN LATERAL (SELECT ctid AS at FROM messages m \
        WHERE m.tenant_no = $1 AND m.campaign_no = c.campaign_no AND m.contact_no = $3 AND m.state IN ('s', 'f', 'd')";
    let held =
        format!("SELECT FROM {REPLIES} OFFSET 0 FOR UPDATE) AS p WHERE c.tenant_no = $1 AND c.workspace_no = $2");
    let blanked = format!(
        "UPDATE messages t SET detail = NULL FROM {REPLIES} OFFSET 0) AS p \
         WHERE c.tenant_no = $1 AND c.workspace_no = $2 AND t.ctid = p.at AND t.tenant_no = $1"
    );
    let decided = "UPDATE delivery_decisions t SET detail = NULL FROM campaigns c CROSS JOIN LATERAL ( \
            SELECT ctid AS at FROM delivery_decisions m \
            WHERE m.tenant_no = $1 AND m.campaign_no = c.campaign_no AND m.contact_no = $3 AND m.detail IS NOT NULL OFFSET 0) AS p \
         WHERE c.tenant_no = $1 AND c.workspace_no = $2 AND t.ctid = p.at AND t.tenant_no = $1"
        .to_owned();
    for sql in [held, blanked, decided] {
        diesel::sql_query(sql)
            .bind::<Integer, _>(of.tenant.0)
            .bind::<Integer, _>(of.workspace.0)
            .bind::<BigInt, _>(no.0)
            .execute(conn)
            .await
            .store()?;
    }
    Ok(())
}

async fn forget(conn: &mut AsyncPgConnection, of: Workspace, no: ContactNo, now: DateTime<Utc>) -> StoreResult<()> {
    let tags =
        contact_tags::table.filter(contact_tags::tenant_no.eq(of.tenant.0)).filter(contact_tags::contact_no.eq(no.0));
    diesel::delete(tags).execute(conn).await.store()?;
    let fields = contact_fields::table
        .filter(contact_fields::tenant_no.eq(of.tenant.0))
        .filter(contact_fields::contact_no.eq(no.0));
    diesel::delete(fields).execute(conn).await.store()?;
    // By primary key through the workspace's segments: memberships have no index by contact.
    let segments = segments::table
        .filter(segments::tenant_no.eq(of.tenant.0))
        .filter(segments::workspace_no.eq(of.workspace.0))
        .select(segments::segment_no);
    let memberships = segment_members::table
        .filter(segment_members::tenant_no.eq(of.tenant.0))
        .filter(segment_members::segment_no.eq_any(segments))
        .filter(segment_members::contact_no.eq(no.0));
    diesel::delete(memberships).execute(conn).await.store()?;
    let nothing = None::<String>;
    let row = contacts::table.filter(contacts::tenant_no.eq(of.tenant.0)).filter(contacts::contact_no.eq(no.0));
    diesel::update(row)
        .set((
            contacts::email.eq(&nothing),
            contacts::email_key.eq(&nothing),
            contacts::first_name.eq(&nothing),
            contacts::last_name.eq(&nothing),
            contacts::company.eq(&nothing),
            contacts::job_title.eq(&nothing),
            contacts::city.eq(&nothing),
            contacts::state.eq(&nothing),
            contacts::country.eq(&nothing),
            contacts::timezone.eq(&nothing),
            contacts::lead_score.eq(0),
            contacts::updated_at.eq(now),
            contacts::erased_at.eq(now),
        ))
        .execute(conn)
        .await
        .store()?;
    Ok(())
}
