//! Taking contacts out of their campaigns before the end: unsubscribing, suppressing, erasing, leaving by hand.
//!
//! The order of locks is that of [`super::deliver`].

use super::books;
use super::delivery_keys::DeliveryColumns;
use super::error::StoreErrorExt;
use chrono::{DateTime, Utc};
use diesel::QueryableByName;
use diesel::sql_types::{Array, BigInt, Bool, CChar, Integer, Nullable, SmallInt, Text, Timestamptz};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use muster_domain::model::books::BookEntries;
use muster_domain::model::enrollment::{ExitReason, Passage};
use muster_domain::model::ids::{CampaignNo, ContactNo, StepNo, TenantNo};
use muster_domain::ports::store::StoreResult;
use std::collections::BTreeMap;

/// Who leaves what, and why.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Leaving<'a> {
    /// The owner of everything below.
    pub(crate) tenant: TenantNo,
    /// Who leaves. The caller holds these contacts `FOR UPDATE`, so that no delivery to them can begin meanwhile.
    pub(crate) contacts: &'a [ContactNo],
    /// Only this campaign; every active and paused one when `None`.
    pub(crate) campaign: Option<CampaignNo>,
    /// Why.
    pub(crate) reason: ExitReason,
    /// Business time.
    pub(crate) now: DateTime<Utc>,
}

/// What leaving adds to the books. It has to be posted, as the last thing before the commit.
#[derive(Debug, Default)]
#[must_use = "the books do not balance until this is posted"]
pub(crate) struct Exits {
    tenant: Option<TenantNo>,
    entries: BTreeMap<CampaignNo, BookEntries>,
}

impl Exits {
    /// How many enrollments were ended.
    pub(crate) fn count(&self) -> i64 {
        self.entries.values().map(|entries| entries.campaign.exited).sum()
    }

    fn entries(&mut self, campaign: CampaignNo) -> &mut BookEntries {
        self.entries.entry(campaign).or_default()
    }

    /// What is to be posted, campaign by campaign.
    pub(crate) fn into_entries(self) -> BTreeMap<CampaignNo, BookEntries> {
        self.entries
    }

    /// Posts everything, campaign by campaign in rising order. No statement may follow but the commit.
    pub(crate) async fn post(self, conn: &mut AsyncPgConnection) -> StoreResult<()> {
        let Some(tenant) = self.tenant else { return Ok(()) };
        books::post_all(conn, tenant, &self.entries).await
    }
}

/// Ends the open enrollments of `leaving.contacts`, writes their history, and cancels what is queued for them.
///
/// A delivery already begun (outbox state `s`) is left to its worker, which records the outcome in the books of the
/// step; everything else in the outbox becomes a cancelled message. The same call again changes nothing.
pub(crate) async fn exit_open_enrollments(conn: &mut AsyncPgConnection, leaving: Leaving<'_>) -> StoreResult<Exits> {
    let mut exits = Exits { tenant: Some(leaving.tenant), entries: BTreeMap::new() };
    if leaving.contacts.is_empty() {
        return Ok(exits);
    }
    // Locked in a statement of its own: whoever held a row may have queued a mail, which the next statement must see.
    let open = lock_open(conn, leaving).await?;
    end(conn, leaving, &open).await?;
    write_history(conn, leaving, &open).await?;
    for row in &open {
        let entries = exits.entries(CampaignNo(row.campaign_no));
        entries.campaign.open -= 1;
        entries.campaign.exited += 1;
        if row.status == b'w' {
            let step = entries.step(StepNo(row.step));
            step.pending -= 1;
            step.cancelled += 1;
        }
    }
    for row in cancel_queued(conn, leaving).await? {
        let step = exits.entries(CampaignNo(row.delivery.campaign_no)).step(StepNo(row.delivery.step));
        step.pending -= 1;
        step.in_doubt += i64::from(row.resends > 0);
        step.cancelled += i64::from(row.resends == 0);
    }
    Ok(exits)
}

#[derive(QueryableByName)]
struct OpenRow {
    #[diesel(sql_type = Integer)]
    campaign_no: i32,
    #[diesel(sql_type = BigInt)]
    contact_no: i64,
    #[diesel(sql_type = Integer)]
    version: i32,
    #[diesel(sql_type = SmallInt)]
    step: i16,
    #[diesel(sql_type = CChar)]
    status: u8,
}

