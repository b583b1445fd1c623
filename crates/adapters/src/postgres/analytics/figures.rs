//! Figures from the quarter-hours. Reading costs the same however much was sent: at most 96 rows a day and step.

use super::StoreErrorExt;
use crate::postgres::campaigns::NUMBER_OF;
use crate::postgres::prepared::prepared;
use crate::postgres::stats::{CountsRow, sums};
use chrono::NaiveDate;
use chrono_tz::Tz;
use diesel::QueryableByName;
use diesel::sql_types::{Date, Integer, SmallInt, Text, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use muster_domain::model::figures::{Counts, DayOfStep, StepLine};
use muster_domain::model::ids::{CampaignId, CampaignKey, StepId, StepNo};
use muster_domain::ports::store::{StoreResult, Workspace};
use std::collections::BTreeMap;
use std::sync::LazyLock;
use uuid::Uuid;

#[derive(QueryableByName)]
struct DayRow {
    #[diesel(sql_type = Date)]
    day: NaiveDate,
    #[diesel(sql_type = SmallInt)]
    step: i16,
    #[diesel(embed)]
    counts: CountsRow,
}

#[derive(QueryableByName)]
struct StepRow {
    #[diesel(sql_type = SmallInt)]
    step: i16,
    #[diesel(embed)]
    counts: CountsRow,
}

impl StepRow {
    fn counts(self) -> (StepNo, Counts) {
        (StepNo(self.step), self.counts.into())
    }
}

/// Every zone's offset is a multiple of a quarter of an hour today, so local days are made of whole rows.
pub(super) async fn days(
    conn: &mut AsyncPgConnection,
    key: CampaignKey,
    timezone: Tz,
    first: NaiveDate,
    last: NaiveDate,
) -> StoreResult<Vec<DayOfStep>> {
    let rows: Vec<DayRow> = diesel::sql_query(format!(
        "SELECT (quarter AT TIME ZONE $3)::date AS day, step, {} FROM stats WHERE tenant_no = $1 AND campaign_no = $2 \
         AND quarter >= $4::date::timestamp AT TIME ZONE $3 AND quarter < ($5::date + 1)::timestamp AT TIME ZONE $3 \
         GROUP BY 1, 2 ORDER BY 1, 2",
        sums()
    ))
    .bind::<Integer, _>(key.tenant.0)
    .bind::<Integer, _>(key.campaign.0)
    .bind::<Text, _>(timezone.name())
    .bind::<Date, _>(first)
    .bind::<Date, _>(last)
    .get_results(conn)
    .await
    .store()?;
    Ok(rows
        .into_iter()
        .map(|row| DayOfStep { day: row.day, step: StepNo(row.step), counts: row.counts.into() })
        .collect())
}

static LIFETIME: LazyLock<String> = LazyLock::new(|| {
    format!("SELECT step, {} FROM stats WHERE tenant_no = $1 AND campaign_no = $2 GROUP BY step", sums())
});

pub(super) async fn lifetime(conn: &mut AsyncPgConnection, key: CampaignKey) -> StoreResult<Vec<(StepNo, Counts)>> {
    let rows: Vec<StepRow> = prepared(LIFETIME.as_str())
        .bind::<Integer, _>(key.tenant.0)
        .bind::<Integer, _>(key.campaign.0)
        .get_results(conn)
        .await
        .store()?;
    Ok(rows.into_iter().map(StepRow::counts).collect())
}

static LIFETIME_BY_ID: LazyLock<String> = LazyLock::new(|| {
    format!("SELECT step, {} FROM stats WHERE tenant_no = $1 AND campaign_no = {NUMBER_OF} GROUP BY step", sums())
});

/// The same of a campaign whose number is not known yet; empty when there is none.
pub(in crate::postgres) async fn lifetime_by_id(
    mut conn: &AsyncPgConnection,
    of: Workspace,
    id: CampaignId,
) -> StoreResult<BTreeMap<StepNo, Counts>> {
    let rows: Vec<StepRow> = prepared(LIFETIME_BY_ID.as_str())
        .bind::<Integer, _>(of.tenant.0)
        .bind::<Integer, _>(of.workspace.0)
        .bind::<SqlUuid, _>(id.0)
        .get_results(&mut conn)
        .await
        .store()?;
    Ok(rows.into_iter().map(StepRow::counts).collect())
}

#[derive(QueryableByName)]
struct LineRow {
    #[diesel(sql_type = SmallInt)]
    step: i16,
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
    #[diesel(sql_type = SmallInt)]
    step_order: i16,
    #[diesel(sql_type = Text)]
    name: String,
}

pub(super) async fn step_lines(conn: &mut AsyncPgConnection, key: CampaignKey) -> StoreResult<Vec<(StepNo, StepLine)>> {
    let rows: Vec<LineRow> = diesel::sql_query(
        "SELECT s.step, s.id, s.step_order, s.name FROM campaign_steps s LEFT JOIN step_counters c USING (tenant_no, campaign_no, step) \
         WHERE s.tenant_no = $1 AND s.campaign_no = $2 AND s.step_type = 'email' AND (NOT s.removed OR c.entered > 0) \
         ORDER BY s.removed, s.step_order, s.step",
    )
    .bind::<Integer, _>(key.tenant.0)
    .bind::<Integer, _>(key.campaign.0)
    .get_results(conn)
    .await
    .store()?;
    let line = |row: LineRow| StepLine {
        id: StepId(row.id),
        order: row.step_order,
        name: row.name,
        counts: Counts::default(),
    };
    Ok(rows.into_iter().map(|row| (StepNo(row.step), line(row))).collect())
}
