//! What an attempt learns after it was given up as in doubt: its own doubt it may settle, and no other.

use super::{bind_attempts, open};
use crate::postgres::deliveries::decisions::{self, Decided};
use crate::postgres::events::back::already;
use crate::postgres::locks::{self, Lock};
use crate::postgres::prepared::prepared;
use crate::postgres::{PgStore, PgTx, StoreErrorExt, books};
use chrono::{DateTime, Utc};
use diesel::QueryableByName;
use diesel::sql_types::{Array, BigInt, Bool, CChar, Integer, Nullable, SmallInt, Text, Timestamptz};
use diesel_async::RunQueryDsl;
use muster_domain::model::books::BookEntries;
use muster_domain::model::decision::{Evidence, Resolution};
use muster_domain::model::delivery::{Attempt, SendOutcome};
use muster_domain::model::ids::{CampaignKey, StepNo};
use muster_domain::ports::delivery::RecordReport;
use muster_domain::ports::store::StoreResult;

#[derive(QueryableByName)]
struct SettledRow {
    #[diesel(sql_type = BigInt)]
    contact_no: i64,
    #[diesel(sql_type = Integer)]
    pass: i32,
    #[diesel(sql_type = Nullable<Text>)]
    before: Option<String>,
    #[diesel(sql_type = SmallInt)]
    step: i16,
    #[diesel(sql_type = CChar)]
    state: u8,
    #[diesel(sql_type = Timestamptz)]
    now: DateTime<Utc>,
    #[diesel(sql_type = Bool)]
    came_back: bool,
}

/// Turns messages in doubt of these very attempts into sent or failed ones. Their enrollments went on long ago. A message that
/// was sent once more stays in doubt when only its last attempt turns out to have failed. What the books are to be told is added
/// to `entries`.
pub(super) async fn resolve(
    tx: &mut PgTx,
    key: CampaignKey,
    missed: &[(Attempt, &SendOutcome)],
    entries: &mut BookEntries,
) -> StoreResult<RecordReport> {
    let mut known: Vec<(Attempt, &str, &str)> = missed
        .iter()
        .filter_map(|(attempt, outcome)| match outcome {
            SendOutcome::Sent { .. } => Some((*attempt, "s", outcome.detail())),
            SendOutcome::Failed { .. } => Some((*attempt, "f", outcome.detail())),
            SendOutcome::Retry { .. } | SendOutcome::InDoubt { .. } => None,
        })
        .collect();
    if known.is_empty() {
        return Ok(RecordReport::default());
    }
    known.sort_unstable_by_key(|(attempt, ..)| attempt.key);
    // A doubt always says why; where nothing stands any more, the contact was erased.
    let sql = concat!(
        "UPDATE messages m SET state = a.state::\"char\", ended_at = (SELECT muster_now()), \
                   detail = CASE WHEN m.detail IS NOT NULL THEN a.detail END \
               FROM (SELECT $1::int AS tenant_no, $2::int AS campaign_no, u.*, (SELECT detail FROM messages b \
                       WHERE b.tenant_no = $1 AND b.campaign_no = $2 AND b.contact_no = u.contact_no AND b.step = u.step \
                       AND b.pass = u.pass) AS before \
                   FROM unnest($3::bigint[], $4::smallint[], $5::int[], $6::int[], $7::text[], $8::text[]) \
                   AS u (contact_no, step, pass, epoch, state, detail) OFFSET 0) AS a \
               WHERE m.tenant_no = a.tenant_no AND m.campaign_no = a.campaign_no AND m.contact_no = a.contact_no AND m.step = a.step \
               AND m.pass = a.pass AND m.epoch = a.epoch AND m.state = 'd' \
               AND (a.state = 's' OR m.resends = 0) AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.tenant_no = a.tenant_no AND o.campaign_no = a.campaign_no \
                   AND o.contact_no = a.contact_no AND o.step = a.step AND o.pass = a.pass) \
               RETURNING m.contact_no, m.step, m.pass, a.before, m.state, m.ended_at AS now, ",
        already!(),
        " AS came_back"
    );
    let rows: Vec<SettledRow> = bind_attempts(prepared(sql), key, known.iter().map(|(attempt, ..)| attempt))
        .bind::<Array<Text>, _>(known.iter().map(|(_, state, _)| (*state).to_owned()).collect::<Vec<_>>())
        .bind::<Array<Text>, _>(known.iter().map(|(.., detail)| (*detail).to_owned()).collect::<Vec<_>>())
        .get_results(tx)
        .await
        .store()?;
    let mut report = RecordReport::default();
    if let Some(now) = rows.as_slice().first().map(|row| row.now) {
        let decided: Vec<Decided> = rows.iter().map(SettledRow::decided).collect();
        decisions::write(tx, key, &decided, Evidence::LateAnswer, now).await?;
    }
    for row in rows {
        let step = StepNo(row.step);
        entries.step(step).in_doubt -= 1;
        if row.state == b's' {
            entries.step(step).sent += 1;
            let counts = entries.quarter(row.now, step);
            counts.sent += 1;
            counts.undelivered += i64::from(row.came_back);
            report.sent += 1;
        } else {
            entries.step(step).failed += 1;
            report.failed += 1;
        }
    }
    Ok(report)
}

