//! Writing a batch of moves: each table once, by arrays.

use super::super::internal;
use super::super::prepared::prepared;
use super::StoreErrorExt;
use chrono::{DateTime, TimeDelta, Utc};
use diesel::sql_types::{Array, BigInt, Integer, Nullable, SmallInt, Text, Timestamptz};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use muster_domain::model::advance::{AdvanceError, Advanced, Landing};
use muster_domain::model::books::BookEntries;
use muster_domain::model::enrollment::{DueEnrollment, Passage, Standing};
use muster_domain::model::ids::{CampaignKey, StepNo};
use muster_domain::model::sequence::Target;
use muster_domain::ports::advance::AdvanceReport;
use muster_domain::ports::store::StoreResult;
use std::fmt::Write as _;

/// A claimed enrollment and what was decided for it.
pub(super) struct Move<'a> {
    pub(super) due: &'a DueEnrollment,
    pub(super) outcome: Result<Advanced, AdvanceError>,
}

/// What a batch did, and what it adds to the books.
pub(super) struct Written {
    pub(super) figures: AdvanceReport,
    pub(super) entries: BookEntries,
}

/// Columns of the enrollments, the mail and the history that a batch writes.
#[derive(Default)]
struct Columns {
    contact: Vec<i64>,
    status: Vec<String>,
    step: Vec<i16>,
    pass: Vec<i32>,
    due_at: Vec<Option<DateTime<Utc>>>,
    ended_at: Vec<Option<DateTime<Utc>>>,
    exit_reason: Vec<Option<String>>,
    mail_contact: Vec<i64>,
    mail_step: Vec<i16>,
    mail_pass: Vec<i32>,
    mail_version: Vec<i32>,
    mail_next: Vec<i16>,
    history_contact: Vec<i64>,
    history_version: Vec<i32>,
    history_path: Vec<String>,
}

