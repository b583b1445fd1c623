//! Make an API key.

use crate::model::ids::UserId;
use crate::model::principal::{Principal, Scope};
use crate::model::problem::FieldProblems;
use crate::ports::keys::{IssuedKey, NewKey};
use crate::ports::store::{StoreError, StoreResult, Tx};
use chrono::{DateTime, Utc};

/// What the key is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateKey {
    /// What it is for; 1 to 200 characters.
    pub name: String,
    /// What it may do; none twice.
    pub scopes: Vec<Scope>,
    /// When it stops working.
    pub expires_at: Option<DateTime<Utc>>,
}

/// Why no key was made.
#[derive(Debug, thiserror::Error)]
pub enum CreateKeyError {
    /// The command says something impossible.
    #[error("invalid key")]
    Invalid(FieldProblems),
    /// The caller would give away what it does not have.
    #[error("a key cannot grant {} without having it", .0.as_str())]
    ScopeNotHeld(Scope),
    /// Storage failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Makes a key of the caller's workspace. It carries no scope that the caller lacks, so that a key cannot raise itself.
pub async fn create_key(tx: &mut Tx, principal: &Principal, command: CreateKey) -> Result<IssuedKey, CreateKeyError> {
    check(tx, &command).await?;
    if let Some(scope) = command.scopes.iter().find(|scope| !principal.can(**scope)) {
        return Err(CreateKeyError::ScopeNotHeld(*scope));
    }
    Ok(insert(tx, Some(principal.user_id), command).await?)
}

/// Refuses what no key can be.
pub(super) async fn check(tx: &mut Tx, command: &CreateKey) -> Result<(), CreateKeyError> {
    let mut problems = FieldProblems::default();
    if command.name.trim().is_empty() || command.name.chars().count() > 200 || command.name.contains(char::is_control) {
        problems.add("/name", "invalid", "1 to 200 characters, none of them a control character");
    }
    if command.scopes.is_empty() {
        problems.add("/scopes", "required", "name at least one scope");
    }
    if let Some(expires_at) = command.expires_at
        && expires_at <= tx.keys().real_now().await?
    {
        problems.add("/expiresAt", "in_the_past", "must be in the future");
    }
    problems.into_result().map_err(CreateKeyError::Invalid)
}

/// Makes a checked key.
pub(super) async fn insert(tx: &mut Tx, created_by: Option<UserId>, command: CreateKey) -> StoreResult<IssuedKey> {
    let CreateKey { name, mut scopes, expires_at } = command;
    scopes.sort_unstable();
    scopes.dedup();
    tx.keys().insert(NewKey { name, scopes, created_by, expires_at }).await
}
