//! Look at one segment.

use crate::model::ids::SegmentId;
use crate::model::segment::Segment;
use crate::ports::segments::Audience;
use crate::ports::store::{StoreResult, Tx};

/// A segment and how many members it has now; `None` when there is no such segment in this workspace.
pub async fn get_segment(tx: &mut Tx, id: SegmentId) -> StoreResult<Option<(Segment, i64)>> {
    let Some(segment) = tx.segments().find(id).await? else { return Ok(None) };
    let members = tx.segments().count_members(&Audience::of(&segment)).await?;
    Ok(Some((segment, members)))
}
