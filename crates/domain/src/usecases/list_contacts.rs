//! List the contacts of a workspace.

use crate::model::contact::Contact;
use crate::model::ids::ContactNo;
use crate::ports::contacts::ContactFilter;
use crate::ports::store::{StoreResult, Tx};

/// At most `limit` contacts that the filter lets through, the oldest first, after the one numbered `after`.
pub async fn list_contacts(
    tx: &mut Tx,
    filter: &ContactFilter,
    after: Option<ContactNo>,
    limit: u32,
) -> StoreResult<Vec<Contact>> {
    tx.contacts().list(filter, after, limit).await
}
