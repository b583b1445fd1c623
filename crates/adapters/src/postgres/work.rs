//! [`WorkQueue`] and [`TimeLapse`] over PostgreSQL, under the scheduler's role: numbers, states and times of all tenants.

use super::prepared::prepared;
use super::{PgStore, StoreErrorExt};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use diesel::QueryableByName;
use diesel::sql_types::{Integer, Text, Timestamptz};
use diesel_async::RunQueryDsl;
use muster_domain::model::ids::{CampaignKey, CampaignNo, TenantNo, WorkspaceNo};
use muster_domain::ports::store::StoreResult;
use muster_domain::ports::work::{TimeLapse, WorkAtHand, WorkQueue};

#[derive(QueryableByName)]
struct WorkRow {
    #[diesel(sql_type = Integer)]
    tenant_no: i32,
    #[diesel(sql_type = Integer)]
    campaign_no: i32,
    #[diesel(sql_type = Integer)]
    workspace_no: i32,
    #[diesel(sql_type = Text)]
    work: String,
}

#[derive(QueryableByName)]
#[expect(clippy::struct_field_names, reason = "named as the columns are")]
struct GuardedRow {
    #[diesel(sql_type = Integer)]
    tenant_no: i32,
    #[diesel(sql_type = Integer)]
    campaign_no: i32,
    #[diesel(sql_type = Integer)]
    workspace_no: i32,
}

/// One look at each campaign that is scheduled, active or paused, by its indexes; never at an enrollment more than the
/// first that is due. Asked for in order, so that the index is read: told that most are due, the planner would read the table
/// to the first that still is, past everybody who has moved on. Planned anew each time, on purpose:
/// a plan made while a table was small would read it whole when it no longer is, until it is analyzed.
const AT_HAND: &str = "\
    SELECT c.tenant_no, c.campaign_no, c.workspace_no, 'start' AS work FROM campaigns c \
    WHERE c.status = 'scheduled' AND c.scheduled_at <= (SELECT muster_now()) \
    UNION ALL \
    SELECT c.tenant_no, c.campaign_no, c.workspace_no, 'enroll' FROM campaigns c \
    WHERE c.status IN ('active', 'paused') AND c.enrollment_state = 'running' \
    UNION ALL \
    SELECT c.tenant_no, c.campaign_no, c.workspace_no, 'advance' FROM campaigns c \
    WHERE c.status = 'active' AND c.enrollment_state = 'done' AND ( \
        SELECT e.due_at FROM enrollments e WHERE e.tenant_no = c.tenant_no AND e.campaign_no = c.campaign_no \
        AND e.due_at IS NOT NULL ORDER BY e.due_at LIMIT 1) <= (SELECT muster_now()) \
    UNION ALL \
    SELECT c.tenant_no, c.campaign_no, c.workspace_no, 'finish' FROM campaigns c \
    JOIN campaign_counters k ON k.tenant_no = c.tenant_no AND k.campaign_no = c.campaign_no \
    WHERE c.status = 'active' AND c.enrollment_state = 'done' AND c.campaign_type <> 'triggered' AND k.open = 0 \
    UNION ALL \
    SELECT c.tenant_no, c.campaign_no, c.workspace_no, 'finish' FROM campaigns c WHERE c.retrying AND NOT EXISTS ( \
        SELECT 1 FROM outbox o WHERE o.tenant_no = c.tenant_no AND o.campaign_no = c.campaign_no)";

#[async_trait]
impl WorkQueue for PgStore {
    async fn at_hand(&self) -> StoreResult<WorkAtHand> {
        let mut tx = self.scheduler().await?;
        let rows: Vec<WorkRow> = diesel::sql_query(AT_HAND).get_results(&mut *tx).await.store()?;
        tx.commit().await?;
        let mut work = WorkAtHand::default();
        for row in rows {
            let key = CampaignKey { tenant: TenantNo(row.tenant_no), campaign: CampaignNo(row.campaign_no) };
            let workspace = WorkspaceNo(row.workspace_no);
            match row.work.as_str() {
                "start" => work.start.push((key, workspace)),
                "enroll" => work.enroll.push((key, workspace)),
                "advance" => work.advance.push(key),
                _ => work.finish.push((key, workspace)),
            }
        }
        Ok(work)
    }

