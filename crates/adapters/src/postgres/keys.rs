//! [`KeyRepo`] and [`KeyDirectory`] over PostgreSQL.

use super::error::{StoreErrorExt, internal};
use super::schema::{api_keys, tenants, workspaces};
use super::tx::{Patience, Role};
use super::{PgStore, PgUnit};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use diesel::dsl::now;
use diesel::prelude::*;
use diesel::sql_types::{Nullable, Timestamptz};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use muster_domain::model::ids::{KeyId, TenantId, TenantNo, UserId, WorkspaceId, WorkspaceNo};
use muster_domain::model::principal::{Principal, Scope};
use muster_domain::ports::keys::{ApiKey, IssuedKey, KeyDirectory, KeyRepo, NewKey, StoredKey};
use muster_domain::ports::store::{StoreError, StoreResult};
use rand::Rng;
use rand::distr::Alphanumeric;
use secrecy::SecretString;
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// 71 bits: enough that two keys never share a prefix.
const PREFIX_CHARS: usize = 12;

/// 190 bits.
const SECRET_CHARS: usize = 32;

/// Random base62, from the generator that the operating system seeds.
fn random_text(length: usize) -> String {
    rand::rng().sample_iter(Alphanumeric).take(length).map(char::from).collect()
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = api_keys)]
struct KeyRow {
    id: Uuid,
    prefix: String,
    name: String,
    scopes: Vec<String>,
    created_by: Option<Uuid>,
    created_at: DateTime<Utc>,
    expires_at: Option<DateTime<Utc>>,
}

impl TryFrom<KeyRow> for ApiKey {
    type Error = StoreError;
    fn try_from(row: KeyRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: KeyId(row.id),
            scopes: scopes(row.id, &row.scopes)?,
            name: row.name,
            prefix: row.prefix,
            created_by: row.created_by.map(UserId),
            created_at: row.created_at,
            expires_at: row.expires_at,
        })
    }
}

fn scopes(id: Uuid, names: &[String]) -> StoreResult<Vec<Scope>> {
    let corrupt = || StoreError::Corrupt { table: "api_keys", column: "scopes", id: id.to_string() };
    names.iter().map(|name| Scope::parse(name).ok_or_else(corrupt)).collect()
}

#[async_trait]
impl KeyRepo for PgUnit {
    async fn insert(&mut self, key: NewKey) -> StoreResult<IssuedKey> {
        let of = self.of();
        let (prefix, secret) = (random_text(PREFIX_CHARS), random_text(SECRET_CHARS));
        let created_at = self.real_now().await?;
        let row: KeyRow = diesel::insert_into(api_keys::table)
            .values((
                api_keys::tenant_no.eq(of.tenant.0),
                api_keys::workspace_no.eq(of.workspace.0),
                api_keys::id.eq(Uuid::now_v7()),
                api_keys::prefix.eq(&prefix),
                api_keys::secret_hash.eq(Sha256::digest(secret.as_bytes()).to_vec()),
                api_keys::name.eq(key.name),
                api_keys::scopes.eq(key.scopes.iter().map(|scope| scope.as_str()).collect::<Vec<_>>()),
                api_keys::created_by.eq(key.created_by.map(|user| user.0)),
                api_keys::created_at.eq(created_at),
                api_keys::expires_at.eq(key.expires_at),
            ))
            .returning(KeyRow::as_returning())
            .get_result(self.conn().await?)
            .await
            .store()?;
        Ok(IssuedKey { key: row.try_into()?, token: SecretString::from(format!("mk_{prefix}_{secret}")) })
    }

    async fn find(&mut self, id: KeyId) -> StoreResult<Option<ApiKey>> {
        let of = self.of();
        let row: Option<KeyRow> = api_keys::table
            .select(KeyRow::as_select())
            .filter(api_keys::tenant_no.eq(of.tenant.0))
            .filter(api_keys::workspace_no.eq(of.workspace.0))
            .filter(api_keys::id.eq(id.0))
            .filter(api_keys::revoked_at.is_null())
            .first(self.conn().await?)
            .await
            .optional()
            .store()?;
        row.map(TryInto::try_into).transpose()
    }

