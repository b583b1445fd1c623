//! [`HookRepo`] over PostgreSQL.

use super::schema::{hook_receipts as receipts, hooks};
use super::{PgUnit, StoreErrorExt};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use diesel::dsl::now;
use diesel::prelude::*;
use diesel::sql_types::{Integer, Timestamptz};
use diesel_async::RunQueryDsl;
use muster_domain::model::hook::{Hook, HookKey, Receipt};
use muster_domain::model::ids::{HookId, HookNo, TenantNo, WorkspaceNo};
use muster_domain::ports::hooks::{Claimed, HookRepo};
use muster_domain::ports::keys::KeyRepo;
use muster_domain::ports::store::StoreResult;
use uuid::Uuid;

/// How many outdated receipts of the tenant each new one sweeps out: more than come in, so that none pile up.
const SWEPT: i32 = 20;

#[derive(Queryable, Selectable)]
#[diesel(table_name = hooks)]
struct HookRow {
    tenant_no: i32,
    workspace_no: i32,
    hook_no: i32,
    id: Uuid,
    name: String,
    created_at: DateTime<Utc>,
}

impl From<HookRow> for Hook {
    fn from(row: HookRow) -> Self {
        let (tenant, workspace, no) = (TenantNo(row.tenant_no), WorkspaceNo(row.workspace_no), HookNo(row.hook_no));
        let key = HookKey { tenant, workspace, no };
        Self { key, id: HookId(row.id), name: row.name, created_at: row.created_at }
    }
}

#[async_trait]
impl HookRepo for PgUnit {
    async fn insert(&mut self, name: &str) -> StoreResult<Hook> {
        let of = self.of();
        let created_at = self.real_now().await?;
        let row: HookRow = diesel::insert_into(hooks::table)
            .values((
                hooks::tenant_no.eq(of.tenant.0),
                hooks::workspace_no.eq(of.workspace.0),
                hooks::id.eq(Uuid::now_v7()),
                hooks::name.eq(name),
                hooks::created_at.eq(created_at),
            ))
            .returning(HookRow::as_returning())
            .get_result(self.conn().await?)
            .await
            .store()?;
        Ok(row.into())
    }

    async fn list(&mut self, after: Option<HookId>, limit: u32) -> StoreResult<Vec<Hook>> {
        let of = self.of();
        // Ids rise with time, so their order is the order of making.
        let rows: Vec<HookRow> = hooks::table
            .select(HookRow::as_select())
            .filter(hooks::tenant_no.eq(of.tenant.0))
            .filter(hooks::workspace_no.eq(of.workspace.0))
            .filter(hooks::id.lt(after.map_or(Uuid::max(), |id| id.0)))
            .filter(hooks::revoked_at.is_null())
            .order(hooks::id.desc())
            .limit(i64::from(limit))
            .load(self.conn().await?)
            .await
            .store()?;
        Ok(rows.into_iter().map(Hook::from).collect())
    }

    async fn find(&mut self, id: HookId) -> StoreResult<Option<Hook>> {
        let of = self.of();
        let row: Option<HookRow> = hooks::table
            .select(HookRow::as_select())
            .filter(hooks::tenant_no.eq(of.tenant.0))
            .filter(hooks::workspace_no.eq(of.workspace.0))
            .filter(hooks::id.eq(id.0))
            .filter(hooks::revoked_at.is_null())
            .first(self.conn().await?)
            .await
            .optional()
            .store()?;
        Ok(row.map(Hook::from))
    }

    async fn revoke(&mut self, id: HookId) -> StoreResult<bool> {
        let of = self.of();
        let revoked = diesel::update(hooks::table)
            .filter(hooks::tenant_no.eq(of.tenant.0))
            .filter(hooks::workspace_no.eq(of.workspace.0))
            .filter(hooks::id.eq(id.0))
            .filter(hooks::revoked_at.is_null())
            .set(hooks::revoked_at.eq(now.into_sql::<Timestamptz>().nullable()))
            .execute(self.conn().await?)
            .await
            .store()?;
        Ok(revoked == 1)
    }

    async fn open(&mut self, hook: HookKey) -> StoreResult<Option<DateTime<Utc>>> {
        hooks::table
            .filter(hooks::tenant_no.eq(hook.tenant.0))
            .filter(hooks::hook_no.eq(hook.no.0))
            .filter(hooks::workspace_no.eq(hook.workspace.0))
            .filter(hooks::revoked_at.is_null())
            .select(now.into_sql::<Timestamptz>())
            .first(self.conn().await?)
            .await
            .optional()
            .store()
    }

    async fn claim(&mut self, hook: HookKey, receipt: &Receipt) -> StoreResult<Claimed> {
        let claimed = diesel::insert_into(receipts::table)
            .values((
                receipts::tenant_no.eq(hook.tenant.0),
                receipts::hook_no.eq(hook.no.0),
                receipts::receipt.eq(receipt.id.as_slice()),
                receipts::content.eq(receipt.content.as_slice()),
            ))
            .on_conflict_do_nothing()
            .execute(self.conn().await?)
            .await
            .store()?;
        if claimed == 0 {
            let known: Vec<u8> = receipts::table
                .filter(receipts::tenant_no.eq(hook.tenant.0))
                .filter(receipts::hook_no.eq(hook.no.0))
                .filter(receipts::receipt.eq(receipt.id.as_slice()))
                .select(receipts::content)
                .first(self.conn().await?)
                .await
                .optional()
                .store()?
                .unwrap_or_default();
            // Gone between the two statements: it was older than any that is tried again.
            let same = known.is_empty() || known == receipt.content;
            return Ok(if same { Claimed::Again } else { Claimed::OtherContent });
        }
        diesel::sql_query(
            "DELETE FROM hook_receipts WHERE tenant_no = $1 AND (hook_no, receipt) IN ( \
                SELECT hook_no, receipt FROM hook_receipts \
                WHERE tenant_no = $1 AND received_at <= now() - interval '8 days' \
                ORDER BY received_at LIMIT $2 FOR UPDATE SKIP LOCKED)",
        )
        .bind::<Integer, _>(hook.tenant.0)
        .bind::<Integer, _>(SWEPT)
        .execute(self.conn().await?)
        .await
        .store()?;
        Ok(Claimed::First)
    }
}
