//! Where a contact is held beside its own rows. Memberships and enrollments have no index by contact: each list and each
//! campaign of the workspace is probed by its key.

use crate::postgres::error::StoreErrorExt;
use diesel::QueryableByName;
use diesel::sql_types::{BigInt, Integer, Text, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use muster_domain::model::ids::{CampaignId, ContactNo, SegmentId};
use muster_domain::ports::store::{StoreResult, Workspace};
use uuid::Uuid;

#[derive(QueryableByName)]
struct NamedRow {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
    #[diesel(sql_type = Text)]
    name: String,
}

pub(super) async fn memberships(
    conn: &mut AsyncPgConnection,
    of: Workspace,
    contact: ContactNo,
) -> StoreResult<Vec<(SegmentId, String)>> {
    let sql = "SELECT s.id, s.name FROM segments s CROSS JOIN LATERAL (SELECT FROM segment_members \
            WHERE tenant_no = $1 AND segment_no = s.segment_no AND contact_no = $3 OFFSET 0) AS m \
         WHERE s.tenant_no = $1 AND s.workspace_no = $2 ORDER BY s.segment_no";
    let rows = load(conn, sql, of, contact).await?;
    Ok(rows.into_iter().map(|row| (SegmentId(row.id), row.name)).collect())
}

pub(super) async fn campaigns(
    conn: &mut AsyncPgConnection,
    of: Workspace,
    contact: ContactNo,
) -> StoreResult<Vec<CampaignId>> {
    let sql = "SELECT c.id, c.name FROM campaigns c CROSS JOIN LATERAL (SELECT FROM enrollments \
            WHERE tenant_no = $1 AND campaign_no = c.campaign_no AND contact_no = $3 OFFSET 0) AS e \
         WHERE c.tenant_no = $1 AND c.workspace_no = $2 ORDER BY c.campaign_no";
    let rows = load(conn, sql, of, contact).await?;
    Ok(rows.into_iter().map(|row| CampaignId(row.id)).collect())
}

async fn load(
    conn: &mut AsyncPgConnection,
    sql: &str,
    of: Workspace,
    contact: ContactNo,
) -> StoreResult<Vec<NamedRow>> {
    diesel::sql_query(sql)
        .bind::<Integer, _>(of.tenant.0)
        .bind::<Integer, _>(of.workspace.0)
        .bind::<BigInt, _>(contact.0)
        .load(conn)
        .await
        .store()
}
