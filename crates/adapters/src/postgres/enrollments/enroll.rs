//! Enrolling a segment by sets: one statement a chunk, whatever its size.

use super::super::rule_sql::{Members, push_from};
use super::super::statement::{Bind, Statement};
use super::super::{books, internal};
use super::chunk::{self, Enrolled, Entry, Wanted, run};
use super::{Count, PgUnit, StoreErrorExt};
use crate::postgres::prepared::prepared;
use diesel::QueryableByName;
use diesel::sql_types::{BigInt, Bool, Integer, Jsonb, Nullable};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use futures::try_join;
use muster_domain::model::books::BookEntries;
use muster_domain::model::campaign::Campaign;
use muster_domain::model::ids::{ContactNo, SegmentNo};
use muster_domain::model::rules::Rule;
use muster_domain::ports::enrollments::{Audience, Chunk};
use muster_domain::ports::store::StoreResult;

/// A chunk whose members a rule looks for among all contacts takes longer than a request's statement may.
const PATIENCE: &str = "SET LOCAL statement_timeout = '600s'";

#[derive(QueryableByName)]
struct RulesRow {
    #[diesel(sql_type = Nullable<Jsonb>)]
    rules: Option<serde_json::Value>,
}

/// The rules of the campaign's segment; `None` when it is a list.
pub(crate) async fn rules(mut conn: &AsyncPgConnection, campaign: &Campaign) -> StoreResult<Option<Rule>> {
    let row: RulesRow = prepared("SELECT rules FROM segments WHERE tenant_no = $1 AND segment_no = $2")
        .bind::<Integer, _>(campaign.tenant.0)
        .bind::<Integer, _>(campaign.segment.0)
        .get_result(&mut conn)
        .await
        .store()?;
    read(row.rules)
}

fn read(rules: Option<serde_json::Value>) -> StoreResult<Option<Rule>> {
    rules.map(serde_json::from_value).transpose().map_err(internal)
}

/// The members that these rules, or the list, mean.
pub(crate) fn members(rules: Option<&Rule>, segment: SegmentNo) -> Members<'_> {
    rules.map_or(Members::Listed(segment), Members::Matching)
}

#[derive(QueryableByName)]
struct AudienceRow {
    #[diesel(sql_type = Nullable<Jsonb>)]
    rules: Option<serde_json::Value>,
    #[diesel(sql_type = BigInt)]
    mark: i64,
    /// Members of a list; null where rules decide.
    #[diesel(sql_type = Nullable<BigInt>)]
    listed: Option<i64>,
}

/// A list is counted by the statement that reads what kind of segment it is; whom rules mean takes another.
pub(super) async fn count_audience(unit: &mut PgUnit, campaign: &Campaign) -> StoreResult<Audience> {
    let of = unit.of();
    let mut statement = Statement::new("SELECT s.rules, l.mark, CASE WHEN s.rules IS NULL THEN (SELECT count(*)");
    push_from(&mut statement, of, Members::Listed(campaign.segment));
    statement.push(" AND m.contact_no <= l.mark) END AS listed FROM segments s CROSS JOIN (SELECT ");
    statement.push("coalesce(max(contact_no), 0) AS mark FROM contacts WHERE tenant_no = ");
    statement.bind(Bind::Int(of.tenant.0)).push(" AND workspace_no = ").bind(Bind::Int(of.workspace.0));
    statement.push(") AS l WHERE s.tenant_no = ").bind(Bind::Int(of.tenant.0));
    statement.push(" AND s.segment_no = ").bind(Bind::Int(campaign.segment.0));
    let row: AudienceRow = statement.into_prepared().get_result(unit.conn().await?).await.store()?;
    let mark = ContactNo(row.mark);
    let rules = read(row.rules)?;
    let total = match (row.listed, &rules) {
        (Some(listed), _) => listed,
        (None, Some(rules)) => count_matching(unit, rules, mark).await?,
        (None, None) => 0,
    };
    Ok(Audience { total, mark, rules })
}

async fn count_matching(unit: &mut PgUnit, rules: &Rule, mark: ContactNo) -> StoreResult<i64> {
    let members = Members::Matching(rules);
    let mut statement = Statement::new("SELECT count(*) AS n");
    push_from(&mut statement, unit.of(), members);
    statement.push(" AND ").push(members.number()).push(" <= ").bind(Bind::BigInt(mark.0));
    let total: Count = statement.into_query().get_result(unit.conn().await?).await.store()?;
    Ok(total.n)
}

