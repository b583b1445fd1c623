//! Erasing a person. Personal data of contacts stands in `contacts`, `contact_tags` and `contact_fields`; who is on
//! which list in `segment_members`. Stored answers are blanked by the story, before this.

use crate::postgres::error::StoreErrorExt;
use crate::postgres::exits::{Leaving, exit_open_enrollments};
use crate::postgres::schema::{contact_fields, contact_tags, contacts, segment_members, segments};
use chrono::{DateTime, Utc};
use diesel::prelude::{ExpressionMethods, OptionalExtension, QueryDsl};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use muster_domain::model::enrollment::ExitReason;
use muster_domain::model::ids::{ContactId, ContactNo};
use muster_domain::ports::store::{StoreResult, Workspace};

pub(super) async fn erase(
    conn: &mut AsyncPgConnection,
    of: Workspace,
    id: ContactId,
    now: DateTime<Utc>,
) -> StoreResult<bool> {
    let Some(no) = lock(conn, of, id).await? else { return Ok(false) };
    let leaving =
        Leaving { tenant: of.tenant, contacts: &[no], campaign: None, reason: ExitReason::ContactErased, now };
    let exits = exit_open_enrollments(conn, leaving).await?;
    forget(conn, of, no, now).await?;
    exits.post(conn).await?;
    Ok(true)
}

/// `FOR UPDATE`: a delivery that is beginning holds the row `FOR KEY SHARE`, and is waited for.
async fn lock(conn: &mut AsyncPgConnection, of: Workspace, id: ContactId) -> StoreResult<Option<ContactNo>> {
    let no: Option<i64> = contacts::table
        .filter(contacts::tenant_no.eq(of.tenant.0))
        .filter(contacts::workspace_no.eq(of.workspace.0))
        .filter(contacts::id.eq(id.0))
        .filter(contacts::erased_at.is_null())
        .select(contacts::contact_no)
        .for_update()
        .first(conn)
        .await
        .optional()
        .store()?;
    Ok(no.map(ContactNo))
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