/// Writes enrollments, mail and history of `moves`. The books are the caller's last statement.
pub(super) async fn write_back(
    conn: &mut AsyncPgConnection,
    key: CampaignKey,
    now: DateTime<Utc>,
    moves: &[Move<'_>],
) -> StoreResult<Written> {
    let mut columns = Columns::default();
    let mut entries = BookEntries::default();
    let mut figures = AdvanceReport { claimed: moves.len(), ..AdvanceReport::default() };
    for one in moves {
        let Ok(advanced) = &one.outcome else {
            columns.put_off(one.due, now);
            figures.stuck += 1;
            continue;
        };
        columns.push(one.due, advanced, now);
        advanced.book(&mut entries);
        match advanced.landing {
            Landing::Deliver { .. } => figures.queued += 1,
            Landing::Completed { .. } | Landing::Exited { .. } => figures.ended += 1,
            Landing::Wait { .. } => {}
        }
    }
    update_enrollments(conn, key, &columns).await?;
    insert_mail(conn, key, now, &columns).await?;
    insert_history(conn, key, now, &columns).await?;
    Ok(Written { figures, entries })
}

impl Columns {
    fn push(&mut self, due: &DueEnrollment, moved: &Advanced, now: DateTime<Utc>) {
        let (standing, step, due_at) = match moved.landing {
            Landing::Deliver { step, .. } => (Standing::Delivering, step, None),
            Landing::Wait { step, until } => (Standing::Waiting, step, Some(until)),
            Landing::Completed { step } => (Standing::Completed, step, None),
            Landing::Exited { step, reason } => (Standing::Exited(reason), step, None),
        };
        let mut pass = due.pass.0;
        if let Landing::Deliver { step, next } = moved.landing {
            pass += 1;
            self.mail_contact.push(due.contact.0);
            self.mail_step.push(step.0);
            self.mail_pass.push(pass);
            self.mail_version.push(due.version.0);
            self.mail_next.push(match next {
                Target::Step(StepNo(no)) => no,
                Target::End => 0,
            });
        }
        self.row(due, standing, step, pass, due_at, (!standing.is_open()).then_some(now));
        self.history_contact.push(due.contact.0);
        self.history_version.push(due.version.0);
        self.history_path.push(path_text(&moved.path));
    }

    /// An enrollment that cannot be decided is looked at again in an hour, and blocks nobody.
    fn put_off(&mut self, due: &DueEnrollment, now: DateTime<Utc>) {
        self.row(due, due.standing, due.step, due.pass.0, Some(now + TimeDelta::hours(1)), None);
    }

    fn row(
        &mut self,
        due: &DueEnrollment,
        standing: Standing,
        step: StepNo,
        pass: i32,
        due_at: Option<DateTime<Utc>>,
        ended_at: Option<DateTime<Utc>>,
    ) {
        self.contact.push(due.contact.0);
        self.status.push(char::from(standing.code()).to_string());
        self.step.push(step.0);
        self.pass.push(pass);
        self.due_at.push(due_at);
        self.ended_at.push(ended_at);
        self.exit_reason.push(match standing {
            Standing::Exited(reason) => Some(char::from(reason.code()).to_string()),
            _ => None,
        });
    }
}

/// A path as PostgreSQL writes an array: arrays of arrays may not be ragged, so paths travel as text.
fn path_text(path: &[(StepNo, Passage)]) -> String {
    let mut text = String::from("{");
    for (step, passage) in path {
        let comma = if text.len() > 1 { "," } else { "" };
        // Writing to a string cannot fail.
        let _ = write!(text, "{comma}{},{}", step.0, passage.code());
    }
    text.push('}');
    text
}

async fn update_enrollments(conn: &mut AsyncPgConnection, key: CampaignKey, columns: &Columns) -> StoreResult<()> {
    let updated = prepared(
        // The batch names tenant and campaign, row by row: were they constants of the statement, a planner whose
        // statistics are older than the launch would read the whole campaign for every batch.
        "UPDATE enrollments AS e SET status = a.status::\"char\", step = a.step, pass = a.pass, due_at = a.due_at, \
         ended_at = a.ended_at, exit_reason = a.exit_reason::\"char\" \
         FROM (SELECT $1::int AS tenant_no, $2::int AS campaign_no, u.* FROM unnest($3::bigint[], $4::text[], \
             $5::smallint[], $6::int[], $7::timestamptz[], $8::timestamptz[], $9::text[]) \
             AS u (contact_no, status, step, pass, due_at, ended_at, exit_reason) OFFSET 0) AS a \
         WHERE e.tenant_no = a.tenant_no AND e.campaign_no = a.campaign_no AND e.contact_no = a.contact_no",
    )
    .bind::<Integer, _>(key.tenant.0)
    .bind::<Integer, _>(key.campaign.0)
    .bind::<Array<BigInt>, _>(columns.contact.clone())
    .bind::<Array<Text>, _>(columns.status.clone())
    .bind::<Array<SmallInt>, _>(columns.step.clone())
    .bind::<Array<Integer>, _>(columns.pass.clone())
    .bind::<Array<Nullable<Timestamptz>>, _>(columns.due_at.clone())
    .bind::<Array<Nullable<Timestamptz>>, _>(columns.ended_at.clone())
    .bind::<Array<Nullable<Text>>, _>(columns.exit_reason.clone())
    .execute(conn)
    .await
    .store()?;
    if updated == columns.contact.len() {
        Ok(())
    } else {
        Err(internal("claimed enrollments were lost before they were written"))
    }
}

async fn insert_mail(
    conn: &mut AsyncPgConnection,
    key: CampaignKey,
    now: DateTime<Utc>,
    columns: &Columns,
) -> StoreResult<()> {
    if columns.mail_contact.is_empty() {
        return Ok(());
    }
    prepared(
        "INSERT INTO outbox (tenant_no, campaign_no, contact_no, step, pass, due_at, queued_at, version, next_step) \
         SELECT $1, $2, u.contact_no, u.step, u.pass, $3, $3, u.version, u.next_step \
         FROM unnest($4::bigint[], $5::smallint[], $6::int[], $7::int[], $8::smallint[]) \
         AS u (contact_no, step, pass, version, next_step)",
    )
    .bind::<Integer, _>(key.tenant.0)
    .bind::<Integer, _>(key.campaign.0)
    .bind::<Timestamptz, _>(now)
    .bind::<Array<BigInt>, _>(columns.mail_contact.clone())
    .bind::<Array<SmallInt>, _>(columns.mail_step.clone())
    .bind::<Array<Integer>, _>(columns.mail_pass.clone())
    .bind::<Array<Integer>, _>(columns.mail_version.clone())
    .bind::<Array<SmallInt>, _>(columns.mail_next.clone())
    .execute(conn)
    .await
    .store()?;
    Ok(())
}

async fn insert_history(
    conn: &mut AsyncPgConnection,
    key: CampaignKey,
    now: DateTime<Utc>,
    columns: &Columns,
) -> StoreResult<()> {
    if columns.history_contact.is_empty() {
        return Ok(());
    }
    prepared(
        "INSERT INTO enrollment_history (tenant_no, campaign_no, contact_no, at, version, path) \
         SELECT $1, $2, u.contact_no, $3, u.version, u.path::smallint[] \
         FROM unnest($4::bigint[], $5::int[], $6::text[]) AS u (contact_no, version, path)",
    )
    .bind::<Integer, _>(key.tenant.0)
    .bind::<Integer, _>(key.campaign.0)
    .bind::<Timestamptz, _>(now)
    .bind::<Array<BigInt>, _>(columns.history_contact.clone())
    .bind::<Array<Integer>, _>(columns.history_version.clone())
    .bind::<Array<Text>, _>(columns.history_path.clone())
    .execute(conn)
    .await
    .store()?;
    Ok(())
}
