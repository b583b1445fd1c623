//! One chunk of an audience, enrolled by one plain `INSERT … SELECT`.
//!
//! What costs most beside the rows themselves was measured: asking for conflicts (`ON CONFLICT` looks before it writes, and
//! a third of the time went there), and looking each contact up by itself. Conflicts are rare, so it is tried without first;
//! and where the members of a list are dense among the contacts, both are read along their keys and merged.

use super::super::rule_sql::{Members, push_select};
use super::super::statement::{Bind, Statement};
use super::StoreErrorExt;
use crate::postgres::prepared::prepared;
use chrono::{DateTime, Utc};
use diesel::QueryableByName;
use diesel::result::{DatabaseErrorKind, Error};
use diesel::sql_types::{BigInt, Nullable};
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use futures::join;
use muster_domain::model::campaign::Campaign;
use muster_domain::model::ids::{SegmentNo, StepNo};
use muster_domain::ports::store::{StoreResult, Workspace};

/// Reading along so many contacts for each member of a list costs less than looking that one up.
const DENSE: i64 = 8;

/// Of a list so short each member is looked up, by a statement that is kept: to measure and plan would take longer than to
/// enroll them all.
const SHORT: i64 = 1_000;

/// What a chunk begins with: it is tried without asking for conflicts, see [`plainly`].
const BEGIN: &str = "SAVEPOINT chunk";
/// What it ends with. A savepoint left open would have what the launch writes next to the row that it has locked already count
/// as another's, and that row carry the locks of two.
const RELEASE: &str = "RELEASE SAVEPOINT chunk";
/// Has two tables that are read along their keys merged, whatever is known of them. Bounded on both sides: without
/// statistics the planner would look every contact up by itself.
const BEGIN_MERGE: &str = "SET LOCAL enable_nestloop = off; SET LOCAL enable_seqscan = off; SAVEPOINT chunk";
/// What a chunk of many ends with besides, however it began; a short list has set nothing.
const NESTLOOP: &str = "SET LOCAL enable_nestloop TO DEFAULT";
const SEQSCAN: &str = "SET LOCAL enable_seqscan TO DEFAULT";

/// What is to be enrolled: those with numbers above `after` and up to `mark`, at most `limit` of them.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub(super) of: Workspace,
    pub(super) members: Members<'a>,
    /// Of so many when they were counted.
    pub(super) audience: i64,
    pub(super) after: i64,
    pub(super) mark: i64,
    pub(super) limit: i64,
}

/// As what they are enrolled.
#[derive(Clone, Copy)]
pub(super) struct Entry<'a> {
    pub(super) campaign: &'a Campaign,
    pub(super) first: StepNo,
    pub(super) now: DateTime<Utc>,
}

/// A chunk that is enrolled.
#[derive(QueryableByName)]
pub(super) struct Enrolled {
    /// So many were not enrolled before.
    #[diesel(sql_type = BigInt)]
    pub(super) new: i64,
    /// So many were looked at: fewer than were wanted, and nobody is left.
    #[diesel(sql_type = BigInt)]
    pub(super) members: i64,
    /// The highest number among them.
    #[diesel(sql_type = Nullable<BigInt>)]
    pub(super) through: Option<i64>,
}

/// Enrolls them.
pub(super) async fn enroll(conn: &AsyncPgConnection, wanted: Wanted<'_>, entry: Entry<'_>) -> StoreResult<Enrolled> {
    match wanted.members {
        Members::Listed(_) if wanted.audience <= SHORT => look_up(conn, wanted, entry, Plan::Kept).await,
        Members::Listed(segment) => {
            let stretch = measure(conn, wanted, segment).await?;
            if stretch.is_dense(wanted.after) {
                merge(conn, wanted, segment, stretch, entry).await
            } else {
                look_up(conn, wanted, entry, Plan::Anew).await
            }
        }
        Members::Matching(_) => look_up(conn, wanted, entry, Plan::Anew).await,
    }
}

/// The stretch of a list that holds the next members.
#[derive(Clone, Copy, QueryableByName)]
struct Stretch {
    #[diesel(sql_type = BigInt)]
    members: i64,
    #[diesel(sql_type = Nullable<BigInt>)]
    through: Option<i64>,
}

impl Stretch {
    fn is_dense(self, after: i64) -> bool {
        self.through.is_some_and(|through| through - after <= DENSE.saturating_mul(self.members))
    }
}

/// Reads the list's own key and nothing else. Who was erased meanwhile is counted here, and found missing later.
async fn measure(mut conn: &AsyncPgConnection, wanted: Wanted<'_>, segment: SegmentNo) -> StoreResult<Stretch> {
    let mut statement =
        Statement::new("SELECT count(*) AS members, max(contact_no) AS through FROM (SELECT contact_no ");
    statement.push("FROM segment_members WHERE tenant_no = ").bind(Bind::Int(wanted.of.tenant.0));
    statement.push(" AND segment_no = ").bind(Bind::Int(segment.0));
    push_within(&mut statement, "contact_no", wanted.after, wanted.mark);
    statement.push(" ORDER BY contact_no LIMIT ").bind(Bind::BigInt(wanted.limit)).push(") AS m");
    statement.into_query().get_result(&mut conn).await.store()
}

