//! The contacts that a request names.

use crate::extract::{Fields, FromFields, Item};
use crate::problem::Problem;
use muster_domain::model::ids::{ContactId, SegmentId};
use muster_domain::usecases::add_segment_contacts::{SegmentContacts, SegmentContactsError};
use utoipa::ToSchema;

/// Contacts of this workspace.
#[derive(ToSchema)]
#[schema(as = SegmentContacts, rename_all = "camelCase")]
pub(crate) struct MembersRequest {
    /// Their ids; when one is unknown nothing is done.
    #[schema(value_type = Vec<Uuid>, min_items = 1, max_items = 1000)]
    contact_ids: Vec<ContactId>,
}

impl FromFields for MembersRequest {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let contact_ids = fields.required("contactIds", |list| list.list(1..=1000, contact_id));
        Some(Self { contact_ids: contact_ids? })
    }
}

fn contact_id(item: Item<'_>) -> Option<ContactId> {
    item.uuid().map(ContactId)
}

impl MembersRequest {
    pub(super) fn of(&self, segment: SegmentId) -> SegmentContacts {
        SegmentContacts { segment, contacts: self.contact_ids.clone() }
    }
}

impl From<SegmentContactsError> for Problem {
    fn from(error: SegmentContactsError) -> Self {
        match error {
            SegmentContactsError::NotFound => Self::NotFound,
            SegmentContactsError::Dynamic => Self::Conflict("The members of a dynamic segment follow from its rules."),
            SegmentContactsError::Invalid(problems) => Self::Invalid(problems),
            SegmentContactsError::Store(error) => Self::Store(error),
        }
    }
}
