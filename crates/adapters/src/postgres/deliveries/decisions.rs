//! What was decided of deliveries, kept for good.

use crate::postgres::StoreErrorExt;
use chrono::{DateTime, Utc};
use diesel::QueryableByName;
use diesel::sql_types::{Array, BigInt, CChar, Integer, Nullable, SmallInt, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use muster_domain::model::decision::{Evidence, Resolution};
use muster_domain::model::ids::{CampaignKey, ContactNo, StepNo};
use muster_domain::ports::analytics::{Happened, HistoryEvent};
use muster_domain::ports::store::{StoreError, StoreResult};
use uuid::Uuid;

/// One delivery that was decided on, and how it stood before.
pub(crate) struct Decided {
    pub(crate) contact_no: i64,
    pub(crate) step: i16,
    pub(crate) pass: i32,
    pub(crate) resolution: Resolution,
    /// `f` or `d`.
    pub(crate) state: String,
    pub(crate) detail: Option<String>,
}

/// As written in rows.
pub(super) fn resolution_code(resolution: Resolution) -> &'static str {
    match resolution {
        Resolution::Resend => "a",
        Resolution::Sent => "s",
        Resolution::Failed => "f",
        Resolution::Drop => "x",
    }
}

/// As written in rows, with the one who decided.
pub(super) fn evidence_code(evidence: Evidence) -> (&'static str, Option<Uuid>) {
    match evidence {
        Evidence::Hand(user) => ("h", Some(user.0)),
        Evidence::LateAnswer => ("l", None),
        Evidence::Bounce => ("b", None),
        Evidence::Event => ("e", None),
    }
}

/// As read back, for histories.
const EVIDENCE: [(u8, &str); 4] = [(b'h', "hand"), (b'l', "late_answer"), (b'b', "bounce"), (b'e', "event")];

#[derive(QueryableByName)]
struct DecisionRow {
    #[diesel(sql_type = Timestamptz)]
    at: DateTime<Utc>,
    #[diesel(sql_type = SmallInt)]
    step: i16,
    #[diesel(sql_type = CChar)]
    decision: u8,
    #[diesel(sql_type = CChar)]
    evidence: u8,
    #[diesel(sql_type = Nullable<Text>)]
    detail: Option<String>,
}

/// What was decided of one contact's mails, in order.
pub(crate) async fn of_contact(
    conn: &mut AsyncPgConnection,
    key: CampaignKey,
    contact: ContactNo,
) -> StoreResult<Vec<HistoryEvent>> {
    let rows: Vec<DecisionRow> = diesel::sql_query(
        "SELECT at, step, decision, evidence, detail FROM delivery_decisions \
         WHERE tenant_no = $1 AND campaign_no = $2 AND contact_no = $3 ORDER BY seq",
    )
    .bind::<Integer, _>(key.tenant.0)
    .bind::<Integer, _>(key.campaign.0)
    .bind::<BigInt, _>(contact.0)
    .get_results(conn)
    .await
    .store()?;
    let corrupt = || StoreError::Corrupt { table: "delivery_decisions", column: "decision", id: contact.0.to_string() };
    rows.into_iter()
        .map(|row| {
            let resolution = Resolution::ALL.into_iter().find(|one| resolution_code(*one).as_bytes() == [row.decision]);
            let (_, evidence) = EVIDENCE.into_iter().find(|(code, _)| *code == row.evidence).ok_or_else(corrupt)?;
            let what = Happened::Decided { resolution: resolution.ok_or_else(corrupt)?, evidence, detail: row.detail };
            Ok(HistoryEvent { at: row.at, step: StepNo(row.step), what })
        })
        .collect()
}

/// Keeps what was decided.
pub(crate) async fn write(
    conn: &mut AsyncPgConnection,
    key: CampaignKey,
    decided: &[Decided],
    evidence: Evidence,
    now: DateTime<Utc>,
) -> StoreResult<()> {
    if decided.is_empty() {
        return Ok(());
    }
    let (code, by) = evidence_code(evidence);
    diesel::sql_query(
        "INSERT INTO delivery_decisions (tenant_no, campaign_no, contact_no, step, pass, at, decision, evidence, decided_by, \
            state, detail) \
         SELECT $1, $2, u.contact_no, u.step, u.pass, $3, u.decision::\"char\", $4::\"char\", $5, u.state::\"char\", u.detail \
         FROM unnest($6::bigint[], $7::smallint[], $8::int[], $9::text[], $10::text[], $11::text[]) \
            AS u (contact_no, step, pass, decision, state, detail)",
    )
    .bind::<Integer, _>(key.tenant.0)
    .bind::<Integer, _>(key.campaign.0)
    .bind::<Timestamptz, _>(now)
    .bind::<Text, _>(code)
    .bind::<Nullable<SqlUuid>, _>(by)
    .bind::<Array<BigInt>, _>(decided.iter().map(|one| one.contact_no).collect::<Vec<_>>())
    .bind::<Array<SmallInt>, _>(decided.iter().map(|one| one.step).collect::<Vec<_>>())
    .bind::<Array<Integer>, _>(decided.iter().map(|one| one.pass).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(decided.iter().map(|one| resolution_code(one.resolution)).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(decided.iter().map(|one| one.state.as_str()).collect::<Vec<_>>())
    .bind::<Array<Nullable<Text>>, _>(decided.iter().map(|one| one.detail.as_deref()).collect::<Vec<_>>())
    .execute(conn)
    .await
    .store()?;
    Ok(())
}
