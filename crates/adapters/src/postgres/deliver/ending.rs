//! The end of deliveries: out of the outbox, into the messages, and the enrollment on its way.

use super::heard::ARRIVED;
use super::rows::OutboxRow;
use super::{bind_attempts, bind_campaign};
use crate::postgres::events::back::already;
use crate::postgres::prepared::prepared;
use crate::postgres::{StoreErrorExt, events, internal};
use chrono::{DateTime, Utc};
use diesel::QueryableByName;
use diesel::sql_types::{Array, BigInt, Bool, Integer, Nullable, SmallInt, Text, Timestamptz};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use futures::try_join;
use muster_domain::model::books::BookEntries;
use muster_domain::model::delivery::DeliveryState;
use muster_domain::model::enrollment::{ExitReason, Passage};
use muster_domain::model::events::{EngagementEvent, EventKind};
use muster_domain::model::ids::{CampaignKey, StepNo};
use muster_domain::ports::store::StoreResult;
use uuid::Uuid;

/// The longest detail that is kept, in characters.
const DETAIL_AT_MOST: usize = 500;

/// How one delivery ends.
#[derive(Debug)]
pub(super) struct Ending {
    /// The delivery, locked.
    pub(super) row: OutboxRow,
    /// The end that befell it; see [`Ending::state`] for what it is said to be.
    pub(super) fate: DeliveryState,
    /// The server's reply, or the reason; holds no address.
    pub(super) detail: String,
    /// The recipient was refused while the mail was being sent.
    pub(super) refused: bool,
    /// The contact leaves the campaign for this reason, rather than go on.
    pub(super) leave: Option<ExitReason>,
}

/// Where an enrollment goes when the delivery it waits for has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Onward {
    Step(i16),
    Completed,
    Left(ExitReason),
}

impl Ending {
    /// A mail of which something was heard that a mail server must have taken it for.
    pub(super) fn arrived(row: OutboxRow) -> Self {
        Self { row, fate: DeliveryState::Sent, detail: ARRIVED.to_owned(), refused: false, leave: None }
    }

    /// A mail to an address that must not be written to, whose contact leaves for that.
    pub(super) fn suppressed(row: OutboxRow, reason: ExitReason) -> Self {
        let (fate, detail) = (DeliveryState::Suppressed, reason.as_str().to_owned());
        Self { row, fate, detail, refused: false, leave: Some(reason) }
    }

    /// `None` when the enrollment does not wait for this delivery: it has left, or has gone on already.
    fn onward(&self) -> Option<Onward> {
        let onward = match (self.leave, self.row.next_step) {
            (Some(reason), _) => Onward::Left(reason),
            (None, 0) => Onward::Completed,
            (None, next) => Onward::Step(next),
        };
        self.row.awaited.then_some(onward)
    }

    /// The state that it ends in: what befell its last attempt, unless an earlier one is in doubt.
    pub(super) fn state(&self) -> DeliveryState {
        self.fate.given_resends(self.row.resends)
    }

    fn code(&self) -> &'static str {
        match self.state() {
            DeliveryState::Sent => "s",
            DeliveryState::Failed => "f",
            DeliveryState::Suppressed => "u",
            DeliveryState::Skipped => "k",
            DeliveryState::InDoubt => "d",
            DeliveryState::Cancelled | DeliveryState::Pending | DeliveryState::Claimed | DeliveryState::Sending => "x",
        }
    }

    /// What is told of a recipient who was refused.
    fn refusal(&self, key: CampaignKey, at: DateTime<Utc>) -> EngagementEvent {
        let delivery = self.row.attempt(key).key;
        EngagementEvent { id: Uuid::now_v7(), delivery, kind: EventKind::Refused, link: None, at, machine: None }
    }

    /// As far as the campaign knows, a mail went out.
    fn went_out(&self) -> bool {
        matches!(self.state(), DeliveryState::Sent | DeliveryState::InDoubt)
    }
}

/// Ends deliveries, all of them or none. What comes back has to be posted to the books, as the last thing before the
/// commit.
pub(super) async fn end(
    conn: &mut AsyncPgConnection,
    key: CampaignKey,
    now: DateTime<Utc>,
    endings: &[Ending],
) -> StoreResult<BookEntries> {
    let mut entries = BookEntries::default();
    if endings.is_empty() {
        return Ok(entries);
    }
    let mut endings: Vec<&Ending> = endings.iter().collect();
    endings.sort_unstable_by_key(|ending| ending.row.attempt(key).key);
    let moves = moves(&endings);
    let ((), back, ()) = try_join!(
        move_enrollments(conn, key, now, &moves),
        move_rows(conn, key, now, &endings),
        write_history(conn, key, now, &moves),
    )?;
    for step in back {
        entries.quarter(now, step).undelivered += 1;
    }
    for ending in &endings {
        book(&mut entries, key, now, ending);
    }
    let refused: Vec<_> = endings.iter().filter(|ending| ending.refused).collect();
    let refusals: Vec<_> = refused.iter().map(|ending| ending.refusal(key, now)).collect();
    for (_, counted) in events::record(conn, key.tenant, &refusals).await?.1 {
        entries += counted;
    }
    Ok(entries)
}

