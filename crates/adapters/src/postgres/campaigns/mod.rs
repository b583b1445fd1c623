//! [`CampaignRepo`] over PostgreSQL.

mod list;
mod rows;
mod steps;

use super::schema::{campaigns, segments, sequence_versions};
use super::{PgUnit, StoreErrorExt, internal};
use async_trait::async_trait;
use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use futures::{FutureExt, try_join};
use muster_domain::model::address::EmailAddress;
use muster_domain::model::campaign::{Campaign, EnrollmentState};
use muster_domain::model::ids::{CampaignId, CampaignNo, SegmentId, SegmentNo, SequenceVersion, StepId};
use muster_domain::model::lifecycle::Lifecycle;
use muster_domain::model::rules::Mails;
use muster_domain::model::sequence::Sequence;
use muster_domain::ports::campaigns::{
    CampaignQuery, CampaignRepo, CampaignSummary, NewCampaign, RegisteredStep, Saved,
};
use muster_domain::ports::store::{StoreError, StoreResult, UnitOfWork, Workspace};
use rows::{CampaignRow, JoinedRow, columns, into_campaign, joined, joined_with_steps};
use uuid::Uuid;

#[async_trait]
impl CampaignRepo for PgUnit {
    async fn insert(&mut self, new: &NewCampaign) -> StoreResult<Campaign> {
        let of = self.of();
        let content = &new.content;
        let id = CampaignId(Uuid::now_v7());
        let conn: &AsyncPgConnection = self.conn();
        let mut writing = conn;
        let insert = diesel::insert_into(campaigns::table)
            .values((
                campaigns::tenant_no.eq(of.tenant.0),
                campaigns::workspace_no.eq(of.workspace.0),
                campaigns::id.eq(id.0),
                campaigns::name.eq(&content.name),
                campaigns::description.eq(content.description.as_deref()),
                campaigns::campaign_type.eq(new.campaign_type.as_str()),
                campaigns::status.eq("draft"),
                campaigns::segment_no.eq(new.segment.0),
                campaigns::from_email.eq(content.from_email.as_str()),
                campaigns::from_name.eq(&content.from_name),
                campaigns::reply_to_email.eq(content.reply_to_email.as_ref().map(EmailAddress::as_str)),
                campaigns::schedule.eq(serde_json::to_value(&content.schedule).map_err(internal)?),
                campaigns::settings.eq(serde_json::to_value(&content.settings).map_err(internal)?),
                campaigns::sequence_version.eq(new.sequence_version.0),
                campaigns::next_step_no.eq(new.next_step_no.0),
                campaigns::created_by.eq(new.created_by.0),
                campaigns::created_at.eq(new.created_at),
                campaigns::updated_at.eq(new.created_at),
            ))
            .execute(&mut writing);
        let (_, made) = try_join!(insert.map(StoreErrorExt::store), by_id(conn, of, id))?;
        made.ok_or_else(|| gone(id))
    }

    async fn find(&mut self, id: CampaignId) -> StoreResult<Option<Campaign>> {
        let of = self.of();
        by_id(self.conn(), of, id).await
    }

    async fn find_with_steps(&mut self, id: CampaignId) -> StoreResult<Option<(Campaign, Sequence)>> {
        let of = self.of();
        let (own, segment_id, audience) = columns();
        let row: Option<(CampaignRow, Uuid, Option<i64>, Option<serde_json::Value>)> = joined_with_steps()
            .filter(campaigns::tenant_no.eq(of.tenant.0))
            .filter(campaigns::workspace_no.eq(of.workspace.0))
            .filter(campaigns::id.eq(id.0))
            .select((own, segment_id, audience, sequence_versions::steps.nullable()))
            .first(self.conn())
            .await
            .optional()
            .store()?;
        let Some((own, segment_id, audience, sequence)) = row else { return Ok(None) };
        let campaign = into_campaign(of, (own, segment_id, audience))?;
        let sequence = steps::stored(&campaign, campaign.sequence_version, sequence)?;
        Ok(Some((campaign, sequence)))
    }

