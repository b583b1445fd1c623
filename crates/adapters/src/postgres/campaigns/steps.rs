//! Versions of sequences, and the register of steps.

use crate::postgres::json::Json;
use crate::postgres::schema::{campaign_steps, campaigns, links, sequence_versions};
use crate::postgres::{StoreErrorExt, internal};
use crate::tracking::HtmlTracker;
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Integer, SmallInt, Text, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use muster_domain::model::campaign::Campaign;
use muster_domain::model::ids::{CampaignId, SequenceVersion, StepId, StepNo};
use muster_domain::model::rules::Mails;
use muster_domain::model::sequence::{Sequence, StepKind, StepType};
use muster_domain::ports::campaigns::RegisteredStep;
use muster_domain::ports::store::{StoreError, StoreResult, Workspace};
use muster_domain::ports::tracking::Tracker;
use uuid::Uuid;

/// One version; empty for version 0.
pub(super) async fn sequence(
    conn: &mut AsyncPgConnection,
    campaign: &Campaign,
    version: SequenceVersion,
) -> StoreResult<Sequence> {
    let steps: Option<Json<Sequence>> = sequence_versions::table
        .find((campaign.tenant.0, campaign.no.0, version.0))
        .select(sequence_versions::steps)
        .first(conn)
        .await
        .optional()
        .store()?;
    stored(campaign, version, steps)
}

/// What a row says; version 0 has none.
pub(super) fn stored(
    campaign: &Campaign,
    version: SequenceVersion,
    steps: Option<Json<Sequence>>,
) -> StoreResult<Sequence> {
    if version == SequenceVersion(0) {
        return Ok(Sequence::default());
    }
    let corrupt = || StoreError::Corrupt {
        table: "sequence_versions",
        column: "steps",
        id: format!("{}/{}", campaign.id, version.0),
    };
    steps.ok_or_else(corrupt)?.ok_or_else(corrupt)
}

/// Every step that keeps its number.
pub(super) async fn registered(conn: &mut AsyncPgConnection, campaign: &Campaign) -> StoreResult<Vec<RegisteredStep>> {
    let rows: Vec<(i16, Uuid, String)> = campaign_steps::table
        .filter(campaign_steps::tenant_no.eq(campaign.tenant.0))
        .filter(campaign_steps::campaign_no.eq(campaign.no.0))
        .select((campaign_steps::step, campaign_steps::id, campaign_steps::step_type))
        .order(campaign_steps::step)
        .load(conn)
        .await
        .store()?;
    rows.into_iter()
        .map(|(no, id, of_type)| {
            Ok(RegisteredStep { no: StepNo(no), id: StepId(id), step_type: step_type(id, &of_type)? })
        })
        .collect()
}

fn step_type(id: Uuid, name: &str) -> StoreResult<StepType> {
    let corrupt = || StoreError::Corrupt { table: "campaign_steps", column: "step_type", id: id.to_string() };
    StepType::parse(name).ok_or_else(corrupt)
}

/// Those of these campaigns and steps that the workspace has.
pub(super) async fn known_mails(conn: &mut AsyncPgConnection, of: Workspace, named: &Mails) -> StoreResult<Mails> {
    let ours = campaigns::tenant_no.eq(of.tenant.0).and(campaigns::workspace_no.eq(of.workspace.0));
    let known: Vec<Uuid> = campaigns::table
        .filter(ours)
        .filter(campaigns::id.eq_any(named.campaigns.iter().map(|id| id.0)))
        .select(campaigns::id)
        .load(conn)
        .await
        .store()?;
    let same =
        campaigns::tenant_no.eq(campaign_steps::tenant_no).and(campaigns::campaign_no.eq(campaign_steps::campaign_no));
    let steps: Vec<(Uuid, Uuid, String)> = campaign_steps::table
        .inner_join(campaigns::table.on(same))
        .filter(ours)
        .filter(campaign_steps::tenant_no.eq(of.tenant.0))
        .filter(campaign_steps::id.eq_any(named.steps.keys().map(|id| id.0)))
        .select((campaign_steps::id, campaigns::id, campaign_steps::step_type))
        .load(conn)
        .await
        .store()?;
    let steps = steps
        .into_iter()
        .map(|(id, campaign, of_type)| Ok((StepId(id), Some((CampaignId(campaign), step_type(id, &of_type)?)))));
    Ok(Mails { campaigns: known.into_iter().map(CampaignId).collect(), steps: steps.collect::<StoreResult<_>>()? })
}

