//! [`CampaignRepo`] over PostgreSQL.

mod find;
mod list;
mod rows;
mod steps;

use super::enrollments::enroll::post_enrolled;
use super::prepared::{Prepared, prepared};
use super::schema::campaigns;
use super::{PgUnit, StoreErrorExt, internal};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Integer, Jsonb, Nullable, SmallInt, Text, Timestamptz};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use futures::{FutureExt, try_join};
use muster_domain::model::address::EmailAddress;
use muster_domain::model::campaign::{Campaign, EnrollmentState};
use muster_domain::model::ids::{CampaignId, CampaignNo, SegmentId, SegmentNo, SequenceVersion, StepId};
use muster_domain::model::lifecycle::Lifecycle;
use muster_domain::model::rules::Mails;
use muster_domain::model::sequence::Sequence;
use muster_domain::ports::campaigns::{
    CampaignQuery, CampaignRepo, CampaignSummary, CampaignWithFigures, Enrolling, NewCampaign, RegisteredStep, Saved,
};
use muster_domain::ports::store::{StoreResult, UnitOfWork, Workspace};
use rows::{CampaignRow, into_campaign};
use std::sync::LazyLock;
use uuid::Uuid;

pub(super) use find::NUMBER_OF;

/// Not diesel's own `UPDATE`, which is parsed and planned each time.
const CHANGE: &str = "UPDATE campaigns SET version = version + 1, updated_at = $5, name = $6, description = $7, \
    segment_no = $8, from_email = $9, from_name = $10, reply_to_email = $11, schedule = $12, settings = $13, status = $14, \
    scheduled_at = $15, launched_at = $16, paused_at = $17, completed_at = $18, sequence_version = $19, next_step_no = $20, \
    enrollment_state = $21, last_problem = $22, held_until = NULL";
const WHERE_UNCHANGED: &str = "WHERE tenant_no = $1 AND campaign_no = $2 AND workspace_no = $3 AND version = $4";

static SAVE: LazyLock<String> = LazyLock::new(|| format!("{CHANGE} {WHERE_UNCHANGED}"));
/// One `UPDATE` for a launch: each one writes the row and its indexes anew.
static SAVE_LAUNCHED: LazyLock<String> =
    LazyLock::new(|| format!("{CHANGE}, enroll_cursor = $23, launch_mark = $24, enroll_total = $25 {WHERE_UNCHANGED}"));

#[async_trait]
impl CampaignRepo for PgUnit {
    async fn insert(&mut self, new: &NewCampaign) -> StoreResult<Campaign> {
        let of = self.of();
        let content = &new.content;
        let id = CampaignId(Uuid::now_v7());
        let row: CampaignRow = diesel::insert_into(campaigns::table)
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
            .returning(CampaignRow::as_returning())
            .get_result(self.conn().await?)
            .await
            .store()?;
        into_campaign(of, (row, new.segment_id.0, None))
    }

    async fn find(&mut self, id: CampaignId) -> StoreResult<Option<Campaign>> {
        let of = self.of();
        self.ask(async move |conn| find::by_id(conn, of, id).await).await
    }

    async fn find_with_steps(&mut self, id: CampaignId) -> StoreResult<Option<(Campaign, Sequence)>> {
        let of = self.of();
        self.ask(async move |conn| find::with_steps(conn, of, id).await).await
    }

    async fn find_with_figures(&mut self, id: CampaignId) -> StoreResult<Option<CampaignWithFigures>> {
        let of = self.of();
        self.ask(async move |conn| find::with_figures(conn, of, id).await).await
    }

    async fn find_for_update(&mut self, id: CampaignId) -> StoreResult<Option<Campaign>> {
        let of = self.of();
        self.dated(async move |conn| find::for_update(conn, of, id).await).await
    }

    async fn find_with_steps_for_update(&mut self, id: CampaignId) -> StoreResult<Option<(Campaign, Sequence)>> {
        let of = self.of();
        self.dated(async move |conn| find::with_steps_for_update(conn, of, id).await).await
    }

    async fn find_by_no_for_update(&mut self, no: CampaignNo) -> StoreResult<Option<Campaign>> {
        let of = self.of();
        self.dated(async move |conn| find::by_no_for_update(conn, of, no).await).await
    }

    async fn find_for_share(&mut self, id: CampaignId) -> StoreResult<Option<Campaign>> {
        let of = self.of();
        self.dated(async move |conn| find::for_share(conn, of, id).await).await
    }

    async fn save(&mut self, campaign: &Campaign) -> StoreResult<Saved> {
        let of = self.of();
        let now = self.now().await?;
        let change = changing(prepared(SAVE.as_str()), of, campaign, campaign.enrollment_state, now)?;
        let changed = change.execute(self.conn().await?).await.store()?;
        Ok(if changed == 1 { Saved::Stored } else { Saved::Stale })
    }

