//! `GET /api/contacts`

use super::contact::ContactResponse;
use crate::extract::{AudienceRead, Can, Fields, FromFields, Listing, Page, PageParams, Params};
use crate::transact::Answer;
use actix_web::{HttpResponse, get};
use muster_domain::model::address::EmailAddress;
use muster_domain::model::contact::edit::check_tag;
use muster_domain::ports::contacts::ContactFilter;
use muster_domain::usecases::list_contacts as story;
use utoipa::IntoParams;

/// Which contacts are asked for.
pub(crate) struct ListQuery {
    page: Page,
    filter: ContactFilter,
}

/// The filters, for the documentation.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only describes what `ListQuery` reads")]
pub(crate) struct FilterParams {
    /// The one with this e-mail address, in upper or lower case.
    #[param(format = "email", max_length = 254)]
    email: Option<String>,
    /// Those with this tag.
    tag: Option<String>,
}

impl FromFields for ListQuery {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        let page = Page::read(fields);
        let email = fields.optional("email", |value| value.parsed(254, EmailAddress::parse));
        let tag = fields.optional("tag", |value| value.parsed(100, check_tag));
        let filter = ContactFilter { email_key: email?.map(|email| email.key()), tag: tag? };
        Some(Self { page: page?, filter })
    }
}

/// The contacts of this workspace, the oldest first; erased ones are gone.
#[utoipa::path(
    operation_id = "list_contacts",
    tag = "contacts",
    params(FilterParams, PageParams),
    responses((status = 200, description = "The contacts", body = Listing<ContactResponse>))
)]
#[get("")]
pub(crate) async fn list_contacts(caller: Can<AudienceRead>, query: Params<ListQuery>) -> Answer {
    let ListQuery { page, filter } = &query.0;
    let cursors = &caller.state.cursors;
    let after = page.after(cursors, "contacts")?;
    let contacts = caller.read(async |tx| story::list_contacts(tx, filter, after, page.probe()).await).await?;
    let listing = page.listing(cursors, "contacts", contacts, |contact| contact.no, ContactResponse::from)?;
    Ok(HttpResponse::Ok().json(listing))
}
