//! Sending limits: how many deliveries began in a campaign's local day and in the hour.
//!
//! Counted in rows that the beginning transaction holds, so several workers together never begin more than the limit.

use super::bind_campaign;
use super::gate::Gate;
use crate::postgres::StoreErrorExt;
use crate::postgres::prepared::{Prepared, prepared};
use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use diesel::QueryableByName;
use diesel::sql_types::{Array, Integer, Text, Timestamptz};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use muster_domain::model::calendar::local_day;
use muster_domain::model::ids::CampaignKey;
use muster_domain::ports::store::StoreResult;

/// The limits of a campaign at one moment; none, one or two.
pub(super) struct Limits {
    periods: Vec<Period>,
}

struct Period {
    kind: &'static str,
    begins: DateTime<Utc>,
    ends: DateTime<Utc>,
    limit: i32,
}

/// What is left of the limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Left {
    /// So many may still begin.
    pub(super) deliveries: usize,
    /// When there is more again, if nothing is left.
    pub(super) not_before: Option<DateTime<Utc>>,
}

#[derive(QueryableByName)]
struct BegunRow {
    #[diesel(sql_type = Text)]
    kind: String,
    #[diesel(sql_type = Integer)]
    begun: i32,
}

impl Limits {
    /// The limits that hold now.
    pub(super) fn of(gate: &Gate) -> Self {
        let mut periods = Vec::new();
        if let Some(limit) = gate.settings.daily_limit {
            let (begins, ends) = local_day(gate.schedule.timezone, gate.now);
            periods.push(Period { kind: "d", begins, ends, limit });
        }
        if let Some(limit) = gate.settings.hourly_limit {
            let begins = gate.now.duration_trunc(TimeDelta::hours(1)).unwrap_or(gate.now);
            periods.push(Period { kind: "h", begins, ends: begins + TimeDelta::hours(1), limit });
        }
        Self { periods }
    }

    /// Whether there are any.
    pub(super) fn are_any(&self) -> bool {
        !self.periods.is_empty()
    }

    /// What is left, at a glance; others may use it up meanwhile. `None` without limits.
    pub(super) async fn left(&self, conn: &mut AsyncPgConnection, key: CampaignKey) -> StoreResult<Option<Left>> {
        let sql = "SELECT q.kind::text AS kind, q.begun FROM unnest($3::text[], $4::timestamptz[]) AS p (kind, period) \
                   JOIN sending_quota q ON q.tenant_no = $1 AND q.campaign_no = $2 AND q.kind = p.kind::\"char\" \
                   AND q.period = p.period";
        self.read(conn, key, sql).await
    }

    /// What is left, held for this transaction. `None` without limits.
    pub(super) async fn hold(&self, conn: &mut AsyncPgConnection, key: CampaignKey) -> StoreResult<Option<Left>> {
        let sql = "INSERT INTO sending_quota AS q (tenant_no, campaign_no, kind, period) \
                   SELECT $1, $2, p.kind::\"char\", p.period FROM unnest($3::text[], $4::timestamptz[]) AS p (kind, period) \
                   ON CONFLICT (tenant_no, campaign_no, kind, period) DO UPDATE SET begun = q.begun \
                   RETURNING q.kind::text AS kind, q.begun";
        self.read(conn, key, sql).await
    }

    /// Counts `begun` more, in rows held by [`Limits::hold`], and forgets what is long past.
    pub(super) async fn count(&self, conn: &mut AsyncPgConnection, key: CampaignKey, begun: usize) -> StoreResult<()> {
        if self.periods.is_empty() || begun == 0 {
            return Ok(());
        }
        let sql = "UPDATE sending_quota q SET begun = q.begun + $5 FROM unnest($3::text[], $4::timestamptz[]) AS p (kind, period) \
                   WHERE q.tenant_no = $1 AND q.campaign_no = $2 AND q.kind = p.kind::\"char\" AND q.period = p.period";
        let begun = i32::try_from(begun).unwrap_or(i32::MAX);
        self.bind(prepared(sql), key).bind::<Integer, _>(begun).execute(conn).await.store()?;
        let past = self.periods.iter().map(|period| period.begins).min().unwrap_or_default() - TimeDelta::days(2);
        bind_campaign(
            prepared("DELETE FROM sending_quota WHERE tenant_no = $1 AND campaign_no = $2 AND period < $3"),
            key,
        )
        .bind::<Timestamptz, _>(past)
        .execute(conn)
        .await
        .store()?;
        Ok(())
    }

    async fn read(
        &self,
        conn: &mut AsyncPgConnection,
        key: CampaignKey,
        sql: &'static str,
    ) -> StoreResult<Option<Left>> {
        if self.periods.is_empty() {
            return Ok(None);
        }
        let rows: Vec<BegunRow> = self.bind(prepared(sql), key).get_results(conn).await.store()?;
        let left = |period: &Period| {
            let begun = rows.iter().find(|row| row.kind == period.kind).map_or(0, |row| row.begun);
            usize::try_from(period.limit.saturating_sub(begun)).unwrap_or(0)
        };
        let deliveries = self.periods.iter().map(left).min().unwrap_or(usize::MAX);
        let not_before = self.periods.iter().filter(|period| left(period) == 0).map(|period| period.ends).max();
        Ok(Some(Left { deliveries, not_before }))
    }

    fn bind(&self, query: Prepared, key: CampaignKey) -> Prepared {
        bind_campaign(query, key)
            .bind::<Array<Text>, _>(self.periods.iter().map(|period| period.kind).collect::<Vec<_>>())
            .bind::<Array<Timestamptz>, _>(self.periods.iter().map(|period| period.begins).collect::<Vec<_>>())
    }
}
