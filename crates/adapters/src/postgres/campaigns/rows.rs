//! Rows of campaigns, and what they mean.

use crate::postgres::json::Json;
use crate::postgres::schema::{campaign_counters, campaigns, segments, sequence_versions};
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use muster_domain::model::address::EmailAddress;
use muster_domain::model::campaign::{Campaign, CampaignContent, CampaignType, EnrollmentState};
use muster_domain::model::ids::{CampaignId, CampaignNo, SegmentId, SegmentNo, SequenceVersion, StepNo, UserId};
use muster_domain::model::lifecycle::{Lifecycle, Status};
use muster_domain::model::schedule::{Schedule, Settings};
use muster_domain::ports::store::{StoreError, StoreResult, Workspace};
use uuid::Uuid;

/// A campaign's own row.
#[derive(Queryable, Selectable)]
#[diesel(table_name = campaigns)]
pub(super) struct CampaignRow {
    campaign_no: i32,
    id: Uuid,
    name: String,
    description: Option<String>,
    campaign_type: String,
    status: String,
    segment_no: i32,
    from_email: String,
    from_name: String,
    reply_to_email: Option<String>,
    schedule: Json<Schedule>,
    settings: Json<Settings>,
    version: i32,
    created_by: Uuid,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    scheduled_at: Option<DateTime<Utc>>,
    launched_at: Option<DateTime<Utc>>,
    paused_at: Option<DateTime<Utc>>,
    completed_at: Option<DateTime<Utc>>,
    sequence_version: i32,
    next_step_no: i16,
    enrollment_state: String,
    enroll_total: i64,
    last_problem: Option<String>,
}

/// A campaign's row with its audience's id and how many were ever enrolled.
pub(super) type JoinedRow = (CampaignRow, Uuid, Option<i64>);

/// The columns of a [`JoinedRow`].
pub(super) type JoinedColumns = (
    diesel::dsl::AsSelect<CampaignRow, diesel::pg::Pg>,
    segments::id,
    diesel::dsl::Nullable<campaign_counters::audience>,
);

/// What to select from [`joined`].
pub(super) fn columns() -> JoinedColumns {
    (CampaignRow::as_select(), segments::id, campaign_counters::audience.nullable())
}

/// Campaigns with what belongs to each; whoever has never enrolled anybody has no counters.
#[diesel::dsl::auto_type]
pub(super) fn joined() -> _ {
    let its_segment = segments::tenant_no.eq(campaigns::tenant_no).and(segments::segment_no.eq(campaigns::segment_no));
    let its_counters = campaign_counters::tenant_no
        .eq(campaigns::tenant_no)
        .and(campaign_counters::campaign_no.eq(campaigns::campaign_no));
    campaigns::table.inner_join(segments::table.on(its_segment)).left_join(campaign_counters::table.on(its_counters))
}

/// The same with each one's newest sequence; there is none before the first.
#[diesel::dsl::auto_type(no_type_alias)]
pub(super) fn joined_with_steps() -> _ {
    let newest = sequence_versions::tenant_no
        .eq(campaigns::tenant_no)
        .and(sequence_versions::campaign_no.eq(campaigns::campaign_no))
        .and(sequence_versions::version.eq(campaigns::sequence_version));
    let campaigns: joined = joined();
    campaigns.left_join(sequence_versions::table.on(newest))
}

/// The campaign that a row of workspace `of` says.
pub(super) fn into_campaign(of: Workspace, (row, segment_id, audience): JoinedRow) -> StoreResult<Campaign> {
    let corrupt = Corrupt { id: row.id };
    Ok(Campaign {
        tenant: of.tenant,
        workspace: of.workspace,
        no: CampaignNo(row.campaign_no),
        id: CampaignId(row.id),
        campaign_type: CampaignType::parse(&row.campaign_type).ok_or_else(|| corrupt.column("campaign_type"))?,
        segment: SegmentNo(row.segment_no),
        segment_id: SegmentId(segment_id),
        lifecycle: lifecycle(&row).ok_or_else(|| corrupt.column("status"))?,
        enrollment_state: EnrollmentState::parse(&row.enrollment_state)
            .ok_or_else(|| corrupt.column("enrollment_state"))?,
        enroll_total: row.enroll_total,
        total_contacts: audience.unwrap_or(0),
        sequence_version: SequenceVersion(row.sequence_version),
        next_step_no: StepNo(row.next_step_no),
        last_problem: row.last_problem,
        version: row.version,
        created_by: UserId(row.created_by),
        created_at: row.created_at,
        updated_at: row.updated_at,
        content: CampaignContent {
            name: row.name,
            description: row.description,
            from_email: corrupt.address("from_email", &row.from_email)?,
            from_name: row.from_name,
            reply_to_email: row.reply_to_email.map(|text| corrupt.address("reply_to_email", &text)).transpose()?,
            schedule: row.schedule.ok_or_else(|| corrupt.column("schedule"))?,
            settings: row.settings.ok_or_else(|| corrupt.column("settings"))?,
        },
    })
}

/// The status with the instants it needs; `None` when one is missing, which a CHECK forbids.
fn lifecycle(row: &CampaignRow) -> Option<Lifecycle> {
    Some(match Status::parse(&row.status)? {
        Status::Draft => Lifecycle::Draft,
        Status::Scheduled => Lifecycle::Scheduled { start_at: row.scheduled_at? },
        Status::Active => Lifecycle::Active { launched_at: row.launched_at? },
        Status::Paused => Lifecycle::Paused { launched_at: row.launched_at?, paused_at: row.paused_at? },
        Status::Completed => Lifecycle::Completed { launched_at: row.launched_at?, completed_at: row.completed_at? },
    })
}

/// Names the column of a campaign that cannot be what it says.
struct Corrupt {
    id: Uuid,
}

impl Corrupt {
    fn column(&self, column: &'static str) -> StoreError {
        StoreError::Corrupt { table: "campaigns", column, id: self.id.to_string() }
    }

    fn address(&self, column: &'static str, text: &str) -> StoreResult<EmailAddress> {
        EmailAddress::parse(text).map_err(|_| self.column(column))
    }
}