/// Reads list and contacts along, and enrolls whom both name.
async fn merge(
    conn: &AsyncPgConnection,
    wanted: Wanted<'_>,
    segment: SegmentNo,
    Stretch { members, through }: Stretch,
    entry: Entry<'_>,
) -> StoreResult<Enrolled> {
    let Wanted { of, after, mark, .. } = wanted;
    let last = through.unwrap_or(mark);
    let mut statement = Statement::new("WITH joined AS (");
    push_insert(&mut statement, entry);
    statement.push(" FROM (SELECT m.contact_no FROM segment_members m JOIN contacts c ON c.contact_no = m.contact_no");
    statement.push(" WHERE m.tenant_no = ").bind(Bind::Int(of.tenant.0));
    statement.push(" AND m.segment_no = ").bind(Bind::Int(segment.0));
    push_within(&mut statement, "m.contact_no", after, last);
    statement.push(" AND c.tenant_no = ").bind(Bind::Int(of.tenant.0));
    statement.push(" AND c.workspace_no = ").bind(Bind::Int(of.workspace.0)).push(" AND c.erased_at IS NULL");
    push_within(&mut statement, "c.contact_no", after, last);
    statement.push(" ORDER BY m.contact_no) AS chunk");
    let counts = "SELECT count(*) AS new, 0::bigint AS members, NULL::bigint AS through FROM joined";
    let enrolled = plainly(conn, BEGIN_MERGE, &statement, counts, Plan::Anew).await?;
    Ok(Enrolled { members, through, ..enrolled })
}

/// Evaluates the rule for each contact, or looks each member of a thin list up.
async fn look_up(conn: &AsyncPgConnection, wanted: Wanted<'_>, entry: Entry<'_>, plan: Plan) -> StoreResult<Enrolled> {
    let Wanted { of, members, after, mark, limit, .. } = wanted;
    let mut statement = Statement::new("WITH chunk AS MATERIALIZED (");
    push_select(&mut statement, of, members, after, mark, limit);
    statement.push("), joined AS (");
    push_insert(&mut statement, entry);
    statement.push(" FROM chunk");
    let counts = "SELECT (SELECT count(*) FROM joined) AS new, (SELECT count(*) FROM chunk) AS members, \
                  (SELECT max(contact_no) FROM chunk) AS through";
    plainly(conn, BEGIN, &statement, counts, plan).await
}

/// Where the plan of an `INSERT` comes from.
#[derive(Clone, Copy)]
enum Plan {
    /// Made for these values.
    Anew,
    /// Made once a connection: the text is always the same.
    Kept,
}

/// Runs `begin` and an `INSERT` as `joined` without asking for conflicts, and again with that when somebody of them joined
/// before, or at this moment; then counts.
async fn plainly(
    conn: &AsyncPgConnection,
    begin: &'static str,
    insert: &Statement,
    counts: &str,
    plan: Plan,
) -> StoreResult<Enrolled> {
    let attempt = async |conflicts: &str| {
        let mut statement = insert.clone();
        statement.push(conflicts).push(" RETURNING 1) ").push(counts);
        let mut sender = conn;
        match plan {
            Plan::Anew => statement.into_query().get_result(&mut sender).await,
            Plan::Kept => statement.into_prepared().get_result(&mut sender).await,
        }
    };
    let (begun, enrolled, ended) = join!(run(conn, begin), attempt(""), end(conn, plan));
    begun?;
    match enrolled {
        // The end failed with it and undid nothing.
        Err(Error::DatabaseError(DatabaseErrorKind::UniqueViolation, _)) => {
            run(conn, "ROLLBACK TO SAVEPOINT chunk").await?;
            let enrolled = attempt(" ON CONFLICT DO NOTHING").await.store()?;
            end(conn, plan).await?;
            Ok(enrolled)
        }
        other => {
            let enrolled = other.store()?;
            ended?;
            Ok(enrolled)
        }
    }
}

/// Ends the chunk, behind its `INSERT` in the same flight: by prepared statements, which keep to their order, as a batch would
/// overtake one that is still to be prepared.
async fn end(mut conn: &AsyncPgConnection, plan: Plan) -> StoreResult<()> {
    let statements: &[&'static str] = match plan {
        Plan::Kept => &[RELEASE],
        Plan::Anew => &[RELEASE, NESTLOOP, SEQSCAN],
    };
    for sql in statements {
        prepared(sql).execute(&mut conn).await.store()?;
    }
    Ok(())
}

pub(super) async fn run(mut conn: &AsyncPgConnection, sql: &'static str) -> StoreResult<()> {
    conn.batch_execute(sql).await.store()
}

/// Goes on with an `INSERT` that takes `contact_no` from the `FROM` that follows.
fn push_insert(statement: &mut Statement, Entry { campaign, first, now }: Entry<'_>) {
    statement.push(
        "INSERT INTO enrollments (tenant_no, campaign_no, contact_no, due_at, enrolled_at, version, step, status) SELECT ",
    );
    statement.bind(Bind::Int(campaign.tenant.0)).push(", ").bind(Bind::Int(campaign.no.0)).push(", contact_no, ");
    statement.bind(Bind::Instant(now)).push(", ").bind(Bind::Instant(now)).push(", ");
    statement.bind(Bind::Int(campaign.sequence_version.0)).push(", ").bind(Bind::SmallInt(first.0)).push(", 'e'");
}

fn push_within(statement: &mut Statement, number: &str, after: i64, through: i64) {
    statement.push(" AND ").push(number).push(" > ").bind(Bind::BigInt(after));
    statement.push(" AND ").push(number).push(" <= ").bind(Bind::BigInt(through));
}
