//! Segments and their members.

use super::store::StoreResult;
use crate::model::contact::Contact;
use crate::model::ids::{ContactId, ContactNo, SegmentId, SegmentNo};
use crate::model::rules::Rule;
use crate::model::segment::{Segment, SegmentDefinition};
use async_trait::async_trait;
use chrono::{DateTime, Utc};

/// Whose members are asked for.
#[derive(Debug, Clone, PartialEq)]
pub enum Audience {
    /// Those on the list of a static segment.
    Listed(SegmentNo),
    /// Those for whom a rule holds now.
    Matching(Rule),
}

impl Audience {
    /// The members of `segment`.
    pub fn of(segment: &Segment) -> Self {
        match &segment.definition {
            SegmentDefinition::Static => Audience::Listed(segment.no),
            SegmentDefinition::Dynamic(rules) => Audience::Matching(rules.clone()),
        }
    }
}

/// What became of removing a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removal {
    /// It is gone, with its list.
    Removed,
    /// A campaign names it; nothing has changed.
    InUse,
}

/// The segments of one workspace. Erased contacts are members of none.
#[cfg_attr(any(test, feature = "testing"), mockall::automock)]
#[async_trait]
pub trait SegmentRepo: Send {
    /// Stores a new segment without members of its own.
    async fn insert(&mut self, name: &str, definition: &SegmentDefinition, now: DateTime<Utc>) -> StoreResult<Segment>;

    /// The segment of that id.
    async fn find(&mut self, id: SegmentId) -> StoreResult<Option<Segment>>;

    /// The segment of that id, held against changes and against campaigns that begin to name it.
    async fn find_for_update(&mut self, id: SegmentId) -> StoreResult<Option<Segment>>;

    /// At most `limit` segments, the newest first, after the one numbered `after`.
    async fn list(&mut self, after: Option<SegmentNo>, limit: u32) -> StoreResult<Vec<Segment>>;

    /// Writes name, definition and time of change of a segment held by [`SegmentRepo::find_for_update`].
    async fn save(&mut self, segment: &Segment) -> StoreResult<()>;

    /// Removes a segment held by [`SegmentRepo::find_for_update`], unless a campaign names it.
    async fn remove(&mut self, no: SegmentNo) -> StoreResult<Removal>;

    /// How many members there are now.
    async fn count_members(&mut self, audience: &Audience) -> StoreResult<i64>;

    /// At most `limit` members after the one numbered `after`, in the order of their creation.
    async fn list_members(
        &mut self,
        audience: &Audience,
        after: Option<ContactNo>,
        limit: u32,
    ) -> StoreResult<Vec<Contact>>;

    /// The numbers of these contacts, in the order asked for, `None` where there is no such contact in this workspace.
    /// Those found are held against erasure.
    async fn resolve(&mut self, contacts: &[ContactId]) -> StoreResult<Vec<Option<ContactNo>>>;

    /// Puts contacts on the list of a static segment; answers how many were not on it before.
    async fn add_members(&mut self, no: SegmentNo, contacts: &[ContactNo]) -> StoreResult<u64>;

    /// Takes contacts off the list of a static segment; answers how many were on it.
    async fn remove_members(&mut self, no: SegmentNo, contacts: &[ContactNo]) -> StoreResult<u64>;
}
