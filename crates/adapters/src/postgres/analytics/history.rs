//! One contact's way: the paths of its moves, the ends of its mails and what was done with them, by time.

use super::StoreErrorExt;
use crate::postgres::deliveries::{decisions, delivery_state};
use crate::postgres::events::told;
use chrono::{DateTime, Utc};
use diesel::QueryableByName;
use diesel::sql_types::{Array, BigInt, CChar, Integer, Nullable, SmallInt, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use muster_domain::model::enrollment::Passage;
use muster_domain::model::ids::{CampaignKey, ContactNo, StepId, StepNo};
use muster_domain::ports::analytics::{Happened, HistoryEvent};
use muster_domain::ports::store::{StoreError, StoreResult};
use uuid::Uuid;

#[derive(QueryableByName)]
struct MoveRow {
    #[diesel(sql_type = Timestamptz)]
    at: DateTime<Utc>,
    #[diesel(sql_type = Array<SmallInt>)]
    path: Vec<i16>,
}

#[derive(QueryableByName)]
struct MailRow {
    #[diesel(sql_type = Timestamptz)]
    at: DateTime<Utc>,
    #[diesel(sql_type = SmallInt)]
    step: i16,
    #[diesel(sql_type = CChar)]
    state: u8,
    #[diesel(sql_type = SmallInt)]
    attempts: i16,
    #[diesel(sql_type = Nullable<Text>)]
    detail: Option<String>,
}

/// Moves and mails in the order in which they happened; at one instant the mail's end comes before the move it allowed.
pub(super) async fn of(
    conn: &mut AsyncPgConnection,
    key: CampaignKey,
    contact: ContactNo,
) -> StoreResult<Vec<HistoryEvent>> {
    let moves: Vec<MoveRow> = diesel::sql_query(
        "SELECT at, path FROM enrollment_history WHERE tenant_no = $1 AND campaign_no = $2 AND contact_no = $3 ORDER BY seq",
    )
    .bind::<Integer, _>(key.tenant.0)
    .bind::<Integer, _>(key.campaign.0)
    .bind::<BigInt, _>(contact.0)
    .get_results(conn)
    .await
    .store()?;
    let mut mails = mails(conn, key, contact).await?.into_iter().peekable();
    let mut events = Vec::new();
    for row in moves {
        // A mail is queued by one move and its end allows the next: between two moves there is at most one.
        while let Some(mail) = mails.next_if(|mail| mail.at <= row.at && queued_before(&events, mail)) {
            events.push(mail_event(mail)?);
        }
        for pair in row.path.chunks_exact(2) {
            let passage = Passage::from_code(pair[1]).ok_or_else(|| corrupt("enrollment_history", "path", contact))?;
            events.push(HistoryEvent { at: row.at, step: StepNo(pair[0]), what: Happened::Passed(passage) });
        }
    }
    for mail in mails {
        events.push(mail_event(mail)?);
    }
    let decided = decisions::of_contact(conn, key, contact).await?;
    let engaged = told::of_contact(conn, key, contact).await?;
    for event in decided.into_iter().chain(engaged) {
        let at = events.partition_point(|before: &HistoryEvent| before.at <= event.at);
        events.insert(at, event);
    }
    Ok(events)
}

/// Whether the move that queued this mail has been told already.
fn queued_before(events: &[HistoryEvent], mail: &MailRow) -> bool {
    let step = StepNo(mail.step);
    let queued = events.iter().filter(|e| e.step == step && e.what == Happened::Passed(Passage::Queued)).count();
    let told = events.iter().filter(|e| e.step == step && matches!(e.what, Happened::Mail { .. })).count();
    queued > told
}

async fn mails(conn: &mut AsyncPgConnection, key: CampaignKey, contact: ContactNo) -> StoreResult<Vec<MailRow>> {
    diesel::sql_query(
        "SELECT ended_at AS at, step, state, attempts, detail, pass FROM messages \
         WHERE tenant_no = $1 AND campaign_no = $2 AND contact_no = $3 \
         UNION ALL SELECT queued_at, step, CASE state WHEN 's' THEN 'S' WHEN 'c' THEN 'C' ELSE 'P' END::\"char\", attempts, NULL, pass FROM outbox \
         WHERE tenant_no = $1 AND campaign_no = $2 AND contact_no = $3 ORDER BY pass",
    )
    .bind::<Integer, _>(key.tenant.0)
    .bind::<Integer, _>(key.campaign.0)
    .bind::<BigInt, _>(contact.0)
    .get_results(conn)
    .await
    .store()
}

fn mail_event(row: MailRow) -> StoreResult<HistoryEvent> {
    let state = delivery_state(row.state).ok_or_else(|| StoreError::Corrupt {
        table: "messages",
        column: "state",
        id: row.state.to_string(),
    })?;
    let what = Happened::Mail { state, attempts: row.attempts, detail: row.detail };
    Ok(HistoryEvent { at: row.at, step: StepNo(row.step), what })
}

fn corrupt(table: &'static str, column: &'static str, contact: ContactNo) -> StoreError {
    StoreError::Corrupt { table, column, id: contact.0.to_string() }
}

#[derive(QueryableByName)]
struct NameRow {
    #[diesel(sql_type = SmallInt)]
    step: i16,
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
    #[diesel(sql_type = Text)]
    name: String,
}

pub(super) async fn step_names(
    conn: &mut AsyncPgConnection,
    key: CampaignKey,
) -> StoreResult<Vec<(StepNo, StepId, String)>> {
    let rows: Vec<NameRow> = diesel::sql_query(
        "SELECT step, id, name FROM campaign_steps WHERE tenant_no = $1 AND campaign_no = $2 ORDER BY step",
    )
    .bind::<Integer, _>(key.tenant.0)
    .bind::<Integer, _>(key.campaign.0)
    .get_results(conn)
    .await
    .store()?;
    Ok(rows.into_iter().map(|row| (StepNo(row.step), StepId(row.id), row.name)).collect())
}
