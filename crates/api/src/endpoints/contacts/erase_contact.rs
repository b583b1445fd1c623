//! `DELETE /api/contacts/{id}`

use crate::extract::{AudienceWrite, Can, InPath, Repeat};
use crate::problem::Problem;
use crate::reply::Reply;
use crate::transact::Answer;
use actix_web::delete;
use muster_domain::model::ids::ContactId;
use muster_domain::usecases::erase_contact::{self as story, EraseContact, EraseContactError};

impl From<EraseContactError> for Problem {
    fn from(error: EraseContactError) -> Self {
        match error {
            EraseContactError::NotFound => Self::NotFound,
            EraseContactError::Store(error) => Self::Store(error),
        }
    }
}

/// Erases a person for good. The address, all fields, tags and memberships are gone, stored answers that mention it and
/// what mail servers said about it too; campaigns go on without it and keep their figures. After this answer no delivery
/// to it begins.
///
/// A keyed hash of the address stays on the tenant's suppression list, as `erased` or with the reason it was there for
/// before: whoever is imported again under it gets no mail. `DELETE /api/suppressions?email=` lifts that, when the
/// person asks for mail again.
#[utoipa::path(
    operation_id = "erase_contact",
    tag = "contacts",
    params(("id" = Uuid, Path, description = "The contact")),
    responses((status = 204, description = "Erased"))
)]
#[delete("/{id}")]
pub(crate) async fn erase_contact(caller: Can<AudienceWrite>, InPath(id): InPath<ContactId>) -> Answer {
    caller
        .write(&Repeat::none(), async |tx| -> Result<Reply, Problem> {
            story::erase_contact(tx, EraseContact { id }).await?;
            Reply::no_content()
        })
        .await
}
