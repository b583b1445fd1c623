//! Finding one campaign: as it is, with its steps, with its figures, or with a lock.

use super::rows::{CampaignRow, JoinedRow, columns, into_campaign, joined, joined_with_steps};
use super::steps;
use crate::postgres::StoreErrorExt;
use crate::postgres::analytics::figures::lifetime_by_id;
use crate::postgres::deliver::being_sent;
use crate::postgres::json::Json;
use crate::postgres::prepared::prepared;
use crate::postgres::schema::{campaigns, segments, sequence_versions};
use diesel::QueryableByName;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Integer, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use futures::{FutureExt, try_join};
use muster_domain::model::campaign::Campaign;
use muster_domain::model::ids::{CampaignId, CampaignNo, SegmentId, SegmentNo};
use muster_domain::model::sequence::Sequence;
use muster_domain::ports::campaigns::CampaignWithFigures;
use muster_domain::ports::store::{StoreResult, Workspace};
use std::sync::LazyLock;
use uuid::Uuid;

/// The number of the campaign with id `$3` in workspace `$2` of tenant `$1`, for statements that are sent before it is known.
pub(in crate::postgres) const NUMBER_OF: &str =
    "(SELECT campaign_no FROM campaigns WHERE tenant_no = $1 AND workspace_no = $2 AND id = $3)";

pub(super) async fn by_id(
    mut conn: &AsyncPgConnection,
    of: Workspace,
    id: CampaignId,
) -> StoreResult<Option<Campaign>> {
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

/// A [`JoinedRow`] with the newest sequence.
type RowWithSteps = (CampaignRow, Uuid, Option<i64>, Option<Json<Sequence>>);

pub(super) async fn with_steps(
    mut conn: &AsyncPgConnection,
    of: Workspace,
    id: CampaignId,
) -> StoreResult<Option<(Campaign, Sequence)>> {
    let (own, segment_id, audience) = columns();
    let row: Option<RowWithSteps> = joined_with_steps()
        .filter(campaigns::tenant_no.eq(of.tenant.0))
        .filter(campaigns::workspace_no.eq(of.workspace.0))
        .filter(campaigns::id.eq(id.0))
        .select((own, segment_id, audience, sequence_versions::steps.nullable()))
        .first(&mut conn)
        .await
        .optional()
        .store()?;
    let Some((own, segment_id, audience, sequence)) = row else { return Ok(None) };
    let campaign = into_campaign(of, (own, segment_id, audience))?;
    let sequence = steps::stored(&campaign, campaign.sequence_version, sequence)?;
    Ok(Some((campaign, sequence)))
}

/// Everything in one flight.
pub(super) async fn with_figures(
    conn: &AsyncPgConnection,
    of: Workspace,
    id: CampaignId,
) -> StoreResult<Option<CampaignWithFigures>> {
    let (found, counts, in_flight) =
        try_join!(with_steps(conn, of, id), lifetime_by_id(conn, of, id), in_flight(conn, of, id))?;
    Ok(found.map(|(campaign, sequence)| CampaignWithFigures { campaign, sequence, counts, in_flight }))
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    n: i64,
}

static IN_FLIGHT: LazyLock<String> = LazyLock::new(|| {
    format!("SELECT count(*) AS n FROM outbox WHERE tenant_no = $1 AND campaign_no = {NUMBER_OF} AND {}", being_sent!())
});

async fn in_flight(mut conn: &AsyncPgConnection, of: Workspace, id: CampaignId) -> StoreResult<i64> {
    let count: Count = prepared(IN_FLIGHT.as_str())
        .bind::<Integer, _>(of.tenant.0)
        .bind::<Integer, _>(of.workspace.0)
        .bind::<SqlUuid, _>(id.0)
        .get_result(&mut conn)
        .await
        .store()?;
    Ok(count.n)
}

pub(super) async fn for_update(
    conn: &AsyncPgConnection,
    of: Workspace,
    id: CampaignId,
) -> StoreResult<Option<Campaign>> {
    once_locked(lock_for_update(conn, of, id), by_id(conn, of, id)).await
}

pub(super) async fn with_steps_for_update(
    conn: &AsyncPgConnection,
    of: Workspace,
    id: CampaignId,
) -> StoreResult<Option<(Campaign, Sequence)>> {
    once_locked(lock_for_update(conn, of, id), with_steps(conn, of, id)).await
}

async fn lock_for_update(mut conn: &AsyncPgConnection, of: Workspace, id: CampaignId) -> QueryResult<i32> {
    campaigns::table
        .filter(campaigns::tenant_no.eq(of.tenant.0))
        .filter(campaigns::workspace_no.eq(of.workspace.0))
        .filter(campaigns::id.eq(id.0))
        .select(campaigns::campaign_no)
        .for_no_key_update()
        .first(&mut conn)
        .await
}

pub(super) async fn by_no_for_update(
    conn: &AsyncPgConnection,
    of: Workspace,
    no: CampaignNo,
) -> StoreResult<Option<Campaign>> {
    let mut locking = conn;
    let lock = campaigns::table
        .find((of.tenant.0, no.0))
        .filter(campaigns::workspace_no.eq(of.workspace.0))
        .select(campaigns::campaign_no)
        .for_no_key_update()
        .first(&mut locking);
    once_locked(lock, by_no(conn, of, no)).await
}

pub(super) async fn for_share(
    conn: &AsyncPgConnection,
    of: Workspace,
    id: CampaignId,
) -> StoreResult<Option<Campaign>> {
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

/// Locks a campaign's row and reads it in one flight. Two statements all the same: only one that begins when the lock is
/// held sees what the last change left.
async fn once_locked<T>(
    lock: impl Future<Output = QueryResult<i32>>,
    read: impl Future<Output = StoreResult<Option<T>>>,
) -> StoreResult<Option<T>> {
    let lock = lock.map(|locked| locked.optional().store());
    let (locked, found) = try_join!(lock, read)?;
    Ok(locked.and(found))
}

/// An audience, which stays to the end of the transaction.
pub(super) async fn segment(
    mut conn: &AsyncPgConnection,
    of: Workspace,
    id: SegmentId,
) -> StoreResult<Option<SegmentNo>> {
    let no: Option<i32> = segments::table
        .filter(segments::tenant_no.eq(of.tenant.0))
        .filter(segments::workspace_no.eq(of.workspace.0))
        .filter(segments::id.eq(id.0))
        .select(segments::segment_no)
        .for_key_share()
        .first(&mut conn)
        .await
        .optional()
        .store()?;
    Ok(no.map(SegmentNo))
}
