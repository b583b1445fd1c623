//! `PATCH /api/contacts/{id}`

use super::contact::ContactResponse;
use super::fields::{ContactFields, EditRequest};
use crate::extract::{AudienceWrite, Body, Can, InPath};
use crate::problem::Problem;
use crate::reply::Reply;
use crate::transact::Answer;
use actix_web::patch;
use muster_domain::model::ids::ContactId;
use muster_domain::usecases::change_contact::{self as story, ChangeContact, ChangeContactError};

impl From<ChangeContactError> for Problem {
    fn from(error: ChangeContactError) -> Self {
        match error {
            ChangeContactError::NotFound => Self::NotFound,
            ChangeContactError::Invalid(problems) => Self::Invalid(problems),
            ChangeContactError::AddressTaken => {
                Self::Conflict("Another contact of this workspace has this e-mail address.")
            }
            ChangeContactError::Store(error) => Self::Store(error),
        }
    }
}

/// Changes a contact: what is not mentioned stays, null clears. Tags are replaced as a whole, custom fields one by one.
#[utoipa::path(
    operation_id = "change_contact",
    tag = "contacts",
    params(("id" = Uuid, Path, description = "The contact")),
    request_body = ContactFields,
    responses(
        (status = 200, description = "The contact as it is now", body = ContactResponse),
        (status = 409, description = "Another contact has the address", body = crate::problem::ProblemBody,
            content_type = "application/problem+json")
    )
)]
#[patch("/{id}")]
pub(crate) async fn change_contact(
    caller: Can<AudienceWrite>,
    InPath(id): InPath<ContactId>,
    body: Body<EditRequest>,
) -> Answer {
    caller
        .write(&body.repeat, async |tx| -> Result<Reply, Problem> {
            let command = ChangeContact { id, edit: body.value.0.clone() };
            Reply::ok(&ContactResponse::from(story::change_contact(tx, command).await?))
        })
        .await
}
