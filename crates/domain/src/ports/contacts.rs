//! Contacts.

use super::store::StoreResult;
use crate::model::contact::{Contact, ContactFacts, NewContact, Revision};
use crate::model::ids::{CampaignId, ContactId, ContactNo, SegmentId, SegmentNo};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use std::collections::BTreeMap;

/// Which contacts a list shows; all that is said has to hold.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct ContactFilter {
    /// The one with this address, by [`crate::model::address::EmailAddress::key`].
    pub email_key: Option<String>,
    /// Those with this tag, in lower case.
    pub tag: Option<String>,
}

/// What is filtered by, not for whom: it may end up in a log.
impl std::fmt::Debug for ContactFilter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (email, tag) = (self.email_key.is_some(), self.tag.is_some());
        f.debug_struct("ContactFilter").field("email", &email).field("tag", &tag).finish()
    }
}

/// The contacts of one workspace. Erased ones are not found by anything here.
#[cfg_attr(any(test, feature = "testing"), mockall::automock)]
#[async_trait]
pub trait ContactRepo: Send {
    /// The contact of that id.
    async fn find(&mut self, id: ContactId) -> StoreResult<Option<Contact>>;

    /// The contact of that id, held against other changes to the end of the transaction. Deliveries still begin.
    async fn find_for_update(&mut self, id: ContactId) -> StoreResult<Option<Contact>>;

    /// The contacts with these [address keys](crate::model::address::EmailAddress::key), held against other changes.
    /// Taken in the order of their keys, so that two callers never wait for each other in a circle.
    async fn find_by_email_for_update(&mut self, keys: &[String]) -> StoreResult<Vec<Contact>>;

    /// At most `limit` contacts after the one numbered `after`, in the order of their creation.
    async fn list(&mut self, filter: &ContactFilter, after: Option<ContactNo>, limit: u32)
    -> StoreResult<Vec<Contact>>;

    /// Stores new contacts and gives back those that were: an address that exists by now is passed over, also one that
    /// another transaction was just storing. No address may come twice.
    async fn insert(&mut self, contacts: Vec<NewContact>, now: DateTime<Utc>) -> StoreResult<Vec<Contact>>;

    /// Writes what differs between before and after, and `now` as the time of the change. The contacts are held
    /// by [`ContactRepo::find_for_update`] or its like. [`super::store::StoreError::Conflict`] when another
    /// transaction took a new address meanwhile.
    async fn save(&mut self, revisions: &[Revision], now: DateTime<Utc>) -> StoreResult<()>;

    /// Erases a person: the address, every field, tags and memberships are gone, the number stays for the figures.
    /// Open enrollments end, what is queued is cancelled, and the books say so. Waits for a delivery that is just
    /// beginning; once this is committed none begins.
    ///
    /// Posts to the books, so it has to be the last thing in its transaction. False when there is no such contact.
    async fn erase(&mut self, id: ContactId, now: DateTime<Utc>) -> StoreResult<bool>;

    /// What is known of these contacts; those erased or of another workspace are left out.
    async fn find_facts(&mut self, contacts: &[ContactNo]) -> StoreResult<BTreeMap<ContactNo, ContactFacts>>;

    /// The static segments that a contact was put into, with their names.
    async fn memberships(&mut self, contact: ContactNo) -> StoreResult<Vec<(SegmentId, String)>>;

    /// The campaigns that a contact was ever enrolled in, the oldest first.
    async fn campaigns(&mut self, contact: ContactNo) -> StoreResult<Vec<CampaignId>>;

    /// Puts contacts into a static segment of this workspace, held against its removal to the end of the transaction;
    /// those in it stay. False when the segment is not there, or has rules.
    async fn join_segment(&mut self, segment: SegmentNo, contacts: &[ContactNo]) -> StoreResult<bool>;
}
