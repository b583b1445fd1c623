//! List the members of a segment.

use crate::model::contact::Contact;
use crate::model::ids::{ContactNo, SegmentId};
use crate::ports::segments::Audience;
use crate::ports::store::{StoreResult, Tx};

/// At most `limit` members after the one numbered `after`, in the order of their creation; `None` when there is no such
/// segment in this workspace.
pub async fn list_segment_contacts(
    tx: &mut Tx,
    id: SegmentId,
    after: Option<ContactNo>,
    limit: u32,
) -> StoreResult<Option<Vec<Contact>>> {
    let Some(segment) = tx.segments().find(id).await? else { return Ok(None) };
    tx.segments().list_members(&Audience::of(&segment), after, limit).await.map(Some)
}