// `LATERAL … OFFSET 0` makes one probe of the primary key for each pair, whatever statistics say: right after a launch
// there are none yet, and a plan made without them reads a whole campaign to end one enrollment.

/// Every contact beside every running campaign of the tenant: enrollments have no index by contact.
const PAIRS: &str = "(SELECT c.campaign_no, u.contact_no FROM campaigns c CROSS JOIN unnest($2::bigint[]) AS u(contact_no) \
    WHERE c.tenant_no = $1 AND (c.status IN ('active', 'paused') OR c.retrying) AND ($3 IS NULL OR c.campaign_no = $3) \
    ORDER BY c.campaign_no, u.contact_no) p";

async fn lock_open(conn: &mut AsyncPgConnection, leaving: Leaving<'_>) -> StoreResult<Vec<OpenRow>> {
    diesel::sql_query(format!(
        "SELECT e.* FROM {PAIRS} CROSS JOIN LATERAL \
         (SELECT campaign_no, contact_no, version, step, status FROM enrollments e WHERE e.tenant_no = $1 \
          AND e.campaign_no = p.campaign_no AND e.contact_no = p.contact_no AND e.status IN ('e', 'r', 'w', 'd') \
          OFFSET 0 FOR UPDATE) e"
    ))
    .bind::<Integer, _>(leaving.tenant.0)
    .bind::<Array<BigInt>, _>(numbers(leaving.contacts))
    .bind::<Nullable<Integer>, _>(leaving.campaign.map(|campaign| campaign.0))
    .load(conn)
    .await
    .store()
}

async fn end(conn: &mut AsyncPgConnection, leaving: Leaving<'_>, open: &[OpenRow]) -> StoreResult<()> {
    if open.is_empty() {
        return Ok(());
    }
    diesel::sql_query(
        "UPDATE enrollments e SET status = 'x', exit_reason = $4, ended_at = $5, due_at = NULL \
         FROM unnest($2::int[], $3::bigint[]) AS u(campaign_no, contact_no) CROSS JOIN LATERAL \
            (SELECT ctid AS at FROM enrollments WHERE tenant_no = $1 AND campaign_no = u.campaign_no \
             AND contact_no = u.contact_no OFFSET 0) p \
         WHERE e.ctid = p.at AND e.tenant_no = $1",
    )
    .bind::<Integer, _>(leaving.tenant.0)
    .bind::<Array<Integer>, _>(open.iter().map(|row| row.campaign_no).collect::<Vec<_>>())
    .bind::<Array<BigInt>, _>(open.iter().map(|row| row.contact_no).collect::<Vec<_>>())
    .bind::<CChar, _>(leaving.reason.code())
    .bind::<Timestamptz, _>(leaving.now)
    .execute(conn)
    .await
    .store()?;
    Ok(())
}

async fn write_history(conn: &mut AsyncPgConnection, leaving: Leaving<'_>, open: &[OpenRow]) -> StoreResult<()> {
    if open.is_empty() {
        return Ok(());
    }
    diesel::sql_query(
        "INSERT INTO enrollment_history (tenant_no, campaign_no, contact_no, at, version, path) \
         SELECT $1, u.campaign_no, u.contact_no, $6, u.version, \
            CASE WHEN u.waits THEN ARRAY[u.step, $8, u.step, $7] ELSE ARRAY[u.step, $7] END \
         FROM unnest($2::int[], $3::bigint[], $4::int[], $5::smallint[], $9::boolean[]) \
            AS u(campaign_no, contact_no, version, step, waits)",
    )
    .bind::<Integer, _>(leaving.tenant.0)
    .bind::<Array<Integer>, _>(open.iter().map(|row| row.campaign_no).collect::<Vec<_>>())
    .bind::<Array<BigInt>, _>(open.iter().map(|row| row.contact_no).collect::<Vec<_>>())
    .bind::<Array<Integer>, _>(open.iter().map(|row| row.version).collect::<Vec<_>>())
    .bind::<Array<SmallInt>, _>(open.iter().map(|row| row.step).collect::<Vec<_>>())
    .bind::<Timestamptz, _>(leaving.now)
    .bind::<SmallInt, _>(Passage::Left(leaving.reason).code())
    .bind::<SmallInt, _>(Passage::WaitCancelled.code())
    .bind::<Array<Bool>, _>(open.iter().map(|row| row.status == b'w').collect::<Vec<_>>())
    .execute(conn)
    .await
    .store()?;
    Ok(())
}

