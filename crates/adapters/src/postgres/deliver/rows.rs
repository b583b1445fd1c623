//! Rows of the outbox, locked together with their enrollments.

use super::{bind_attempts, bind_campaign};
use crate::postgres::StoreErrorExt;
use crate::postgres::prepared::{Prepared, prepared};
use chrono::{DateTime, Utc};
use diesel::QueryableByName;
use diesel::sql_types::{BigInt, Bool, CChar, Integer, SmallInt, Timestamptz};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use muster_domain::model::delivery::{Attempt, DeliveryKey, Epoch};
use muster_domain::model::ids::{CampaignKey, ContactNo, Pass, StepNo};
use muster_domain::ports::store::StoreResult;
use std::collections::HashSet;

/// So many expired rows are reaped in one transaction.
const REAPED_AT_ONCE: i64 = 500;

/// What is being sent, as a condition on the outbox. The lease says no more than the state, but it is what the index goes by.
macro_rules! being_sent {
    () => {
        "state = 's' AND lease_until IS NOT NULL"
    };
}
pub(in crate::postgres) use being_sent;

/// Whether the contact of the delivery `o` with the enrollment `e` has left, and gets no more of the campaign.
macro_rules! exited {
    () => {
        "e.status = 'x' AND NOT (o.by_hand AND e.exit_reason IN ('b', 'e'))"
    };
}

/// The columns that name an attempt of a campaign; to be embedded in rows that say more of it.
#[derive(Debug, Clone, QueryableByName)]
pub(super) struct AttemptColumns {
    #[diesel(sql_type = BigInt)]
    contact_no: i64,
    #[diesel(sql_type = SmallInt)]
    step: i16,
    #[diesel(sql_type = Integer)]
    pass: i32,
    #[diesel(sql_type = Integer)]
    epoch: i32,
}

impl AttemptColumns {
    pub(super) fn attempt(&self, key: CampaignKey) -> Attempt {
        let CampaignKey { tenant, campaign } = key;
        let (contact, step, pass) = (ContactNo(self.contact_no), StepNo(self.step), Pass(self.pass));
        Attempt { key: DeliveryKey { tenant, campaign, contact, step, pass }, epoch: Epoch(self.epoch) }
    }
}

/// A delivery under way, locked.
#[derive(Debug, Clone, QueryableByName)]
pub(super) struct OutboxRow {
    #[diesel(embed)]
    attempt: AttemptColumns,
    /// `p`, `c` or `s`.
    #[diesel(sql_type = CChar)]
    pub(super) state: u8,
    /// Begun so far.
    #[diesel(sql_type = SmallInt)]
    pub(super) attempts: i16,
    /// Of them, after an outcome in doubt.
    #[diesel(sql_type = SmallInt)]
    pub(super) resends: i16,
    /// The sequence's version.
    #[diesel(sql_type = Integer)]
    pub(super) version: i32,
    /// Where the enrollment goes from here; 0: the end.
    #[diesel(sql_type = SmallInt)]
    pub(super) next_step: i16,
    /// The enrollment waits for this delivery.
    #[diesel(sql_type = Bool)]
    pub(super) awaited: bool,
    /// The contact has left the campaign and gets no more of it. What was begun again by hand goes on when it was the
    /// failure itself, or the campaign's end, that took the contact out.
    #[diesel(sql_type = Bool)]
    pub(super) exited: bool,
    /// It was begun again by hand.
    #[diesel(sql_type = Bool)]
    pub(super) by_hand: bool,
    /// It has, because its contact was erased.
    #[diesel(sql_type = Bool)]
    pub(super) erased: bool,
    /// Business time.
    #[diesel(sql_type = Timestamptz)]
    pub(super) now: DateTime<Utc>,
}

impl OutboxRow {
    /// The delivery and the epoch of its last claim.
    pub(super) fn attempt(&self, key: CampaignKey) -> Attempt {
        self.attempt.attempt(key)
    }
}

/// Looked up one by one, in the order of their keys, whatever the planner believes of a campaign it has no statistics of.
pub(super) const LOCK: &str = concat!(
    "SELECT o.contact_no, o.step, o.pass, o.epoch, o.state, o.attempts, o.resends, o.version, \
        o.next_step, e.status = 'd' AND e.step = o.step AND e.pass = o.pass AS awaited, ",
    exited!(),
    " AS exited, o.by_hand, \
        e.exit_reason IS NOT DISTINCT FROM 'p' AS erased, (SELECT muster_now()) AS now \
    FROM unnest($3::bigint[], $4::smallint[], $5::int[], $6::int[]) AS a (contact_no, step, pass, epoch) \
    CROSS JOIN LATERAL (SELECT status, step, pass, exit_reason FROM enrollments \
        WHERE tenant_no = $1 AND campaign_no = $2 AND contact_no = a.contact_no FOR NO KEY UPDATE) AS e \
    CROSS JOIN LATERAL (SELECT * FROM outbox WHERE tenant_no = $1 AND campaign_no = $2 AND contact_no = a.contact_no \
        AND step = a.step AND pass = a.pass AND epoch = a.epoch FOR UPDATE) AS o"
);

