//! Enrolling named contacts.

use super::super::enrollments::enroll;
use super::super::rule_sql::push_members;
use super::super::statement::Statement;
use super::super::{PgUnit, books};
use super::StoreErrorExt;
use chrono::{DateTime, Utc};
use diesel::QueryableByName;
use diesel::sql_types::{Array, BigInt, Integer, SmallInt, Timestamptz, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use muster_domain::model::books::BookEntries;
use muster_domain::model::campaign::Campaign;
use muster_domain::model::ids::{ContactId, ContactNo, StepNo};
use muster_domain::ports::analytics::Joined;
use muster_domain::ports::store::{StoreResult, Workspace};
use uuid::Uuid;

#[derive(QueryableByName)]
struct ContactRow {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
    #[diesel(sql_type = BigInt)]
    contact_no: i64,
}

#[derive(QueryableByName)]
struct NoRow {
    #[diesel(sql_type = BigInt)]
    contact_no: i64,
}

pub(super) async fn known_contacts(
    conn: &mut AsyncPgConnection,
    of: Workspace,
    contacts: &[ContactId],
) -> StoreResult<Vec<(ContactId, ContactNo)>> {
    let rows: Vec<ContactRow> = diesel::sql_query(
        "SELECT id, contact_no FROM contacts WHERE tenant_no = $1 AND workspace_no = $2 AND id = ANY($3) AND erased_at IS NULL",
    )
    .bind::<Integer, _>(of.tenant.0)
    .bind::<Integer, _>(of.workspace.0)
    .bind::<Array<SqlUuid>, _>(contacts.iter().map(|id| id.0).collect::<Vec<_>>())
    .get_results(conn)
    .await
    .store()?;
    Ok(rows.into_iter().map(|row| (ContactId(row.id), ContactNo(row.contact_no))).collect())
}

pub(super) async fn in_segment(
    unit: &mut PgUnit,
    campaign: &Campaign,
    contacts: &[ContactNo],
) -> StoreResult<Vec<ContactNo>> {
    let rules = enroll::rules(unit.conn().await?, campaign).await?;
    let mut statement = Statement::new("SELECT c.contact_no FROM contacts c WHERE ");
    push_members(&mut statement, unit.of(), enroll::members(rules.as_ref(), campaign.segment));
    // Numbers of our own making, so that a list of them may stand in the text.
    let list = contacts.iter().map(|no| no.0.to_string()).collect::<Vec<_>>().join(",");
    statement.push(" AND c.contact_no = ANY('{").push(&list).push("}'::bigint[])");
    let rows: Vec<NoRow> = statement.into_query().get_results(unit.conn().await?).await.store()?;
    Ok(rows.into_iter().map(|row| ContactNo(row.contact_no)).collect())
}

pub(super) async fn join(
    conn: &mut AsyncPgConnection,
    campaign: &Campaign,
    contacts: &[ContactNo],
    first: StepNo,
    now: DateTime<Utc>,
) -> StoreResult<Joined> {
    // Contacts are locked so that an erasure either comes first, and they are left out, or finds the enrollment.
    let joined: Vec<NoRow> = diesel::sql_query(
        "WITH welcome AS MATERIALIZED (SELECT contact_no FROM contacts WHERE tenant_no = $1 AND contact_no = ANY($3) \
         AND erased_at IS NULL ORDER BY contact_no FOR KEY SHARE) \
         INSERT INTO enrollments (tenant_no, campaign_no, contact_no, due_at, enrolled_at, version, step, status) \
         SELECT $1, $2, contact_no, $4, $4, $5, $6, 'e' FROM welcome ON CONFLICT DO NOTHING RETURNING contact_no",
    )
    .bind::<Integer, _>(campaign.tenant.0)
    .bind::<Integer, _>(campaign.no.0)
    .bind::<Array<BigInt>, _>(contacts.iter().map(|no| no.0).collect::<Vec<_>>())
    .bind::<Timestamptz, _>(now)
    .bind::<Integer, _>(campaign.sequence_version.0)
    .bind::<SmallInt, _>(first.0)
    .get_results(conn)
    .await
    .store()?;
    let enrolled = i64::try_from(joined.len()).unwrap_or(i64::MAX);
    let mut entries = BookEntries::default();
    entries.campaign.audience = enrolled;
    entries.campaign.open = enrolled;
    books::post(conn, campaign.key(), &entries).await?;
    let asked = i64::try_from(contacts.len()).unwrap_or(i64::MAX);
    Ok(Joined { enrolled, already: asked - enrolled })
}
