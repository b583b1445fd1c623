//! Put contacts on the list of a static segment.

use crate::model::ids::{ContactId, ContactNo, SegmentId, SegmentNo};
use crate::model::problem::FieldProblems;
use crate::model::segment::SegmentKind;
use crate::ports::store::{StoreError, Tx};

/// A command names no more contacts than this.
pub const MAX_CONTACTS: usize = 1000;

/// Who goes where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentContacts {
    /// The segment; it has to be static.
    pub segment: SegmentId,
    /// The contacts, 1 to [`MAX_CONTACTS`].
    pub contacts: Vec<ContactId>,
}

/// Why the list is as it was.
#[derive(Debug, thiserror::Error)]
pub enum SegmentContactsError {
    /// There is no such segment in this workspace.
    #[error("no such segment")]
    NotFound,
    /// The segment has rules instead of a list.
    #[error("a dynamic segment has no list")]
    Dynamic,
    /// Some of these are no contacts of this workspace.
    #[error("invalid contacts")]
    Invalid(FieldProblems),
    /// Storage failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Puts contacts on the list, all or none; answers how many were not on it before.
pub async fn add_segment_contacts(tx: &mut Tx, command: &SegmentContacts) -> Result<u64, SegmentContactsError> {
    let (segment, contacts) = resolve(tx, command).await?;
    Ok(tx.segments().add_members(segment, &contacts).await?)
}

/// The numbers of what a command names, the segment held so that it is not removed meanwhile.
pub(super) async fn resolve(
    tx: &mut Tx,
    command: &SegmentContacts,
) -> Result<(SegmentNo, Vec<ContactNo>), SegmentContactsError> {
    let segment = tx.segments().find_for_update(command.segment).await?.ok_or(SegmentContactsError::NotFound)?;
    if segment.definition.kind() == SegmentKind::Dynamic {
        return Err(SegmentContactsError::Dynamic);
    }
    if command.contacts.is_empty() || command.contacts.len() > MAX_CONTACTS {
        let detail = format!("name 1 to {MAX_CONTACTS} contacts");
        return Err(SegmentContactsError::Invalid(FieldProblems::one("/contactIds", "out_of_range", detail)));
    }
    let mut problems = FieldProblems::default();
    let found = tx.segments().resolve(&command.contacts).await?;
    for (n, _) in found.iter().enumerate().filter(|(_, contact)| contact.is_none()) {
        problems.add(format!("/contactIds/{n}"), "not_found", "there is no such contact");
    }
    problems.into_result().map_err(SegmentContactsError::Invalid)?;
    Ok((segment.no, found.into_iter().flatten().collect()))
}
