//! [`ContactRepo`] over PostgreSQL.

mod erase;
mod held;
pub(super) mod hold;
pub(super) mod read;
mod rows;
mod save;
mod write;

use super::PgUnit;
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use muster_domain::model::contact::{Contact, ContactFacts, NewContact, Revision};
use muster_domain::model::ids::{CampaignId, ContactId, ContactNo, SegmentId, SegmentNo};
use muster_domain::ports::contacts::{ContactFilter, ContactRepo};
use muster_domain::ports::store::StoreResult;
use std::collections::BTreeMap;

#[async_trait]
impl ContactRepo for PgUnit {
    async fn find(&mut self, id: ContactId) -> StoreResult<Option<Contact>> {
        let of = self.of();
        read::find(self.conn().await?, of, id).await
    }

    async fn find_for_update(&mut self, id: ContactId) -> StoreResult<Option<Contact>> {
        let of = self.of();
        read::find_for_update(self.conn().await?, of, id).await
    }

    async fn find_by_email_for_update(&mut self, keys: &[String]) -> StoreResult<Vec<Contact>> {
        let of = self.of();
        read::find_by_email_for_update(self.conn().await?, of, keys).await
    }

    async fn list(
        &mut self,
        filter: &ContactFilter,
        after: Option<ContactNo>,
        limit: u32,
    ) -> StoreResult<Vec<Contact>> {
        let of = self.of();
        read::list(self.conn().await?, of, filter, after, limit).await
    }

    async fn insert(&mut self, contacts: Vec<NewContact>, now: DateTime<Utc>) -> StoreResult<Vec<Contact>> {
        let of = self.of();
        write::insert(self.conn().await?, of, contacts, now).await
    }

    async fn save(&mut self, revisions: &[Revision], now: DateTime<Utc>) -> StoreResult<()> {
        let of = self.of();
        save::save(self.conn().await?, of, revisions, now).await
    }

    async fn erase(&mut self, id: ContactId, now: DateTime<Utc>) -> StoreResult<bool> {
        let of = self.of();
        erase::erase(self.conn().await?, of, id, now).await
    }

    async fn find_facts(&mut self, contacts: &[ContactNo]) -> StoreResult<BTreeMap<ContactNo, ContactFacts>> {
        let of = self.of();
        read::find_facts(self.conn().await?, of, contacts).await
    }

    async fn memberships(&mut self, contact: ContactNo) -> StoreResult<Vec<(SegmentId, String)>> {
        let of = self.of();
        held::memberships(self.conn().await?, of, contact).await
    }

    async fn campaigns(&mut self, contact: ContactNo) -> StoreResult<Vec<CampaignId>> {
        let of = self.of();
        held::campaigns(self.conn().await?, of, contact).await
    }

    async fn join_segment(&mut self, segment: SegmentNo, contacts: &[ContactNo]) -> StoreResult<bool> {
        let of = self.of();
        write::join_segment(self.conn().await?, of, segment, contacts).await
    }
}
