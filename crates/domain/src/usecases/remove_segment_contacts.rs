//! Take contacts off the list of a static segment.

use super::add_segment_contacts::{SegmentContacts, SegmentContactsError, resolve};
use crate::ports::store::Tx;

/// Takes contacts off the list, all or none; answers how many were on it. Those already enrolled somewhere stay so.
pub async fn remove_segment_contacts(tx: &mut Tx, command: &SegmentContacts) -> Result<u64, SegmentContactsError> {
    let (segment, contacts) = resolve(tx, command).await?;
    Ok(tx.segments().remove_members(segment, &contacts).await?)
}