    async fn save_launched(&mut self, campaign: &Campaign, enrolling: Enrolling) -> StoreResult<Option<Campaign>> {
        let of = self.of();
        let now = self.now().await?;
        let change = changing(prepared(SAVE_LAUNCHED.as_str()), of, campaign, enrolling.state, now)?
            .bind::<BigInt, _>(enrolling.through.0)
            .bind::<BigInt, _>(enrolling.mark.0)
            .bind::<BigInt, _>(enrolling.total);
        let conn: &AsyncPgConnection = self.conn().await?;
        let mut sender = conn;
        let (changed, (), saved) = try_join!(
            change.execute(&mut sender).map(StoreErrorExt::store),
            post_enrolled(conn, campaign, enrolling.enrolled),
            find::by_id(conn, of, campaign.id),
        )?;
        Ok(saved.filter(|_| changed == 1))
    }

    async fn delete(&mut self, campaign: &Campaign) -> StoreResult<()> {
        let of = self.of();
        diesel::delete(campaigns::table.find((of.tenant.0, campaign.no.0)))
            .filter(campaigns::workspace_no.eq(of.workspace.0))
            .filter(campaigns::launched_at.is_null())
            .execute(self.conn().await?)
            .await
            .store()?;
        Ok(())
    }

    async fn list(&mut self, query: &CampaignQuery) -> StoreResult<Vec<CampaignSummary>> {
        list::list(self, query).await
    }

    async fn find_segment(&mut self, id: SegmentId) -> StoreResult<Option<SegmentNo>> {
        let of = self.of();
        self.dated(async move |conn| find::segment(conn, of, id).await).await
    }

    async fn sequence(&mut self, campaign: &Campaign, version: SequenceVersion) -> StoreResult<Sequence> {
        steps::sequence(self.conn().await?, campaign, version).await
    }

    async fn registered_steps(&mut self, campaign: &Campaign) -> StoreResult<Vec<RegisteredStep>> {
        steps::registered(self.conn().await?, campaign).await
    }

    async fn known_mails(&mut self, named: &Mails) -> StoreResult<Mails> {
        let of = self.of();
        steps::known_mails(self.conn().await?, of, named).await
    }

    async fn new_step_ids(&mut self, count: usize) -> StoreResult<Vec<StepId>> {
        Ok((0..count).map(|_| StepId(Uuid::now_v7())).collect())
    }

    async fn add_sequence(&mut self, campaign: &Campaign, sequence: &Sequence) -> StoreResult<()> {
        let now = self.now().await?;
        steps::add(self.conn().await?, campaign, sequence, now).await
    }
}

/// Binds what [`CHANGE`] and [`WHERE_UNCHANGED`] name; a campaign of another workspace than `of` does not match.
fn changing(
    change: Prepared,
    of: Workspace,
    campaign: &Campaign,
    enrolling: EnrollmentState,
    now: DateTime<Utc>,
) -> StoreResult<Prepared> {
    let content = &campaign.content;
    let paused_at = match campaign.lifecycle {
        Lifecycle::Paused { paused_at, .. } => Some(paused_at),
        _ => None,
    };
    let address = |address: &EmailAddress| address.as_str().to_owned();
    Ok(change
        .bind::<Integer, _>(of.tenant.0)
        .bind::<Integer, _>(campaign.no.0)
        .bind::<Integer, _>(of.workspace.0)
        .bind::<Integer, _>(campaign.version)
        .bind::<Timestamptz, _>(now)
        .bind::<Text, _>(content.name.clone())
        .bind::<Nullable<Text>, _>(content.description.clone())
        .bind::<Integer, _>(campaign.segment.0)
        .bind::<Text, _>(address(&content.from_email))
        .bind::<Text, _>(content.from_name.clone())
        .bind::<Nullable<Text>, _>(content.reply_to_email.as_ref().map(address))
        .bind::<Jsonb, _>(serde_json::to_value(&content.schedule).map_err(internal)?)
        .bind::<Jsonb, _>(serde_json::to_value(&content.settings).map_err(internal)?)
        .bind::<Text, _>(campaign.status().as_str())
        .bind::<Nullable<Timestamptz>, _>(campaign.scheduled_at())
        .bind::<Nullable<Timestamptz>, _>(campaign.lifecycle.launched_at())
        .bind::<Nullable<Timestamptz>, _>(paused_at)
        .bind::<Nullable<Timestamptz>, _>(campaign.lifecycle.completed_at())
        .bind::<Integer, _>(campaign.sequence_version.0)
        .bind::<SmallInt, _>(campaign.next_step_no.0)
        .bind::<Text, _>(enrolling.as_str())
        .bind::<Nullable<Text>, _>(campaign.last_problem.clone()))
}