    async fn find_for_update(&mut self, id: CampaignId) -> StoreResult<Option<Campaign>> {
        let of = self.of();
        let conn: &AsyncPgConnection = self.conn();
        let mut locking = conn;
        let lock = campaigns::table
            .filter(campaigns::tenant_no.eq(of.tenant.0))
            .filter(campaigns::workspace_no.eq(of.workspace.0))
            .filter(campaigns::id.eq(id.0))
            .select(campaigns::campaign_no)
            .for_no_key_update()
            .first(&mut locking);
        once_locked(lock, by_id(conn, of, id)).await
    }

    async fn find_by_no_for_update(&mut self, no: CampaignNo) -> StoreResult<Option<Campaign>> {
        let of = self.of();
        let conn: &AsyncPgConnection = self.conn();
        let mut locking = conn;
        let lock = campaigns::table
            .find((of.tenant.0, no.0))
            .filter(campaigns::workspace_no.eq(of.workspace.0))
            .select(campaigns::campaign_no)
            .for_no_key_update()
            .first(&mut locking);
        once_locked(lock, by_no(conn, of, no)).await
    }

    async fn find_for_share(&mut self, id: CampaignId) -> StoreResult<Option<Campaign>> {
        let of = self.of();
        let conn: &AsyncPgConnection = self.conn();
        let mut locking = conn;
        let lock = campaigns::table
            .filter(campaigns::tenant_no.eq(of.tenant.0))
            .filter(campaigns::workspace_no.eq(of.workspace.0))
            .filter(campaigns::id.eq(id.0))
            .select(campaigns::campaign_no)
            .for_share()
            .first(&mut locking);
        once_locked(lock, by_id(conn, of, id)).await
    }

    async fn save(&mut self, campaign: &Campaign) -> StoreResult<Saved> {
        let of = self.of();
        let now = self.now().await?;
        let content = &campaign.content;
        let paused_at = match campaign.lifecycle {
            Lifecycle::Paused { paused_at, .. } => Some(paused_at),
            _ => None,
        };
        let changed = diesel::update(campaigns::table.find((of.tenant.0, campaign.no.0)))
            .filter(campaigns::workspace_no.eq(of.workspace.0))
            .filter(campaigns::version.eq(campaign.version))
            .set((
                campaigns::version.eq(campaign.version + 1),
                campaigns::updated_at.eq(now),
                campaigns::name.eq(&content.name),
                campaigns::description.eq(content.description.as_deref()),
                campaigns::segment_no.eq(campaign.segment.0),
                campaigns::from_email.eq(content.from_email.as_str()),
                campaigns::from_name.eq(&content.from_name),
                campaigns::reply_to_email.eq(content.reply_to_email.as_ref().map(EmailAddress::as_str)),
                campaigns::schedule.eq(serde_json::to_value(&content.schedule).map_err(internal)?),
                campaigns::settings.eq(serde_json::to_value(&content.settings).map_err(internal)?),
                campaigns::status.eq(campaign.status().as_str()),
                campaigns::scheduled_at.eq(campaign.scheduled_at()),
                campaigns::launched_at.eq(campaign.lifecycle.launched_at()),
                campaigns::paused_at.eq(paused_at),
                campaigns::completed_at.eq(campaign.lifecycle.completed_at()),
                campaigns::sequence_version.eq(campaign.sequence_version.0),
                campaigns::next_step_no.eq(campaign.next_step_no.0),
                campaigns::enrollment_state.eq(enrolling(campaign).as_str()),
                campaigns::last_problem.eq(campaign.last_problem.as_deref()),
                campaigns::held_until.eq(None::<chrono::DateTime<chrono::Utc>>),
            ))
            .execute(self.conn())
            .await
            .store()?;
        Ok(if changed == 1 { Saved::Stored } else { Saved::Stale })
    }

