//! Clicks by day and link, from the quarter-hours, and the texts that tell which link is which.

use super::StoreErrorExt;
use crate::postgres::json::Json;
use chrono::NaiveDate;
use chrono_tz::Tz;
use diesel::QueryableByName;
use diesel::sql_types::{BigInt, Date, Integer, Jsonb, SmallInt, Text};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use muster_domain::model::figures::{DayOfLink, Tally};
use muster_domain::model::ids::{CampaignKey, LinkNo, StepNo};
use muster_domain::model::sequence::Sequence;
use muster_domain::ports::store::{StoreError, StoreResult};

#[derive(QueryableByName)]
struct LinkRow {
    #[diesel(sql_type = Date)]
    day: NaiveDate,
    #[diesel(sql_type = SmallInt)]
    step: i16,
    #[diesel(sql_type = BigInt)]
    link: i64,
    #[diesel(sql_type = BigInt)]
    clicks: i64,
    #[diesel(sql_type = BigInt)]
    human_clicks: i64,
    #[diesel(sql_type = BigInt)]
    clicked: i64,
    #[diesel(sql_type = BigInt)]
    human_clicked: i64,
}

/// At most 96 rows a day, step and link are read, however often it was followed.
pub(super) async fn days(
    conn: &mut AsyncPgConnection,
    key: CampaignKey,
    timezone: Tz,
    first: NaiveDate,
    last: NaiveDate,
) -> StoreResult<Vec<DayOfLink>> {
    let rows: Vec<LinkRow> = diesel::sql_query(
        "SELECT (quarter AT TIME ZONE $3)::date AS day, step, link, sum(clicks)::bigint AS clicks, sum(human_clicks)::bigint AS human_clicks, \
             sum(clicked)::bigint AS clicked, sum(human_clicked)::bigint AS human_clicked \
         FROM link_stats WHERE tenant_no = $1 AND campaign_no = $2 \
         AND quarter >= $4::date::timestamp AT TIME ZONE $3 AND quarter < ($5::date + 1)::timestamp AT TIME ZONE $3 \
         GROUP BY 1, 2, 3 HAVING sum(clicks) > 0 ORDER BY 1, 2, 3",
    )
    .bind::<Integer, _>(key.tenant.0)
    .bind::<Integer, _>(key.campaign.0)
    .bind::<Text, _>(timezone.name())
    .bind::<Date, _>(first)
    .bind::<Date, _>(last)
    .get_results(conn)
    .await
    .store()?;
    Ok(rows.into_iter().map(Into::into).collect())
}

impl From<LinkRow> for DayOfLink {
    fn from(row: LinkRow) -> Self {
        let clicks = Tally {
            total: row.clicks,
            unique: row.clicked,
            human_total: row.human_clicks,
            human_unique: row.human_clicked,
        };
        Self { day: row.day, step: StepNo(row.step), link: LinkNo(row.link), clicks }
    }
}

#[derive(QueryableByName)]
struct SequenceRow {
    #[diesel(sql_type = Integer)]
    version: i32,
    #[diesel(sql_type = Jsonb)]
    steps: Json<Sequence>,
}

pub(super) async fn sequences(conn: &mut AsyncPgConnection, key: CampaignKey) -> StoreResult<Vec<Sequence>> {
    let rows: Vec<SequenceRow> = diesel::sql_query(
        "SELECT version, steps FROM sequence_versions WHERE tenant_no = $1 AND campaign_no = $2 ORDER BY version DESC",
    )
    .bind::<Integer, _>(key.tenant.0)
    .bind::<Integer, _>(key.campaign.0)
    .get_results(conn)
    .await
    .store()?;
    let read = |row: SequenceRow| {
        row.steps.ok_or_else(|| StoreError::Corrupt {
            table: "sequence_versions",
            column: "steps",
            id: format!("{}/{}", key.campaign.0, row.version),
        })
    };
    rows.into_iter().map(read).collect()
}