    async fn guarded(&self) -> StoreResult<Vec<(CampaignKey, WorkspaceNo)>> {
        let mut tx = self.scheduler().await?;
        let rows: Vec<GuardedRow> = diesel::sql_query(
            "SELECT tenant_no, campaign_no, workspace_no FROM campaigns WHERE status = 'active' AND guarded \
             ORDER BY tenant_no, campaign_no",
        )
        .get_results(&mut *tx)
        .await
        .store()?;
        tx.commit().await?;
        let of = |row: GuardedRow| {
            let key = CampaignKey { tenant: TenantNo(row.tenant_no), campaign: CampaignNo(row.campaign_no) };
            (key, WorkspaceNo(row.workspace_no))
        };
        Ok(rows.into_iter().map(of).collect())
    }
}

#[derive(QueryableByName)]
struct TickRow {
    #[diesel(sql_type = Timestamptz)]
    virtual_now: DateTime<Utc>,
}

/// The next instant at which something is due, in the past while something is undone. Paused campaigns wait for nobody;
/// mail of a campaign that may not send yet is due when it may, and mail that waits to be tried again is not due.
const NEXT_DUE: &str = "\
    SELECT min(due) FROM ( \
        SELECT c.scheduled_at AS due FROM campaigns c WHERE c.status = 'scheduled' \
        UNION ALL SELECT '-infinity' FROM campaigns c WHERE c.status = 'active' AND c.enrollment_state = 'running' \
        UNION ALL SELECT '-infinity' FROM campaigns c JOIN campaign_counters k USING (tenant_no, campaign_no) \
            WHERE c.status = 'active' AND c.enrollment_state = 'done' AND c.campaign_type <> 'triggered' AND k.open = 0 \
        UNION ALL SELECT (SELECT e.due_at FROM enrollments e WHERE e.tenant_no = c.tenant_no AND e.campaign_no = c.campaign_no \
            AND e.due_at IS NOT NULL ORDER BY e.due_at LIMIT 1) FROM campaigns c WHERE c.status = 'active' \
        UNION ALL SELECT (SELECT greatest(o.due_at, c.held_until) FROM outbox o WHERE o.tenant_no = c.tenant_no \
            AND o.campaign_no = c.campaign_no AND o.lease_until IS NULL AND o.retry_at IS NULL ORDER BY o.due_at LIMIT 1) FROM campaigns c WHERE c.status = 'active' OR c.retrying \
        UNION ALL SELECT '-infinity' FROM outbox o WHERE o.lease_until IS NOT NULL \
    ) AS instants";

#[async_trait]
impl TimeLapse for PgStore {
    async fn tick(&self) -> StoreResult<Option<DateTime<Utc>>> {
        let mut tx = self.scheduler().await?;
        // Whoever has the row has the tick; the others read what it left.
        let row: Vec<TickRow> =
            prepared("SELECT virtual_now FROM virtual_clock FOR UPDATE").get_results(&mut *tx).await.store()?;
        if row.is_empty() {
            tx.commit().await?;
            return Ok(None);
        }
        let row: TickRow = diesel::sql_query(format!(
            "UPDATE virtual_clock SET ticked_at = clock_timestamp(), \
             virtual_now = greatest(virtual_now, least(({NEXT_DUE}), virtual_now + factor * (clock_timestamp() - ticked_at))) \
             RETURNING virtual_now"
        ))
        .get_result(&mut *tx)
        .await
        .store()?;
        tx.commit().await?;
        Ok(Some(row.virtual_now))
    }
}
