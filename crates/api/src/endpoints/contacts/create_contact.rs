//! `POST /api/contacts`

use super::contact::ContactResponse;
use super::fields::{ContactFields, NewRequest};
use crate::extract::{AudienceWrite, Body, Can, Fields, FromFields, Item, Params};
use crate::problem::Problem;
use crate::reply::Reply;
use crate::transact::Answer;
use actix_web::post;
use muster_domain::usecases::create_contact::{self as story, CreateContact, CreateContactError, Upserted};
use utoipa::IntoParams;

/// What to do when the address exists.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct CreateQuery {
    /// Change the contact that has the address already, instead of 409. What is not mentioned stays.
    #[param(default = false, required = false)]
    upsert: bool,
}

impl FromFields for CreateQuery {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let upsert = fields.or("upsert", false, Item::boolean);
        Some(Self { upsert: upsert? })
    }
}

impl From<CreateContactError> for Problem {
    fn from(error: CreateContactError) -> Self {
        match error {
            CreateContactError::Invalid(problems) => Self::Invalid(problems),
            CreateContactError::AlreadyExists => Self::Conflict("A contact of this workspace has this e-mail address."),
            CreateContactError::Store(error) => Self::Store(error),
        }
    }
}

/// Makes a contact, or with `?upsert=true` changes the one that has the address.
#[utoipa::path(
    operation_id = "create_contact",
    tag = "contacts",
    params(CreateQuery),
    request_body = ContactFields,
    responses(
        (status = 201, description = "The new contact", body = ContactResponse, headers(("Location" = String))),
        (status = 200, description = "The contact that had the address, changed", body = ContactResponse)
    )
)]
#[post("")]
pub(crate) async fn create_contact(
    caller: Can<AudienceWrite>,
    query: Params<CreateQuery>,
    body: Body<NewRequest>,
) -> Answer {
    caller
        .write(&body.repeat, async |tx| -> Result<Reply, Problem> {
            let command = CreateContact { edit: body.value.0.clone(), upsert: query.upsert };
            match story::create_contact(tx, command).await? {
                Upserted::Created(contact) => {
                    Reply::created(format!("/api/contacts/{}", contact.id), &ContactResponse::from(contact))
                }
                Upserted::Updated(contact) => Reply::ok(&ContactResponse::from(contact)),
            }
        })
        .await
}
