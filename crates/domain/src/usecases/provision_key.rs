//! Make a key from the command line, with its tenant and workspace when they are missing.

use super::create_key::{self, CreateKey, CreateKeyError};
use crate::model::principal::Scope;
use crate::model::problem::FieldProblems;
use crate::ports::keys::{IssuedKey, Tenancy};
use crate::ports::store::{Store, Workspace, in_tx};

/// For whom the key is, and what it is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProvisionKey {
    /// The tenant's name; 1 to 200 characters.
    pub tenant: String,
    /// The workspace's name; 1 to 200 characters.
    pub workspace: String,
    /// The key. All scopes when it names none.
    pub key: CreateKey,
}

/// Makes the key. Safe with several at once: they share the tenant and the workspace, each gets a key of its own.
pub async fn provision_key(
    store: &dyn Store,
    tenancy: &dyn Tenancy,
    mut command: ProvisionKey,
) -> Result<IssuedKey, CreateKeyError> {
    let mut problems = FieldProblems::default();
    for (pointer, name) in [("/tenant", &command.tenant), ("/workspace", &command.workspace)] {
        if name.trim().is_empty() || name.chars().count() > 200 || name.contains(char::is_control) {
            problems.add(pointer, "invalid", "1 to 200 characters, none of them a control character");
        }
    }
    problems.into_result().map_err(CreateKeyError::Invalid)?;
    if command.key.scopes.is_empty() {
        command.key.scopes = Scope::ALL.to_vec();
    }
    let owner = tenancy.ensure_workspace(&command.tenant, &command.workspace).await?;
    let of = Workspace { tenant: owner.tenant, workspace: owner.workspace };
    in_tx(store, of, async |tx| {
        create_key::check(tx, &command.key).await?;
        Ok(create_key::insert(tx, None, command.key).await?)
    })
    .await
}
