//! Make a hook, to which others report what became of mails.

use crate::model::hook::Hook;
use crate::model::problem::FieldProblems;
use crate::model::text::check_line;
use crate::ports::store::{StoreError, Tx};

/// A name has no more characters than this.
pub const MAX_NAME: usize = 200;

/// What the hook is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateHook {
    /// What it is for; 1 to [`MAX_NAME`] characters.
    pub name: String,
}

/// Why no hook was made.
#[derive(Debug, thiserror::Error)]
pub enum CreateHookError {
    /// The command says something impossible.
    #[error("invalid hook")]
    Invalid(FieldProblems),
    /// Storage failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Makes a hook of the caller's workspace.
pub async fn create_hook(tx: &mut Tx, command: CreateHook) -> Result<Hook, CreateHookError> {
    let mut problems = FieldProblems::default();
    check_line(&mut problems, "/name", &command.name, MAX_NAME);
    problems.into_result().map_err(CreateHookError::Invalid)?;
    Ok(tx.hooks().insert(&command.name).await?)
}