#[derive(QueryableByName)]
struct QueuedRow {
    #[diesel(embed)]
    delivery: DeliveryColumns,
    #[diesel(sql_type = SmallInt)]
    resends: i16,
}

/// Also what a retry queued again after its enrollment had ended. What waited to be sent once more after a doubt stays in
/// doubt (see `DeliveryState::given_resends`). Whoever claimed one of these finds no row of its
/// epoch when it wants to begin.
async fn cancel_queued(conn: &mut AsyncPgConnection, leaving: Leaving<'_>) -> StoreResult<Vec<QueuedRow>> {
    let queued = lock_queued(conn, leaving).await?;
    if queued.is_empty() {
        return Ok(queued);
    }
    diesel::sql_query(
        "WITH taken AS ( \
            DELETE FROM outbox o USING unnest($2::int[], $3::bigint[], $4::smallint[], $5::int[]) \
               AS u(campaign_no, contact_no, step, pass) CROSS JOIN LATERAL \
               (SELECT ctid AS at FROM outbox WHERE tenant_no = $1 AND campaign_no = u.campaign_no \
                AND contact_no = u.contact_no AND step = u.step AND pass = u.pass OFFSET 0) p \
            WHERE o.ctid = p.at AND o.tenant_no = $1 RETURNING o.*) \
         INSERT INTO messages AS m (tenant_no, campaign_no, contact_no, step, pass, state, attempts, resends, epoch, version, \
            queued_at, ended_at, detail) \
         SELECT tenant_no, campaign_no, contact_no, step, pass, CASE WHEN resends > 0 THEN 'd' ELSE 'x' END::\"char\", \
            attempts, resends, epoch, version, queued_at, $6, $7 FROM taken \
         ON CONFLICT (tenant_no, campaign_no, contact_no, step, pass) DO UPDATE SET state = excluded.state, \
            attempts = excluded.attempts, resends = excluded.resends, epoch = excluded.epoch, ended_at = excluded.ended_at, detail = excluded.detail",
    )
    .bind::<Integer, _>(leaving.tenant.0)
    .bind::<Array<Integer>, _>(queued.iter().map(|row| row.delivery.campaign_no).collect::<Vec<_>>())
    .bind::<Array<BigInt>, _>(queued.iter().map(|row| row.delivery.contact_no).collect::<Vec<_>>())
    .bind::<Array<SmallInt>, _>(queued.iter().map(|row| row.delivery.step).collect::<Vec<_>>())
    .bind::<Array<Integer>, _>(queued.iter().map(|row| row.delivery.pass).collect::<Vec<_>>())
    .bind::<Timestamptz, _>(leaving.now)
    .bind::<Text, _>(leaving.reason.as_str())
    .execute(conn)
    .await
    .store()?;
    Ok(queued)
}

/// In a statement of its own, so that the next one sees rows as whoever held them left them.
async fn lock_queued(conn: &mut AsyncPgConnection, leaving: Leaving<'_>) -> StoreResult<Vec<QueuedRow>> {
    diesel::sql_query(format!(
        "SELECT o.* FROM {PAIRS} CROSS JOIN LATERAL \
         (SELECT campaign_no, contact_no, step, pass, resends FROM outbox o WHERE o.tenant_no = $1 \
          AND o.campaign_no = p.campaign_no AND o.contact_no = p.contact_no AND o.state IN ('p', 'c') \
          ORDER BY step, pass OFFSET 0 FOR UPDATE) o"
    ))
    .bind::<Integer, _>(leaving.tenant.0)
    .bind::<Array<BigInt>, _>(numbers(leaving.contacts))
    .bind::<Nullable<Integer>, _>(leaving.campaign.map(|campaign| campaign.0))
    .load(conn)
    .await
    .store()
}

fn numbers(contacts: &[ContactNo]) -> Vec<i64> {
    contacts.iter().map(|contact| contact.0).collect()
}
