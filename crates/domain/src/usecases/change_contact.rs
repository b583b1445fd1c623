//! Change what is known of a contact.

use crate::model::contact::edit::ContactEdit;
use crate::model::contact::{Contact, Revision};
use crate::model::ids::ContactId;
use crate::model::problem::FieldProblems;
use crate::ports::store::{StoreError, Tx};

/// Change this contact.
#[derive(Debug, Clone, PartialEq)]
pub struct ChangeContact {
    /// Which.
    pub id: ContactId,
    /// How; what is not mentioned stays.
    pub edit: ContactEdit,
}

/// Why it was not changed; nothing has.
#[derive(Debug, thiserror::Error)]
pub enum ChangeContactError {
    /// There is no such contact in this workspace.
    #[error("no such contact")]
    NotFound,
    /// It says something impossible.
    #[error("invalid contact")]
    Invalid(FieldProblems),
    /// Another contact of this workspace has the new address.
    #[error("the address belongs to another contact")]
    AddressTaken,
    /// Storage failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Changes a contact and gives it back as it is then.
pub async fn change_contact(tx: &mut Tx, command: ChangeContact) -> Result<Contact, ChangeContactError> {
    let before = tx.contacts().find_for_update(command.id).await?.ok_or(ChangeContactError::NotFound)?;
    let Some(mut after) = command.edit.revise(&before).map_err(ChangeContactError::Invalid)? else {
        return Ok(before);
    };
    let (old_key, new_key) = (before.email.key(), after.email.key());
    if old_key != new_key && !tx.contacts().find_by_email_for_update(&[new_key]).await?.is_empty() {
        return Err(ChangeContactError::AddressTaken);
    }
    let now = tx.now().await?;
    after.updated_at = now;
    tx.contacts().save(&[Revision { before, after: after.clone() }], now).await?;
    Ok(after)
}