impl SettledRow {
    fn decided(&self) -> Decided {
        Decided {
            contact_no: self.contact_no,
            step: self.step,
            pass: self.pass,
            resolution: if self.state == b's' { Resolution::Sent } else { Resolution::Failed },
            state: "d".to_owned(),
            detail: self.before.clone(),
        }
    }
}

/// Locks the enrollments, one by one in the order of their keys.
const HOLD: &str = "SELECT FROM unnest($3::bigint[], $4::smallint[], $5::int[], $6::int[]) AS a (contact_no, step, pass, epoch) \
    CROSS JOIN LATERAL (SELECT FROM enrollments \
        WHERE tenant_no = $1 AND campaign_no = $2 AND contact_no = a.contact_no FOR NO KEY UPDATE) AS e";

#[derive(QueryableByName)]
struct RequeuedRow {
    #[diesel(sql_type = SmallInt)]
    step: i16,
}

/// What is told of a message that is known not to have been handed over when nothing is sent any more.
const TOO_LATE: &str = "not handed over, which was known too late to try again";

/// Queues messages in doubt of these very attempts again: it is known by now that they were not handed over. For contacts that have
/// left, and in a campaign that is over, they have failed instead; what may have arrived in an attempt before stays in doubt.
pub(super) async fn requeue(store: &PgStore, key: CampaignKey, unsent: &[Attempt]) -> StoreResult<RecordReport> {
    if unsent.is_empty() {
        return Ok(RecordReport::default());
    }
    let mut tx = open(store, key.tenant).await?;
    // Completing a campaign takes this lock for itself, so that nothing is queued behind its back.
    locks::share(&mut tx, Lock::Campaign(key.campaign)).await?;
    // Who leaves holds the enrollment and cancels what is queued; in a statement of its own, so that the next one sees it.
    bind_attempts(prepared(HOLD), key, unsent).execute(&mut tx).await.store()?;
    // The enrollment went on when the doubt was recorded, so this delivery's end moves nothing: next_step is 0.
    let sql = "WITH back AS ( \
            DELETE FROM messages m \
            USING (SELECT $1::int AS tenant_no, $2::int AS campaign_no, u.* \
                   FROM unnest($3::bigint[], $4::smallint[], $5::int[], $6::int[]) \
                   AS u (contact_no, step, pass, epoch) OFFSET 0) AS a, \
                enrollments e, campaigns c \
            WHERE m.tenant_no = a.tenant_no AND m.campaign_no = a.campaign_no AND m.contact_no = a.contact_no AND m.step = a.step \
            AND m.pass = a.pass AND m.epoch = a.epoch AND m.state = 'd' \
            AND e.tenant_no = a.tenant_no AND e.campaign_no = a.campaign_no AND e.contact_no = a.contact_no AND e.status <> 'x' \
            AND c.tenant_no = $1 AND c.campaign_no = $2 AND c.status IN ('active', 'paused') \
            RETURNING m.*) \
        INSERT INTO outbox (tenant_no, campaign_no, contact_no, step, pass, epoch, attempts, resends, due_at, retry_at, queued_at, \
            version, next_step) \
        SELECT tenant_no, campaign_no, contact_no, step, pass, epoch, attempts, resends, ended_at, clock_timestamp(), queued_at, \
            version, 0 FROM back \
        ON CONFLICT (tenant_no, campaign_no, contact_no, step, pass) DO NOTHING RETURNING step";
    let rows: Vec<RequeuedRow> = bind_attempts(prepared(sql), key, unsent).get_results(&mut tx).await.store()?;
    let mut entries = BookEntries::default();
    for row in rows {
        let line = entries.step(StepNo(row.step));
        line.in_doubt -= 1;
        line.pending += 1;
    }
    let failed = SendOutcome::Failed { reason: TOO_LATE.to_owned(), bounced: None };
    let known: Vec<_> = unsent.iter().map(|attempt| (*attempt, &failed)).collect();
    let report = resolve(&mut tx, key, &known, &mut entries).await?;
    books::post(&tx, key, &entries).await?;
    tx.commit().await?;
    Ok(report)
}
