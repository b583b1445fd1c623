//! The books as the counters have them, and as the rows say.

use super::StoreErrorExt;
use diesel::QueryableByName;
use diesel::sql_types::{BigInt, Integer, SmallInt, Text, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use muster_domain::model::books::{Balance, CampaignFigures, StepBalance, StepFigures};
use muster_domain::model::enrollment::Passage;
use muster_domain::model::ids::{CampaignKey, StepId, StepNo};
use muster_domain::model::sequence::StepType;
use muster_domain::ports::store::{StoreError, StoreResult};
use std::collections::HashMap;
use uuid::Uuid;

#[derive(QueryableByName)]
struct CampaignRow {
    #[diesel(sql_type = BigInt)]
    audience: i64,
    #[diesel(sql_type = BigInt)]
    open: i64,
    #[diesel(sql_type = BigInt)]
    completed: i64,
    #[diesel(sql_type = BigInt)]
    exited: i64,
}

#[derive(QueryableByName)]
struct StepRow {
    #[diesel(sql_type = SmallInt)]
    step: i16,
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
    #[diesel(sql_type = SmallInt)]
    step_order: i16,
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Text)]
    step_type: String,
    #[diesel(sql_type = BigInt)]
    entered: i64,
    #[diesel(sql_type = BigInt)]
    pending: i64,
    #[diesel(sql_type = BigInt)]
    passed: i64,
    #[diesel(sql_type = BigInt)]
    sent: i64,
    #[diesel(sql_type = BigInt)]
    failed: i64,
    #[diesel(sql_type = BigInt)]
    suppressed: i64,
    #[diesel(sql_type = BigInt)]
    skipped: i64,
    #[diesel(sql_type = BigInt)]
    in_doubt: i64,
    #[diesel(sql_type = BigInt)]
    cancelled: i64,
}

/// What the counters say.
pub(super) async fn booked(conn: &mut AsyncPgConnection, key: CampaignKey) -> StoreResult<Balance> {
    let campaign: Vec<CampaignRow> = diesel::sql_query(
        "SELECT audience, open, completed, exited FROM campaign_counters WHERE tenant_no = $1 AND campaign_no = $2",
    )
    .bind::<Integer, _>(key.tenant.0)
    .bind::<Integer, _>(key.campaign.0)
    .get_results(conn)
    .await
    .store()?;
    let campaign = campaign.into_iter().next().map(CampaignFigures::from).unwrap_or_default();
    let steps = steps(conn, key).await?;
    Ok(Balance { campaign, steps })
}

/// Every step of the current sequence, and removed ones that somebody visited.
async fn steps(conn: &mut AsyncPgConnection, key: CampaignKey) -> StoreResult<Vec<StepBalance>> {
    let rows: Vec<StepRow> = diesel::sql_query(
        "SELECT s.step, s.id, s.step_order, s.name, s.step_type, coalesce(c.entered, 0) AS entered, \
         coalesce(c.pending, 0) AS pending, coalesce(c.passed, 0) AS passed, coalesce(c.sent, 0) AS sent, \
         coalesce(c.failed, 0) AS failed, coalesce(c.suppressed, 0) AS suppressed, coalesce(c.skipped, 0) AS skipped, \
         coalesce(c.in_doubt, 0) AS in_doubt, coalesce(c.cancelled, 0) AS cancelled \
         FROM campaign_steps s LEFT JOIN step_counters c USING (tenant_no, campaign_no, step) \
         WHERE s.tenant_no = $1 AND s.campaign_no = $2 AND (NOT s.removed OR c.entered > 0) \
         ORDER BY s.removed, s.step_order, s.step",
    )
    .bind::<Integer, _>(key.tenant.0)
    .bind::<Integer, _>(key.campaign.0)
    .get_results(conn)
    .await
    .store()?;
    rows.into_iter().map(StepBalance::try_from).collect()
}

/// What the rows say: enrollments, queued mail, messages and history, each counted.
pub(super) async fn counted(conn: &mut AsyncPgConnection, key: CampaignKey) -> StoreResult<Balance> {
    conn.batch_execute("SET LOCAL statement_timeout = '600s'").await.store()?;
    let campaign: CampaignRow = diesel::sql_query(
        "SELECT count(*) AS audience, count(*) FILTER (WHERE status IN ('e', 'r', 'w', 'd')) AS open, \
         count(*) FILTER (WHERE status = 'c') AS completed, count(*) FILTER (WHERE status = 'x') AS exited \
         FROM enrollments WHERE tenant_no = $1 AND campaign_no = $2",
    )
    .bind::<Integer, _>(key.tenant.0)
    .bind::<Integer, _>(key.campaign.0)
    .get_result(conn)
    .await
    .store()?;
    let mut figures = count_steps(conn, key).await?;
    let mut steps = steps(conn, key).await?;
    for step in &mut steps {
        step.figures = figures.remove(&step.no).unwrap_or_default();
    }
    Ok(Balance { campaign: campaign.into(), steps })
}

