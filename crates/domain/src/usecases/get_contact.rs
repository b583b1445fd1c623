//! Read one contact.

use crate::model::contact::Contact;
use crate::model::ids::ContactId;
use crate::ports::store::{StoreResult, Tx};

/// The contact of that id; `None` also when it was erased.
pub async fn get_contact(tx: &mut Tx, id: ContactId) -> StoreResult<Option<Contact>> {
    tx.contacts().find(id).await
}