    async fn list(&mut self, after: Option<KeyId>, limit: u32) -> StoreResult<Vec<ApiKey>> {
        let of = self.of();
        // Ids rise with time, so their order is the order of making.
        let rows: Vec<KeyRow> = api_keys::table
            .select(KeyRow::as_select())
            .filter(api_keys::tenant_no.eq(of.tenant.0))
            .filter(api_keys::workspace_no.eq(of.workspace.0))
            .filter(api_keys::id.lt(after.map_or(Uuid::max(), |id| id.0)))
            .filter(api_keys::revoked_at.is_null())
            .order(api_keys::id.desc())
            .limit(i64::from(limit))
            .load(self.conn().await?)
            .await
            .store()?;
        rows.into_iter().map(TryInto::try_into).collect()
    }

    async fn revoke(&mut self, id: KeyId) -> StoreResult<Option<String>> {
        let of = self.of();
        diesel::update(api_keys::table)
            .filter(api_keys::tenant_no.eq(of.tenant.0))
            .filter(api_keys::workspace_no.eq(of.workspace.0))
            .filter(api_keys::id.eq(id.0))
            .filter(api_keys::revoked_at.is_null())
            .set(api_keys::revoked_at.eq(now.into_sql::<Timestamptz>().nullable()))
            .returning(api_keys::prefix)
            .get_result(self.conn().await?)
            .await
            .optional()
            .store()
    }

    async fn real_now(&mut self) -> StoreResult<DateTime<Utc>> {
        let instant: DateTime<Utc> =
            diesel::select(now.into_sql::<Timestamptz>()).get_result(self.conn().await?).await.store()?;
        DateTime::from_timestamp_millis(instant.timestamp_millis()).ok_or_else(|| internal("the clock is out of range"))
    }
}

#[derive(Queryable)]
struct DirectoryRow {
    tenant_no: i32,
    workspace_no: i32,
    tenant_id: Uuid,
    workspace_id: Uuid,
    key_id: Uuid,
    secret_hash: Vec<u8>,
    scopes: Vec<String>,
    expires_at: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
}

/// The key with `prefix`, unless it is revoked or over.
async fn look_up(mut conn: &AsyncPgConnection, prefix: &str) -> StoreResult<Option<DirectoryRow>> {
    api_keys::table
        .inner_join(tenants::table.on(tenants::tenant_no.eq(api_keys::tenant_no)))
        .inner_join(
            workspaces::table.on(workspaces::tenant_no
                .eq(api_keys::tenant_no)
                .and(workspaces::workspace_no.eq(api_keys::workspace_no))),
        )
        .filter(api_keys::prefix.eq(prefix))
        .filter(api_keys::revoked_at.is_null())
        .filter(api_keys::expires_at.is_null().or(api_keys::expires_at.gt(now.into_sql::<Nullable<Timestamptz>>())))
        .select((
            api_keys::tenant_no,
            api_keys::workspace_no,
            tenants::id,
            workspaces::id,
            api_keys::id,
            api_keys::secret_hash,
            api_keys::scopes,
            api_keys::expires_at,
            now.into_sql::<Timestamptz>(),
        ))
        .first(&mut conn)
        .await
        .optional()
        .store()
}

#[async_trait]
impl KeyDirectory for PgStore {
    async fn find_key(&self, prefix: &str) -> StoreResult<Option<StoredKey>> {
        let (tx, found) =
            self.open_asking(Role::Scheduler, Patience::Request, async move |conn| look_up(conn, prefix).await).await?;
        tx.commit().await?;
        found.map(TryInto::try_into).transpose()
    }
}

impl TryFrom<DirectoryRow> for StoredKey {
    type Error = StoreError;
    fn try_from(row: DirectoryRow) -> Result<Self, StoreError> {
        let corrupt = |_| StoreError::Corrupt { table: "api_keys", column: "secret_hash", id: row.key_id.to_string() };
        Ok(Self {
            secret_hash: row.secret_hash.try_into().map_err(corrupt)?,
            expires_in: row.expires_at.map(|end| (end - row.now).to_std().unwrap_or_default()),
            principal: Principal {
                tenant: TenantNo(row.tenant_no),
                workspace: WorkspaceNo(row.workspace_no),
                tenant_id: TenantId(row.tenant_id),
                workspace_id: WorkspaceId(row.workspace_id),
                key_id: KeyId(row.key_id),
                // No user stands behind a key: what it makes is its own.
                user_id: UserId(row.key_id),
                scopes: scopes(row.key_id, &row.scopes)?,
            },
        })
    }
}