/// Those whose enrollment waits for them, and where it goes.
fn moves<'a>(endings: &[&'a Ending]) -> Vec<(&'a Ending, Onward)> {
    endings.iter().filter_map(|ending| Some((*ending, ending.onward()?))).collect()
}

#[derive(QueryableByName)]
struct MovedRow {
    #[diesel(sql_type = SmallInt)]
    step: i16,
    #[diesel(sql_type = Bool)]
    came_back: bool,
}

/// Answers with a step for each mail that was sent and came back already, before its own attempt knew that it was sent.
async fn move_rows(
    mut conn: &AsyncPgConnection,
    key: CampaignKey,
    now: DateTime<Utc>,
    endings: &[&Ending],
) -> StoreResult<Vec<StepNo>> {
    let sql = concat!(
        "WITH gone AS ( \
            DELETE FROM outbox o \
            USING (SELECT $1::int AS tenant_no, $2::int AS campaign_no, u.* \
                   FROM unnest($3::bigint[], $4::smallint[], $5::int[], $6::int[], $7::text[], $8::text[]) \
                   AS u (contact_no, step, pass, epoch, ending, detail) OFFSET 0) AS a \
            WHERE o.tenant_no = a.tenant_no AND o.campaign_no = a.campaign_no AND o.contact_no = a.contact_no AND o.step = a.step \
            AND o.pass = a.pass AND o.epoch = a.epoch \
            RETURNING o.contact_no, o.step, o.pass, o.epoch, o.attempts, o.resends, o.version, o.queued_at, a.ending, a.detail) \
        INSERT INTO messages AS m (tenant_no, campaign_no, contact_no, step, pass, state, attempts, resends, epoch, version, \
            queued_at, ended_at, detail) \
        SELECT $1, $2, contact_no, step, pass, ending::\"char\", attempts, resends, epoch, version, queued_at, $9, detail FROM gone \
        ON CONFLICT (tenant_no, campaign_no, contact_no, step, pass) DO UPDATE SET state = excluded.state, \
            attempts = excluded.attempts, resends = excluded.resends, epoch = excluded.epoch, ended_at = excluded.ended_at, detail = excluded.detail \
        RETURNING m.step, m.state = 's' AND ",
        already!(),
        " AS came_back"
    );
    let attempts: Vec<_> = endings.iter().map(|ending| ending.row.attempt(key)).collect();
    // A server may say a person's name; of somebody erased nothing is kept that it said.
    let detail =
        |ending: &&Ending| (!ending.row.erased).then(|| ending.detail.chars().take(DETAIL_AT_MOST).collect::<String>());
    let moved: Vec<MovedRow> = bind_attempts(prepared(sql), key, &attempts)
        .bind::<Array<Text>, _>(endings.iter().map(|ending| ending.code()).collect::<Vec<_>>())
        .bind::<Array<Nullable<Text>>, _>(endings.iter().map(detail).collect::<Vec<_>>())
        .bind::<Timestamptz, _>(now)
        .get_results(&mut conn)
        .await
        .store()?;
    if moved.len() != endings.len() {
        return Err(internal("locked deliveries were lost before they ended"));
    }
    Ok(moved.into_iter().filter(|row| row.came_back).map(|row| StepNo(row.step)).collect())
}

