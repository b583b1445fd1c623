//! Remove a segment.

use crate::model::ids::SegmentId;
use crate::ports::segments::Removal;
use crate::ports::store::{StoreError, Tx};

/// Why the segment is still there.
#[derive(Debug, thiserror::Error)]
pub enum DeleteSegmentError {
    /// There is no such segment in this workspace.
    #[error("no such segment")]
    NotFound,
    /// A campaign, running or over, names it.
    #[error("a campaign names the segment")]
    InUse,
    /// Storage failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Removes a segment that no campaign names. Its contacts stay.
pub async fn delete_segment(tx: &mut Tx, id: SegmentId) -> Result<(), DeleteSegmentError> {
    let segment = tx.segments().find_for_update(id).await?.ok_or(DeleteSegmentError::NotFound)?;
    match tx.segments().remove(segment.no).await? {
        Removal::Removed => Ok(()),
        Removal::InUse => Err(DeleteSegmentError::InUse),
    }
}
