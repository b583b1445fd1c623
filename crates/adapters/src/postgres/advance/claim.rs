//! Claiming due enrollments.

use super::super::prepared::prepared;
use super::StoreErrorExt;
use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use diesel::sql_types::{BigInt, CChar, Integer, Nullable, SmallInt, Text, Timestamptz};
use diesel::{OptionalExtension, QueryableByName};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use muster_domain::model::enrollment::{DueEnrollment, Standing};
use muster_domain::model::ids::{CampaignKey, ContactNo, Pass, SequenceVersion, StepNo, WorkspaceNo};
use muster_domain::ports::advance::Claim;
use muster_domain::ports::store::{StoreError, StoreResult};

/// What a batch needs to know of its campaign.
pub(super) struct ActiveCampaign {
    pub(super) now: DateTime<Utc>,
    pub(super) timezone: Tz,
    pub(super) workspace: WorkspaceNo,
}

#[derive(QueryableByName)]
struct CampaignRow {
    #[diesel(sql_type = Timestamptz)]
    now: DateTime<Utc>,
    #[diesel(sql_type = Nullable<Text>)]
    timezone: Option<String>,
    #[diesel(sql_type = Integer)]
    workspace_no: i32,
}

/// The campaign, if it is active and everybody is in. A statement of its own under the campaign's lock: it sees every
/// pause that has returned.
pub(super) async fn active_campaign(
    conn: &mut AsyncPgConnection,
    key: CampaignKey,
) -> StoreResult<Option<ActiveCampaign>> {
    let row: Option<CampaignRow> = prepared(
        "SELECT muster_now() AS now, schedule ->> 'timezone' AS timezone, workspace_no FROM campaigns \
         WHERE tenant_no = $1 AND campaign_no = $2 AND status = 'active' AND enrollment_state = 'done'",
    )
    .bind::<Integer, _>(key.tenant.0)
    .bind::<Integer, _>(key.campaign.0)
    .get_result(conn)
    .await
    .optional()
    .store()?;
    row.map(|row| {
        let timezone = row.timezone.as_deref().unwrap_or("UTC").parse();
        let timezone = timezone.map_err(|_| corrupt("campaigns", "schedule", i64::from(key.campaign.0)))?;
        Ok(ActiveCampaign { now: row.now, timezone, workspace: WorkspaceNo(row.workspace_no) })
    })
    .transpose()
}

#[derive(QueryableByName)]
struct EnrollmentRow {
    #[diesel(sql_type = BigInt)]
    contact_no: i64,
    #[diesel(sql_type = Integer)]
    version: i32,
    #[diesel(sql_type = SmallInt)]
    step: i16,
    #[diesel(sql_type = Integer)]
    pass: i32,
    #[diesel(sql_type = CChar)]
    status: u8,
    #[diesel(sql_type = Timestamptz)]
    due_at: DateTime<Utc>,
}

/// Locks the enrollments that have been due longest and that nobody else holds.
pub(super) async fn claim_due(
    conn: &mut AsyncPgConnection,
    claim: &Claim,
    now: DateTime<Utc>,
) -> StoreResult<Vec<DueEnrollment>> {
    // Planned anew each time: a plan for any limit takes a tenth of the campaign to be wanted, and sorts it.
    let rows: Vec<EnrollmentRow> = diesel::sql_query(
        "SELECT contact_no, version, step, pass, status, due_at FROM enrollments \
         WHERE tenant_no = $1 AND campaign_no = $2 AND due_at <= $3 AND due_at >= coalesce($4, '-infinity') \
         ORDER BY due_at LIMIT $5 FOR UPDATE SKIP LOCKED",
    )
    .bind::<Integer, _>(claim.campaign.tenant.0)
    .bind::<Integer, _>(claim.campaign.campaign.0)
    .bind::<Timestamptz, _>(now)
    .bind::<Nullable<Timestamptz>, _>(claim.low)
    .bind::<BigInt, _>(claim.limit)
    .get_results(conn)
    .await
    .store()?;
    rows.into_iter().map(DueEnrollment::try_from).collect()
}

impl TryFrom<EnrollmentRow> for DueEnrollment {
    type Error = StoreError;

    fn try_from(row: EnrollmentRow) -> Result<Self, StoreError> {
        let standing = match row.status {
            b'e' => Standing::Enrolled,
            b'r' => Standing::Ready,
            b'w' => Standing::Waiting,
            _ => return Err(corrupt("enrollments", "status", row.contact_no)),
        };
        Ok(DueEnrollment {
            contact: ContactNo(row.contact_no),
            version: SequenceVersion(row.version),
            step: StepNo(row.step),
            pass: Pass(row.pass),
            standing,
            due_at: row.due_at,
        })
    }
}

fn corrupt(table: &'static str, column: &'static str, id: i64) -> StoreError {
    StoreError::Corrupt { table, column, id: id.to_string() }
}
