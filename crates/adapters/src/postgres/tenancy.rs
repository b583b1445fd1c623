//! [`Tenancy`] over PostgreSQL.
//!
//! A tenant's rows can only be written by a transaction that names the tenant, so its number is drawn first. Names are
//! found under the scheduler's role, which sees those of all tenants.

use super::PgStore;
use super::error::StoreErrorExt;
use super::schema::{tenants, workspaces};
use async_trait::async_trait;
use diesel::dsl::now;
use diesel::prelude::*;
use diesel::sql_types::Integer;
use diesel_async::RunQueryDsl;
use muster_domain::model::ids::{TenantId, TenantNo, WorkspaceId, WorkspaceNo};
use muster_domain::ports::keys::{Tenancy, WorkspaceIdentity};
use muster_domain::ports::store::{StoreError, StoreResult};
use uuid::Uuid;

#[async_trait]
impl Tenancy for PgStore {
    async fn ensure_workspace(&self, tenant: &str, workspace: &str) -> StoreResult<WorkspaceIdentity> {
        let (tenant, tenant_id) = match self.find_tenant(tenant).await? {
            Some(found) => found,
            None => self.insert_tenant(tenant).await?,
        };
        let (workspace, workspace_id) = self.find_or_insert_workspace(tenant, workspace).await?;
        Ok(WorkspaceIdentity { tenant, workspace, tenant_id, workspace_id })
    }
}

impl PgStore {
    async fn find_tenant(&self, name: &str) -> StoreResult<Option<(TenantNo, TenantId)>> {
        let mut tx = self.scheduler().await?;
        let found: Option<(i32, Uuid)> = tenants::table
            .filter(tenants::name.eq(name))
            .select((tenants::tenant_no, tenants::id))
            .first(&mut *tx)
            .await
            .optional()
            .store()?;
        tx.commit().await?;
        Ok(found.map(|(no, id)| (TenantNo(no), TenantId(id))))
    }

    /// Makes a tenant, or finds the one that another process made meanwhile; a number drawn in vain stays unused.
    async fn insert_tenant(&self, name: &str) -> StoreResult<(TenantNo, TenantId)> {
        let mut tx = self.scheduler().await?;
        let no: i32 = diesel::select(diesel::dsl::sql::<Integer>("nextval('tenants_tenant_no_seq')::int"))
            .get_result(&mut *tx)
            .await
            .store()?;
        tx.commit().await?;
        let mut tx = self.app(TenantNo(no)).await?;
        diesel::insert_into(tenants::table)
            .values((
                tenants::tenant_no.eq(no),
                tenants::id.eq(Uuid::now_v7()),
                tenants::name.eq(name),
                tenants::created_at.eq(now),
            ))
            .on_conflict_do_nothing()
            .execute(&mut *tx)
            .await
            .store()?;
        tx.commit().await?;
        self.find_tenant(name).await?.ok_or(StoreError::Conflict)
    }

    async fn find_or_insert_workspace(&self, tenant: TenantNo, name: &str) -> StoreResult<(WorkspaceNo, WorkspaceId)> {
        let mut tx = self.app(tenant).await?;
        diesel::insert_into(workspaces::table)
            .values((
                workspaces::tenant_no.eq(tenant.0),
                workspaces::id.eq(Uuid::now_v7()),
                workspaces::name.eq(name),
                workspaces::created_at.eq(now),
            ))
            .on_conflict_do_nothing()
            .execute(&mut *tx)
            .await
            .store()?;
        let found: (i32, Uuid) = workspaces::table
            .filter(workspaces::tenant_no.eq(tenant.0))
            .filter(workspaces::name.eq(name))
            .select((workspaces::workspace_no, workspaces::id))
            .first(&mut *tx)
            .await
            .store()?;
        tx.commit().await?;
        Ok((WorkspaceNo(found.0), WorkspaceId(found.1)))
    }
}
