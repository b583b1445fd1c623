//! Enrollments for readers.

use super::StoreErrorExt;
use chrono::{DateTime, Utc};
use diesel::QueryableByName;
use diesel::sql_types::{Array, BigInt, CChar, Integer, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use muster_domain::model::campaign::Campaign;
use muster_domain::model::enrollment::{ExitReason, Standing};
use muster_domain::model::ids::{ContactId, ContactNo, SequenceVersion, StepId};
use muster_domain::ports::analytics::{EnrollmentFilter, EnrollmentView, StandingKind};
use muster_domain::ports::store::{StoreError, StoreResult};
use uuid::Uuid;

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = BigInt)]
    contact_no: i64,
    #[diesel(sql_type = SqlUuid)]
    contact_id: Uuid,
    #[diesel(sql_type = Nullable<Text>)]
    email: Option<String>,
    #[diesel(sql_type = CChar)]
    status: u8,
    #[diesel(sql_type = Nullable<CChar>)]
    exit_reason: Option<u8>,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    step_id: Option<Uuid>,
    #[diesel(sql_type = Integer)]
    version: i32,
    #[diesel(sql_type = Timestamptz)]
    enrolled_at: DateTime<Utc>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    due_at: Option<DateTime<Utc>>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    last_email_sent_at: Option<DateTime<Utc>>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    ended_at: Option<DateTime<Utc>>,
}

const SELECT: &str = "\
    SELECT e.contact_no, c.id AS contact_id, c.email, e.status, e.exit_reason, s.id AS step_id, e.version, e.enrolled_at, \
    e.due_at, e.last_email_sent_at, e.ended_at FROM enrollments e \
    JOIN contacts c ON c.tenant_no = e.tenant_no AND c.contact_no = e.contact_no \
    LEFT JOIN campaign_steps s ON s.tenant_no = e.tenant_no AND s.campaign_no = e.campaign_no AND s.step = e.step \
    WHERE e.tenant_no = $1 AND e.campaign_no = $2 AND c.tenant_no = $1";

/// The address is found through the contact's own index, everything else by walking the enrollments in order.
pub(super) async fn list(
    conn: &mut AsyncPgConnection,
    campaign: &Campaign,
    filter: &EnrollmentFilter,
    after: Option<ContactNo>,
    limit: i64,
) -> StoreResult<Vec<EnrollmentView>> {
    let codes = filter.standings.as_ref().map(|kinds| kinds.iter().map(|kind| code(*kind)).collect::<Vec<_>>());
    let rows: Vec<Row> = diesel::sql_query(format!(
        "{SELECT} AND e.contact_no > $3 AND ($4 IS NULL OR e.status::text = ANY($4)) AND ($5 IS NULL OR s.id = $5) \
         AND ($6 IS NULL OR (c.workspace_no = $7 AND c.email_key = lower($6))) ORDER BY e.contact_no LIMIT $8"
    ))
    .bind::<Integer, _>(campaign.tenant.0)
    .bind::<Integer, _>(campaign.no.0)
    .bind::<BigInt, _>(after.map_or(0, |no| no.0))
    .bind::<Nullable<Array<Text>>, _>(codes)
    .bind::<Nullable<SqlUuid>, _>(filter.step.map(|id| id.0))
    .bind::<Nullable<Text>, _>(filter.email.as_deref())
    .bind::<Integer, _>(campaign.workspace.0)
    .bind::<BigInt, _>(limit)
    .get_results(conn)
    .await
    .store()?;
    rows.into_iter().map(EnrollmentView::try_from).collect()
}

pub(super) async fn find(
    conn: &mut AsyncPgConnection,
    campaign: &Campaign,
    contact: ContactId,
) -> StoreResult<Option<EnrollmentView>> {
    let rows: Vec<Row> = diesel::sql_query(format!("{SELECT} AND c.workspace_no = $3 AND c.id = $4"))
        .bind::<Integer, _>(campaign.tenant.0)
        .bind::<Integer, _>(campaign.no.0)
        .bind::<Integer, _>(campaign.workspace.0)
        .bind::<SqlUuid, _>(contact.0)
        .get_results(conn)
        .await
        .store()?;
    rows.into_iter().next().map(EnrollmentView::try_from).transpose()
}

fn code(kind: StandingKind) -> &'static str {
    match kind {
        StandingKind::Enrolled => "e",
        StandingKind::Ready => "r",
        StandingKind::Waiting => "w",
        StandingKind::Delivering => "d",
        StandingKind::Completed => "c",
        StandingKind::Exited => "x",
    }
}

impl TryFrom<Row> for EnrollmentView {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let corrupt = |column| StoreError::Corrupt { table: "enrollments", column, id: row.contact_no.to_string() };
        let standing = match row.status {
            b'e' => Standing::Enrolled,
            b'r' => Standing::Ready,
            b'w' => Standing::Waiting,
            b'd' => Standing::Delivering,
            b'c' => Standing::Completed,
            b'x' => row
                .exit_reason
                .and_then(ExitReason::from_code)
                .map(Standing::Exited)
                .ok_or_else(|| corrupt("exit_reason"))?,
            _ => return Err(corrupt("status")),
        };
        Ok(EnrollmentView {
            contact: ContactNo(row.contact_no),
            contact_id: ContactId(row.contact_id),
            email: row.email,
            standing,
            step: row.step_id.map(StepId),
            version: SequenceVersion(row.version),
            enrolled_at: row.enrolled_at,
            due_at: row.due_at,
            last_email_sent_at: row.last_email_sent_at,
            ended_at: row.ended_at,
        })
    }
}