/// Stores the campaign's newest version and brings the register up to date.
pub(super) async fn add(
    conn: &mut AsyncPgConnection,
    campaign: &Campaign,
    sequence: &Sequence,
    now: DateTime<Utc>,
) -> StoreResult<()> {
    if !campaign.was_launched() {
        forget(conn, campaign, sequence).await?;
    }
    diesel::insert_into(sequence_versions::table)
        .values((
            sequence_versions::tenant_no.eq(campaign.tenant.0),
            sequence_versions::campaign_no.eq(campaign.no.0),
            sequence_versions::version.eq(campaign.sequence_version.0),
            sequence_versions::steps.eq(serde_json::to_value(sequence).map_err(internal)?),
            sequence_versions::created_at.eq(now),
        ))
        .execute(conn)
        .await
        .store()?;
    register(conn, campaign, sequence).await?;
    note_links(conn, campaign, sequence).await
}

/// Before the first launch nobody is in an older version or at a step that is no more.
async fn forget(conn: &mut AsyncPgConnection, campaign: &Campaign, sequence: &Sequence) -> StoreResult<()> {
    diesel::delete(sequence_versions::table)
        .filter(sequence_versions::tenant_no.eq(campaign.tenant.0))
        .filter(sequence_versions::campaign_no.eq(campaign.no.0))
        .execute(conn)
        .await
        .store()?;
    diesel::delete(links::table)
        .filter(links::tenant_no.eq(campaign.tenant.0))
        .filter(links::campaign_no.eq(campaign.no.0))
        .execute(conn)
        .await
        .store()?;
    let kept: Vec<Uuid> = sequence.steps.iter().map(|step| step.id.0).collect();
    diesel::delete(campaign_steps::table)
        .filter(campaign_steps::tenant_no.eq(campaign.tenant.0))
        .filter(campaign_steps::campaign_no.eq(campaign.no.0))
        .filter(campaign_steps::id.ne_all(kept))
        .execute(conn)
        .await
        .store()?;
    Ok(())
}

/// Notes which link is which, for histories: numbered here as they are for sending.
async fn note_links(conn: &mut AsyncPgConnection, campaign: &Campaign, sequence: &Sequence) -> StoreResult<()> {
    let tracker = HtmlTracker::default();
    let numbered = sequence.steps.iter().filter_map(|step| match &step.kind {
        StepKind::Email { content, .. } => Some((step.no, tracker.number(&content.email_content))),
        _ => None,
    });
    let (mut steps, mut numbers, mut addresses) = (Vec::new(), Vec::new(), Vec::new());
    for (step, numbered) in numbered {
        for (no, address) in &numbered.links {
            steps.push(step.0);
            numbers.push(no.0);
            addresses.push(address.clone());
        }
    }
    if steps.is_empty() {
        return Ok(());
    }
    diesel::sql_query(
        "INSERT INTO links (tenant_no, campaign_no, step, link, url) \
         SELECT $1, $2, u.* FROM unnest($3::smallint[], $4::bigint[], $5::text[]) AS u ON CONFLICT DO NOTHING",
    )
    .bind::<Integer, _>(campaign.tenant.0)
    .bind::<Integer, _>(campaign.no.0)
    .bind::<Array<SmallInt>, _>(steps)
    .bind::<Array<BigInt>, _>(numbers)
    .bind::<Array<Text>, _>(addresses)
    .execute(conn)
    .await
    .store()?;
    Ok(())
}

async fn register(conn: &mut AsyncPgConnection, campaign: &Campaign, sequence: &Sequence) -> StoreResult<()> {
    let steps = || sequence.steps.iter();
    let numbers: Vec<i16> = steps().map(|step| step.no.0).collect();
    diesel::update(campaign_steps::table)
        .filter(campaign_steps::tenant_no.eq(campaign.tenant.0))
        .filter(campaign_steps::campaign_no.eq(campaign.no.0))
        .filter(campaign_steps::step.ne_all(numbers.clone()))
        .set(campaign_steps::removed.eq(true))
        .execute(conn)
        .await
        .store()?;
    diesel::sql_query(
        "INSERT INTO campaign_steps (tenant_no, campaign_no, step, id, step_order, name, step_type) \
         SELECT $1, $2, u.* FROM unnest($3::smallint[], $4::uuid[], $5::smallint[], $6::text[], $7::text[]) AS u \
         ON CONFLICT (tenant_no, campaign_no, step) DO UPDATE SET \
         step_order = excluded.step_order, name = excluded.name, removed = false",
    )
    .bind::<Integer, _>(campaign.tenant.0)
    .bind::<Integer, _>(campaign.no.0)
    .bind::<Array<SmallInt>, _>(numbers)
    .bind::<Array<SqlUuid>, _>(steps().map(|step| step.id.0).collect::<Vec<_>>())
    .bind::<Array<SmallInt>, _>(steps().map(|step| step.order).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(steps().map(|step| step.name.as_str()).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(steps().map(|step| step.step_type().as_str()).collect::<Vec<_>>())
    .execute(conn)
    .await
    .store()?;
    Ok(())
}