async fn move_enrollments(
    mut conn: &AsyncPgConnection,
    key: CampaignKey,
    now: DateTime<Utc>,
    moves: &[(&Ending, Onward)],
) -> StoreResult<()> {
    if moves.is_empty() {
        return Ok(());
    }
    let sql = "UPDATE enrollments e SET status = a.status::\"char\", step = a.step, due_at = a.due_at, \
                   ended_at = a.ended_at, exit_reason = a.reason::\"char\", \
                   last_email_sent_at = coalesce(a.sent_at, e.last_email_sent_at) \
               FROM (SELECT $1::int AS tenant_no, $2::int AS campaign_no, u.* \
                   FROM unnest($3::bigint[], $4::text[], $5::smallint[], $6::timestamptz[], $7::timestamptz[], $8::text[], $9::timestamptz[]) \
                   AS u (contact_no, status, step, due_at, ended_at, reason, sent_at) OFFSET 0) AS a \
               WHERE e.tenant_no = a.tenant_no AND e.campaign_no = a.campaign_no AND e.contact_no = a.contact_no AND e.status = 'd'";
    let contacts: Vec<i64> = moves.iter().map(|(ending, _)| ending.row.attempt(key).key.contact.0).collect();
    let step = |(ending, onward): &(&Ending, Onward)| match onward {
        Onward::Step(next) => *next,
        Onward::Completed | Onward::Left(_) => ending.row.attempt(key).key.step.0,
    };
    let column = |of: fn(Onward, DateTime<Utc>) -> Option<DateTime<Utc>>| {
        moves.iter().map(|(_, onward)| of(*onward, now)).collect::<Vec<_>>()
    };
    let moved = bind_campaign(prepared(sql), key)
        .bind::<Array<BigInt>, _>(contacts)
        .bind::<Array<Text>, _>(moves.iter().map(|(_, onward)| onward.status()).collect::<Vec<_>>())
        .bind::<Array<SmallInt>, _>(moves.iter().map(step).collect::<Vec<_>>())
        .bind::<Array<Nullable<Timestamptz>>, _>(column(|onward, now| matches!(onward, Onward::Step(_)).then_some(now)))
        .bind::<Array<Nullable<Timestamptz>>, _>(column(|onward, now| {
            (!matches!(onward, Onward::Step(_))).then_some(now)
        }))
        .bind::<Array<Nullable<Text>>, _>(moves.iter().map(|(_, onward)| onward.reason()).collect::<Vec<_>>())
        .bind::<Array<Nullable<Timestamptz>>, _>(
            moves.iter().map(|(ending, _)| ending.went_out().then_some(now)).collect::<Vec<_>>(),
        )
        .execute(&mut conn)
        .await
        .store()?;
    if moved == moves.len() {
        Ok(())
    } else {
        Err(internal("locked enrollments were lost before their deliveries ended"))
    }
}

async fn write_history(
    mut conn: &AsyncPgConnection,
    key: CampaignKey,
    now: DateTime<Utc>,
    moves: &[(&Ending, Onward)],
) -> StoreResult<()> {
    let last: Vec<(&Ending, i16)> =
        moves.iter().filter_map(|(ending, onward)| Some((*ending, onward.passage()?.code()))).collect();
    if last.is_empty() {
        return Ok(());
    }
    let sql = "INSERT INTO enrollment_history (tenant_no, campaign_no, contact_no, at, version, path) \
               SELECT $1, $2, a.contact_no, $3, a.version, ARRAY[a.step, a.passage] \
               FROM unnest($4::bigint[], $5::int[], $6::smallint[], $7::smallint[]) AS a (contact_no, version, step, passage)";
    let keys: Vec<_> = last.iter().map(|(ending, _)| ending.row.attempt(key).key).collect();
    bind_campaign(prepared(sql), key)
        .bind::<Timestamptz, _>(now)
        .bind::<Array<BigInt>, _>(keys.iter().map(|key| key.contact.0).collect::<Vec<_>>())
        .bind::<Array<Integer>, _>(last.iter().map(|(ending, _)| ending.row.version).collect::<Vec<_>>())
        .bind::<Array<SmallInt>, _>(keys.iter().map(|key| key.step.0).collect::<Vec<_>>())
        .bind::<Array<SmallInt>, _>(last.iter().map(|(_, code)| *code).collect::<Vec<_>>())
        .execute(&mut conn)
        .await
        .store()?;
    Ok(())
}

impl Onward {
    fn status(self) -> &'static str {
        match self {
            Onward::Step(_) => "r",
            Onward::Completed => "c",
            Onward::Left(_) => "x",
        }
    }

    fn reason(self) -> Option<String> {
        match self {
            Onward::Left(reason) => Some(char::from(reason.code()).to_string()),
            Onward::Step(_) | Onward::Completed => None,
        }
    }

    /// What the history says of it; going on to a step is told by that step.
    fn passage(self) -> Option<Passage> {
        match self {
            Onward::Step(_) => None,
            Onward::Completed => Some(Passage::Ended),
            Onward::Left(reason) => Some(Passage::Left(reason)),
        }
    }
}

fn book(entries: &mut BookEntries, key: CampaignKey, now: DateTime<Utc>, ending: &Ending) {
    let step = ending.row.attempt(key).key.step;
    let line = entries.step(step);
    line.pending -= 1;
    match ending.state() {
        DeliveryState::Sent => line.sent += 1,
        DeliveryState::Failed => line.failed += 1,
        DeliveryState::Suppressed => line.suppressed += 1,
        DeliveryState::Skipped => line.skipped += 1,
        DeliveryState::InDoubt => line.in_doubt += 1,
        DeliveryState::Cancelled | DeliveryState::Pending | DeliveryState::Claimed | DeliveryState::Sending => {
            line.cancelled += 1;
        }
    }
    if ending.state() == DeliveryState::Sent {
        entries.quarter(now, step).sent += 1;
    }
    match ending.onward() {
        None | Some(Onward::Step(_)) => {}
        Some(Onward::Completed) => {
            entries.campaign.open -= 1;
            entries.campaign.completed += 1;
        }
        Some(Onward::Left(_)) => {
            entries.campaign.open -= 1;
            entries.campaign.exited += 1;
        }
    }
}