    async fn delete(&mut self, campaign: &Campaign) -> StoreResult<()> {
        let of = self.of();
        diesel::delete(campaigns::table.find((of.tenant.0, campaign.no.0)))
            .filter(campaigns::workspace_no.eq(of.workspace.0))
            .filter(campaigns::launched_at.is_null())
            .execute(self.conn())
            .await
            .store()?;
        Ok(())
    }

    async fn list(&mut self, query: &CampaignQuery) -> StoreResult<Vec<CampaignSummary>> {
        list::list(self, query).await
    }

    async fn find_segment(&mut self, id: SegmentId) -> StoreResult<Option<SegmentNo>> {
        let of = self.of();
        let no: Option<i32> = segments::table
            .filter(segments::tenant_no.eq(of.tenant.0))
            .filter(segments::workspace_no.eq(of.workspace.0))
            .filter(segments::id.eq(id.0))
            .select(segments::segment_no)
            .for_key_share()
            .first(self.conn())
            .await
            .optional()
            .store()?;
        Ok(no.map(SegmentNo))
    }

    async fn sequence(&mut self, campaign: &Campaign, version: SequenceVersion) -> StoreResult<Sequence> {
        steps::sequence(self.conn(), campaign, version).await
    }

    async fn registered_steps(&mut self, campaign: &Campaign) -> StoreResult<Vec<RegisteredStep>> {
        steps::registered(self.conn(), campaign).await
    }

    async fn known_mails(&mut self, named: &Mails) -> StoreResult<Mails> {
        let of = self.of();
        steps::known_mails(self.conn(), of, named).await
    }

    async fn new_step_ids(&mut self, count: usize) -> StoreResult<Vec<StepId>> {
        Ok((0..count).map(|_| StepId(Uuid::now_v7())).collect())
    }

    async fn add_sequence(&mut self, campaign: &Campaign, sequence: &Sequence) -> StoreResult<()> {
        let now = self.now().await?;
        steps::add(self.conn(), campaign, sequence, now).await
    }
}

async fn by_id(mut conn: &AsyncPgConnection, of: Workspace, id: CampaignId) -> StoreResult<Option<Campaign>> {
    let row: Option<JoinedRow> = joined()
        .filter(campaigns::tenant_no.eq(of.tenant.0))
        .filter(campaigns::workspace_no.eq(of.workspace.0))
        .filter(campaigns::id.eq(id.0))
        .select(columns())
        .first(&mut conn)
        .await
        .optional()
        .store()?;
    row.map(|row| into_campaign(of, row)).transpose()
}

async fn by_no(mut conn: &AsyncPgConnection, of: Workspace, no: CampaignNo) -> StoreResult<Option<Campaign>> {
    let row: Option<JoinedRow> = joined()
        .filter(campaigns::tenant_no.eq(of.tenant.0))
        .filter(campaigns::workspace_no.eq(of.workspace.0))
        .filter(campaigns::campaign_no.eq(no.0))
        .select(columns())
        .first(&mut conn)
        .await
        .optional()
        .store()?;
    row.map(|row| into_campaign(of, row)).transpose()
}

/// Locks a campaign's row and reads it in one flight. Two statements all the same: only one that begins when the lock is
/// held sees what the last change left.
async fn once_locked(
    lock: impl Future<Output = QueryResult<i32>>,
    read: impl Future<Output = StoreResult<Option<Campaign>>>,
) -> StoreResult<Option<Campaign>> {
    let lock = lock.map(|locked| locked.optional().store());
    let (locked, campaign) = try_join!(lock, read)?;
    Ok(locked.and(campaign))
}

/// A campaign that becomes launched is being enrolled until its enrolling says otherwise.
fn enrolling(campaign: &Campaign) -> EnrollmentState {
    match (campaign.was_launched(), campaign.enrollment_state) {
        (true, EnrollmentState::None) => EnrollmentState::Running,
        (true, state) => state,
        (false, _) => EnrollmentState::None,
    }
}

fn gone(id: CampaignId) -> StoreError {
    StoreError::Corrupt { table: "campaigns", column: "segment_no", id: id.to_string() }
}
