//! Enrolling a segment by sets: one statement a chunk, whatever its size.

use super::super::rule_sql::{Members, push_from};
use super::super::statement::{Bind, Statement};
use super::super::{books, internal};
use super::chunk::{self, Entry, Wanted};
use super::{Count, PgUnit, StoreErrorExt};
use chrono::{DateTime, Utc};
use diesel::QueryableByName;
use diesel::sql_types::{BigInt, Integer, Jsonb, Nullable};
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use muster_domain::model::books::BookEntries;
use muster_domain::model::campaign::{Campaign, CampaignType};
use muster_domain::model::ids::{ContactNo, SegmentNo, StepNo};
use muster_domain::model::rules::Rule;
use muster_domain::ports::enrollments::{AudienceCount, Chunk};
use muster_domain::ports::store::StoreResult;

#[derive(QueryableByName)]
struct RulesRow {
    #[diesel(sql_type = Nullable<Jsonb>)]
    rules: Option<serde_json::Value>,
}

/// The rules of the campaign's segment; `None` when it is a list.
pub(crate) async fn rules(conn: &mut AsyncPgConnection, campaign: &Campaign) -> StoreResult<Option<Rule>> {
    let row: RulesRow = diesel::sql_query("SELECT rules FROM segments WHERE tenant_no = $1 AND segment_no = $2")
        .bind::<Integer, _>(campaign.tenant.0)
        .bind::<Integer, _>(campaign.segment.0)
        .get_result(conn)
        .await
        .store()?;
    row.rules.map(serde_json::from_value).transpose().map_err(internal)
}

/// The members that these rules, or the list, mean.
pub(crate) fn members(rules: Option<&Rule>, segment: SegmentNo) -> Members<'_> {
    rules.map_or(Members::Listed(segment), Members::Matching)
}

/// A large segment takes longer to count than a request usually may.
pub(super) async fn count_audience(unit: &mut PgUnit, campaign: &Campaign) -> StoreResult<AudienceCount> {
    let of = unit.of();
    let rules = rules(unit.conn(), campaign).await?;
    let mark: Count = diesel::sql_query(
        "SELECT coalesce(max(contact_no), 0) AS n FROM contacts WHERE tenant_no = $1 AND workspace_no = $2",
    )
    .bind::<Integer, _>(of.tenant.0)
    .bind::<Integer, _>(of.workspace.0)
    .get_result(unit.conn())
    .await
    .store()?;
    let members = members(rules.as_ref(), campaign.segment);
    let mut statement = Statement::new("SELECT count(*) AS n");
    push_from(&mut statement, of, members);
    statement.push(" AND ").push(members.number()).push(" <= ").bind(Bind::BigInt(mark.n));
    let total: Count = statement.into_query().get_result(unit.conn()).await.store()?;
    Ok(AudienceCount { total: total.n, mark: ContactNo(mark.n) })
}

/// A triggered campaign enrolls nobody: it is done before it begins.
pub(super) async fn begin_enrolling(
    unit: &mut PgUnit,
    campaign: &Campaign,
    audience: AudienceCount,
) -> StoreResult<()> {
    let (state, total) = match campaign.campaign_type {
        CampaignType::Triggered => ("done", 0),
        CampaignType::Broadcast | CampaignType::Drip | CampaignType::AbTest => ("running", audience.total),
    };
    diesel::sql_query(
        "UPDATE campaigns SET enrollment_state = $3, enroll_cursor = 0, launch_mark = $4, enroll_total = $5 \
         WHERE tenant_no = $1 AND campaign_no = $2",
    )
    .bind::<Integer, _>(campaign.tenant.0)
    .bind::<Integer, _>(campaign.no.0)
    .bind::<diesel::sql_types::Text, _>(state)
    .bind::<BigInt, _>(audience.mark.0)
    .bind::<BigInt, _>(total)
    .execute(unit.conn())
    .await
    .store()?;
    books::post(unit.conn(), campaign.key(), &BookEntries::default()).await
}

#[derive(QueryableByName)]
struct CursorRow {
    #[diesel(sql_type = BigInt)]
    enroll_cursor: i64,
    #[diesel(sql_type = BigInt)]
    launch_mark: i64,
}

pub(super) async fn enroll_chunk(
    unit: &mut PgUnit,
    campaign: &Campaign,
    first: StepNo,
    limit: i64,
    now: DateTime<Utc>,
) -> StoreResult<Chunk> {
    let Some(at) = cursor(unit.conn(), campaign).await? else { return Ok(Chunk { enrolled: 0, done: true }) };
    let rules = rules(unit.conn(), campaign).await?;
    unit.conn().batch_execute("SET LOCAL statement_timeout = '600s'").await.store()?;
    let members = members(rules.as_ref(), campaign.segment);
    let wanted = Wanted { of: unit.of(), members, after: at.enroll_cursor, mark: at.launch_mark, limit };
    let chunk = chunk::enroll(unit.conn(), wanted, Entry { campaign, first, now }).await?;
    let (enrolled, done) = (chunk.new, chunk.members < limit);
    move_cursor(unit.conn(), campaign, chunk.through.unwrap_or(at.enroll_cursor), done).await?;
    let mut entries = BookEntries::default();
    entries.campaign.audience = enrolled;
    entries.campaign.open = enrolled;
    books::post(unit.conn(), campaign.key(), &entries).await?;
    Ok(Chunk { enrolled, done })
}

/// Where enrolling stands; `None` when it does not run. The row stays locked: one chunk at a time.
async fn cursor(conn: &mut AsyncPgConnection, campaign: &Campaign) -> StoreResult<Option<CursorRow>> {
    let rows: Vec<CursorRow> = diesel::sql_query(
        "SELECT enroll_cursor, launch_mark FROM campaigns \
         WHERE tenant_no = $1 AND campaign_no = $2 AND enrollment_state = 'running' FOR UPDATE",
    )
    .bind::<Integer, _>(campaign.tenant.0)
    .bind::<Integer, _>(campaign.no.0)
    .get_results(conn)
    .await
    .store()?;
    Ok(rows.into_iter().next())
}

async fn move_cursor(conn: &mut AsyncPgConnection, campaign: &Campaign, to: i64, done: bool) -> StoreResult<()> {
    diesel::sql_query(
        "UPDATE campaigns SET enroll_cursor = $3, enrollment_state = CASE WHEN $4 THEN 'done' ELSE enrollment_state END \
         WHERE tenant_no = $1 AND campaign_no = $2",
    )
    .bind::<Integer, _>(campaign.tenant.0)
    .bind::<Integer, _>(campaign.no.0)
    .bind::<BigInt, _>(to)
    .bind::<diesel::sql_types::Bool, _>(done)
    .execute(conn)
    .await
    .store()?;
    Ok(())
}