/// The first chunk in the transaction that launches.
pub(super) async fn enroll_at_once(
    unit: &mut PgUnit,
    audience: &Audience,
    entry: Entry<'_>,
    limit: i64,
) -> StoreResult<Chunk> {
    let of = unit.of();
    let conn: &AsyncPgConnection = unit.conn().await?;
    let members = members(audience.rules.as_ref(), entry.campaign.segment);
    let wanted = Wanted { of, members, audience: audience.total, after: 0, mark: audience.mark.0, limit };
    let ((), chunk) = try_join!(run(conn, PATIENCE), chunk::enroll(conn, wanted, entry))?;
    Ok(judged(&chunk, 0, limit))
}

/// What a chunk that began `after` this contact and looked for `limit` came to.
fn judged(chunk: &Enrolled, after: i64, limit: i64) -> Chunk {
    let through = ContactNo(chunk.through.unwrap_or(after));
    Chunk { enrolled: chunk.new, through, done: chunk.members < limit }
}

/// Books those who were enrolled.
pub(in crate::postgres) async fn post_enrolled(
    conn: &AsyncPgConnection,
    campaign: &Campaign,
    enrolled: i64,
) -> StoreResult<()> {
    let mut entries = BookEntries::default();
    entries.campaign.audience = enrolled;
    entries.campaign.open = enrolled;
    books::post(conn, campaign.key(), &entries).await
}

/// Where enrolling stands, and of whom.
#[derive(QueryableByName)]
struct CursorRow {
    #[diesel(sql_type = BigInt)]
    enroll_cursor: i64,
    #[diesel(sql_type = BigInt)]
    launch_mark: i64,
    #[diesel(sql_type = BigInt)]
    enroll_total: i64,
    #[diesel(sql_type = Nullable<Jsonb>)]
    rules: Option<serde_json::Value>,
}

pub(super) async fn enroll_chunk(unit: &mut PgUnit, entry: Entry<'_>, limit: i64) -> StoreResult<Chunk> {
    let of = unit.of();
    let campaign = entry.campaign;
    let conn: &AsyncPgConnection = unit.conn().await?;
    let ((), at) = try_join!(run(conn, PATIENCE), cursor(conn, campaign))?;
    let Some(at) = at else { return Ok(Chunk { enrolled: 0, through: ContactNo(0), done: true }) };
    let rules = read(at.rules)?;
    let members = members(rules.as_ref(), campaign.segment);
    let audience = at.enroll_total;
    let wanted = Wanted { of, members, audience, after: at.enroll_cursor, mark: at.launch_mark, limit };
    let chunk = judged(&chunk::enroll(conn, wanted, entry).await?, at.enroll_cursor, limit);
    try_join!(move_cursor(conn, campaign, chunk), post_enrolled(conn, campaign, chunk.enrolled))?;
    Ok(chunk)
}

/// Where enrolling stands; `None` when it does not run. The row stays locked: one chunk at a time.
async fn cursor(mut conn: &AsyncPgConnection, campaign: &Campaign) -> StoreResult<Option<CursorRow>> {
    let rows: Vec<CursorRow> = prepared(
        "SELECT c.enroll_cursor, c.launch_mark, c.enroll_total, s.rules FROM campaigns c \
         JOIN segments s ON s.tenant_no = c.tenant_no AND s.segment_no = c.segment_no \
         WHERE c.tenant_no = $1 AND c.campaign_no = $2 AND c.enrollment_state = 'running' FOR UPDATE OF c",
    )
    .bind::<Integer, _>(campaign.tenant.0)
    .bind::<Integer, _>(campaign.no.0)
    .get_results(&mut conn)
    .await
    .store()?;
    Ok(rows.into_iter().next())
}

async fn move_cursor(mut conn: &AsyncPgConnection, campaign: &Campaign, chunk: Chunk) -> StoreResult<()> {
    prepared(
        "UPDATE campaigns SET enroll_cursor = $3, enrollment_state = CASE WHEN $4 THEN 'done' ELSE enrollment_state END \
         WHERE tenant_no = $1 AND campaign_no = $2",
    )
    .bind::<Integer, _>(campaign.tenant.0)
    .bind::<Integer, _>(campaign.no.0)
    .bind::<BigInt, _>(chunk.through.0)
    .bind::<Bool, _>(chunk.done)
    .execute(&mut conn)
    .await
    .store()?;
    Ok(())
}
