//! `GET /api/contacts/{id}`

use super::contact::ContactResponse;
use crate::extract::{AudienceRead, Can, InPath};
use crate::problem::Problem;
use crate::transact::Answer;
use actix_web::{HttpResponse, get};
use muster_domain::model::ids::ContactId;
use muster_domain::usecases::get_contact as story;

/// One contact.
#[utoipa::path(
    operation_id = "get_contact",
    tag = "contacts",
    params(("id" = Uuid, Path, description = "The contact")),
    responses((status = 200, description = "The contact", body = ContactResponse))
)]
#[get("/{id}")]
pub(crate) async fn get_contact(caller: Can<AudienceRead>, InPath(id): InPath<ContactId>) -> Answer {
    let contact = caller.read(async |tx| story::get_contact(tx, id).await).await?.ok_or(Problem::NotFound)?;
    Ok(HttpResponse::Ok().json(ContactResponse::from(contact)))
}
