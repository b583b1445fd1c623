//! API keys: making, listing and revoking them, and finding the one that a caller presents.
//!
//! A token reads `mk_<prefix>_<secret>`. Storage knows the prefix and the SHA-256 of the secret; the secret itself is
//! seen once, by whoever asked for the key. Expiry runs on real time, also where campaigns run in time lapse.

use super::store::StoreResult;
use crate::model::ids::{KeyId, TenantId, TenantNo, UserId, WorkspaceId, WorkspaceNo};
use crate::model::principal::{Principal, Scope};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use secrecy::SecretString;
use std::time::Duration;

/// A key to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewKey {
    /// What it is for, in its owner's words; 1 to 200 characters.
    pub name: String,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// Who asked for it; nobody when the command line did.
    pub created_by: Option<UserId>,
    /// When it stops working.
    pub expires_at: Option<DateTime<Utc>>,
}

/// A key as it is stored; nothing in it lets anybody in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// Its id.
    pub id: KeyId,
    /// What it is for.
    pub name: String,
    /// The first part of the token, to tell keys apart.
    pub prefix: String,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// Who made it; nobody when the command line did.
    pub created_by: Option<UserId>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it stops working.
    pub expires_at: Option<DateTime<Utc>>,
}

/// A key just made, with its token: the only time that it is seen.
#[derive(Debug)]
pub struct IssuedKey {
    /// The key.
    pub key: ApiKey,
    /// `mk_<prefix>_<secret>`, to be handed over and forgotten.
    pub token: SecretString,
}

/// The keys of one workspace.
#[cfg_attr(any(test, feature = "testing"), mockall::automock)]
#[async_trait]
pub trait KeyRepo: Send {
    /// Makes a key with a fresh random token and stores the hash of its secret.
    async fn insert(&mut self, key: NewKey) -> StoreResult<IssuedKey>;

    /// The key of that id, unless it was revoked.
    async fn find(&mut self, id: KeyId) -> StoreResult<Option<ApiKey>>;

    /// At most `limit` keys that were not revoked, the newest first, after the one at `after`.
    async fn list(&mut self, after: Option<KeyId>, limit: u32) -> StoreResult<Vec<ApiKey>>;

    /// Ends a key for good and gives its prefix back; `None` when there is no such key or it was revoked before.
    async fn revoke(&mut self, id: KeyId) -> StoreResult<Option<String>>;

    /// The database's real clock, in milliseconds, on which keys expire.
    async fn real_now(&mut self) -> StoreResult<DateTime<Utc>>;
}

/// What is needed to check a token.
#[derive(Debug, Clone)]
pub struct StoredKey {
    /// Whom the key stands for.
    pub principal: Principal,
    /// SHA-256 of the secret part of the token.
    pub secret_hash: [u8; 32],
    /// How long it goes on working; `None` for ever.
    pub expires_in: Option<Duration>,
}

/// Finds keys of every tenant by what callers present.
#[cfg_attr(any(test, feature = "testing"), mockall::automock)]
#[async_trait]
pub trait KeyDirectory: Send + Sync {
    /// The key with that prefix, when it is neither revoked nor expired.
    async fn find_key(&self, prefix: &str) -> StoreResult<Option<StoredKey>>;
}

/// A workspace and its tenant, by number and by id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkspaceIdentity {
    /// The tenant, as rows know it.
    pub tenant: TenantNo,
    /// The workspace, as rows know it.
    pub workspace: WorkspaceNo,
    /// The tenant, as callers know it.
    pub tenant_id: TenantId,
    /// The workspace, as callers know it.
    pub workspace_id: WorkspaceId,
}

/// Makes tenants and workspaces.
#[cfg_attr(any(test, feature = "testing"), mockall::automock)]
#[async_trait]
pub trait Tenancy: Send + Sync {
    /// The workspace of those names, made with its tenant when missing. Safe with several at once: all get the same.
    async fn ensure_workspace(&self, tenant: &str, workspace: &str) -> StoreResult<WorkspaceIdentity>;
}
