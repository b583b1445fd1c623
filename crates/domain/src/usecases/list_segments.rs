//! List the segments of a workspace.

use crate::model::ids::SegmentNo;
use crate::model::segment::Segment;
use crate::ports::store::{StoreResult, Tx};

/// At most `limit` segments, the newest first, after the one numbered `after`.
pub async fn list_segments(tx: &mut Tx, after: Option<SegmentNo>, limit: u32) -> StoreResult<Vec<Segment>> {
    tx.segments().list(after, limit).await
}