#[derive(QueryableByName)]
struct SendRow {
    #[diesel(embed)]
    attempt: AttemptColumns,
    #[diesel(sql_type = SmallInt)]
    resends: i16,
}

/// Those of `attempts` that are sends of their epoch whose contact has not left the campaign, and which of them were in doubt before;
/// nothing is locked.
pub(super) async fn still_sends(
    mut conn: &AsyncPgConnection,
    key: CampaignKey,
    attempts: impl IntoIterator<Item = &Attempt>,
) -> StoreResult<(HashSet<Attempt>, Vec<DeliveryKey>)> {
    let rows: Vec<SendRow> =
        bind_attempts(prepared(STILL_SENDS), key, attempts).get_results(&mut conn).await.store()?;
    let attempt = |row: &SendRow| row.attempt.attempt(key);
    let resends = rows.iter().filter(|row| row.resends > 0).map(|row| attempt(row).key).collect();
    Ok((rows.iter().map(attempt).collect(), resends))
}

pub(super) const STILL_SENDS: &str = concat!(
    "SELECT o.contact_no, o.step, o.pass, o.epoch, o.resends \
     FROM unnest($3::bigint[], $4::smallint[], $5::int[], $6::int[]) AS a (contact_no, step, pass, epoch) \
     CROSS JOIN LATERAL (SELECT * FROM outbox WHERE tenant_no = $1 AND campaign_no = $2 AND contact_no = a.contact_no \
         AND step = a.step AND pass = a.pass AND epoch = a.epoch OFFSET 0) AS o \
     CROSS JOIN LATERAL (SELECT status, exit_reason FROM enrollments \
         WHERE tenant_no = $1 AND campaign_no = $2 AND contact_no = a.contact_no OFFSET 0) AS e WHERE o.state = 's' AND NOT (",
    exited!(),
    ")"
);

/// Locks what is under way of `attempts`: rows of their epochs, enrollments first.
pub(super) async fn lock(
    conn: &AsyncPgConnection,
    key: CampaignKey,
    attempts: impl IntoIterator<Item = &Attempt>,
) -> StoreResult<Vec<OutboxRow>> {
    load(conn, bind_attempts(prepared(LOCK), key, attempts)).await
}

/// Locks sends whose lease is over and which nobody else holds, enrollments first.
pub(super) async fn lock_expired_sends(conn: &AsyncPgConnection, key: CampaignKey) -> StoreResult<Vec<OutboxRow>> {
    let sql = concat!(
        "SELECT o.contact_no, o.step, o.pass, o.epoch, o.state, o.attempts, o.resends, o.version, o.next_step, \
            e.status = 'd' AND e.step = o.step AND e.pass = o.pass AS awaited, ",
        exited!(),
        " AS exited, o.by_hand, \
        e.exit_reason IS NOT DISTINCT FROM 'p' AS erased, (SELECT muster_now()) AS now \
        FROM (SELECT contact_no, step, pass FROM outbox \
            WHERE tenant_no = $1 AND campaign_no = $2 AND state = 's' AND lease_until < statement_timestamp() \
            ORDER BY contact_no, step, pass LIMIT $3) AS a \
        CROSS JOIN LATERAL (SELECT status, step, pass, exit_reason FROM enrollments \
            WHERE tenant_no = $1 AND campaign_no = $2 AND contact_no = a.contact_no FOR NO KEY UPDATE SKIP LOCKED) AS e \
        CROSS JOIN LATERAL (SELECT * FROM outbox WHERE tenant_no = $1 AND campaign_no = $2 AND contact_no = a.contact_no \
            AND step = a.step AND pass = a.pass AND state = 's' AND lease_until < statement_timestamp() \
            FOR UPDATE SKIP LOCKED) AS o"
    );
    load(conn, bind_campaign(prepared(sql), key).bind::<BigInt, _>(REAPED_AT_ONCE)).await
}

async fn load(mut conn: &AsyncPgConnection, query: Prepared) -> StoreResult<Vec<OutboxRow>> {
    query.get_results(&mut conn).await.store()
}

pub(super) const PUT_BACK: &str = "UPDATE outbox o SET state = 'p', lease_until = NULL, attempts = o.attempts - (o.state = 's')::int::smallint \
     FROM (SELECT $1::int AS tenant_no, $2::int AS campaign_no, u.* \
         FROM unnest($3::bigint[], $4::smallint[], $5::int[], $6::int[]) \
         AS u (contact_no, step, pass, epoch) OFFSET 0) AS a \
     WHERE o.tenant_no = a.tenant_no AND o.campaign_no = a.campaign_no AND o.contact_no = a.contact_no AND o.step = a.step \
     AND o.pass = a.pass AND o.epoch = a.epoch AND o.state IN ('c', 's')";

/// Makes claims of `attempts` pending again, and takes back those that the same transaction made begin.
pub(super) async fn put_back(
    mut conn: &AsyncPgConnection,
    key: CampaignKey,
    attempts: impl IntoIterator<Item = &Attempt>,
) -> StoreResult<()> {
    bind_attempts(prepared(PUT_BACK), key, attempts).execute(&mut conn).await.store()?;
    Ok(())
}