#[derive(QueryableByName)]
struct Tally {
    #[diesel(sql_type = SmallInt)]
    step: i16,
    /// A message's state (`s`, `f`, …), `p` for what is queued, `w` for who waits, or `h` and a passage's code.
    #[diesel(sql_type = Text)]
    what: String,
    #[diesel(sql_type = BigInt)]
    n: i64,
}

async fn count_steps(conn: &mut AsyncPgConnection, key: CampaignKey) -> StoreResult<HashMap<StepNo, StepFigures>> {
    let tallies: Vec<Tally> = diesel::sql_query(
        "SELECT step, state::text AS what, count(*) AS n FROM messages WHERE tenant_no = $1 AND campaign_no = $2 GROUP BY 1, 2 \
         UNION ALL SELECT step, 'p', count(*) FROM outbox WHERE tenant_no = $1 AND campaign_no = $2 GROUP BY 1 \
         UNION ALL SELECT step, 'w', count(*) FROM enrollments WHERE tenant_no = $1 AND campaign_no = $2 AND status = 'w' GROUP BY 1 \
         UNION ALL SELECT path[i], 'h' || path[i + 1], count(*) FROM enrollment_history, \
         generate_series(1, array_length(path, 1), 2) AS i WHERE tenant_no = $1 AND campaign_no = $2 GROUP BY 1, 2",
    )
    .bind::<Integer, _>(key.tenant.0)
    .bind::<Integer, _>(key.campaign.0)
    .get_results(conn)
    .await
    .store()?;
    let mut figures: HashMap<StepNo, StepFigures> = HashMap::new();
    for tally in tallies {
        let line = figures.entry(StepNo(tally.step)).or_default();
        match tally.what.as_str() {
            "s" => line.sent += tally.n,
            "f" => line.failed += tally.n,
            "u" => line.suppressed += tally.n,
            "k" => line.skipped += tally.n,
            "d" => line.in_doubt += tally.n,
            "x" => line.cancelled += tally.n,
            "p" | "w" => line.pending += tally.n,
            told => {
                let passage = told.strip_prefix('h').and_then(|code| Passage::from_code(code.parse().ok()?));
                add_passages(line, passage, tally.n);
            }
        }
    }
    Ok(figures)
}

fn add_passages(line: &mut StepFigures, passage: Option<Passage>, n: i64) {
    match passage {
        Some(Passage::WaitBegan | Passage::Queued) => line.entered += n,
        Some(Passage::WaitEnded) => line.passed += n,
        Some(Passage::True | Passage::False | Passage::Acted) => {
            line.entered += n;
            line.passed += n;
        }
        Some(Passage::WaitCancelled) => line.cancelled += n,
        Some(Passage::Ended | Passage::Left(_)) | None => {}
    }
}

impl From<CampaignRow> for CampaignFigures {
    fn from(row: CampaignRow) -> Self {
        Self { audience: row.audience, open: row.open, completed: row.completed, exited: row.exited }
    }
}

impl TryFrom<StepRow> for StepBalance {
    type Error = StoreError;

    fn try_from(row: StepRow) -> Result<Self, StoreError> {
        let step_type = match row.step_type.as_str() {
            "email" => StepType::Email,
            "wait" => StepType::Wait,
            "condition" => StepType::Condition,
            "action" => StepType::Action,
            _ => {
                let id = row.id.to_string();
                return Err(StoreError::Corrupt { table: "campaign_steps", column: "step_type", id });
            }
        };
        let figures = StepFigures {
            entered: row.entered,
            pending: row.pending,
            passed: row.passed,
            sent: row.sent,
            failed: row.failed,
            suppressed: row.suppressed,
            skipped: row.skipped,
            in_doubt: row.in_doubt,
            cancelled: row.cancelled,
        };
        Ok(StepBalance {
            no: StepNo(row.step),
            id: StepId(row.id),
            order: row.step_order,
            name: row.name,
            step_type,
            figures,
        })
    }
}
