//! Create a contact, or change the one that has the address already.

use crate::model::contact::edit::ContactEdit;
use crate::model::contact::{Contact, Revision};
use crate::model::problem::FieldProblems;
use crate::ports::store::{StoreError, Tx};

/// Store this person.
#[derive(Debug, Clone, PartialEq)]
pub struct CreateContact {
    /// What is known of it; needs an address.
    pub edit: ContactEdit,
    /// Whether to change the contact that has the address already, if there is one.
    pub upsert: bool,
}

/// Why it was not stored; nothing has changed.
#[derive(Debug, thiserror::Error)]
pub enum CreateContactError {
    /// It says something impossible.
    #[error("invalid contact")]
    Invalid(FieldProblems),
    /// A contact of this workspace has the address.
    #[error("the address belongs to a contact already")]
    AlreadyExists,
    /// Storage failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What was done.
#[derive(Debug, Clone, PartialEq)]
pub enum Upserted {
    /// A contact was made.
    Created(Contact),
    /// The contact with the address was changed, or was so already.
    Updated(Contact),
}

/// Makes a contact; with `upsert`, merges what is said into the one that has the address, which stays as it was written.
pub async fn create_contact(tx: &mut Tx, command: CreateContact) -> Result<Upserted, CreateContactError> {
    let new = command.edit.create().map_err(CreateContactError::Invalid)?;
    let now = tx.now().await?;
    let key = [new.email.key()];
    if let Some(contact) = tx.contacts().insert(vec![new], now).await?.pop() {
        return Ok(Upserted::Created(contact));
    }
    if !command.upsert {
        return Err(CreateContactError::AlreadyExists);
    }
    // Gone again by now: the whole story once more finds either way out.
    let before = tx.contacts().find_by_email_for_update(&key).await?.pop().ok_or(StoreError::Conflict)?;
    let beside_address = ContactEdit { email: None, ..command.edit };
    match beside_address.revise(&before).map_err(CreateContactError::Invalid)? {
        None => Ok(Upserted::Updated(before)),
        Some(mut after) => {
            after.updated_at = now;
            tx.contacts().save(&[Revision { before, after: after.clone() }], now).await?;
            Ok(Upserted::Updated(after))
        }
    }
}
