//! `GET /t/c/{token}`

use super::passage::passage;
use super::{keep, token};
use crate::endpoints::unsubscribing::page::Page;
use crate::state::ApiState;
use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, get, web};
use muster_domain::usecases::record_engagement::Place;

/// Notes that a link of a mail was followed, and leads to the address that stood in that mail and to no other.
#[utoipa::path(
    path = "/t/c/{token}",
    operation_id = "record_click",
    tag = "public",
    params(("token" = String, Path, description = "From the link in the mail")),
    responses(
        (status = 302, description = "The click is stored, unless its sender asks not to be followed (`Sec-GPC` or `DNT`); on to the address of the link",
         headers(("Location" = String, description = "The address of the link"))),
        (status = 404, description = "A page that says that the link does not work", body = String, content_type = "text/html"),
        (status = 503, description = "A page that goes on to the address of the link; the click is not stored yet",
         body = String, content_type = "text/html")
    )
)]
#[get("/t/c/{token:.*}")]
pub(crate) async fn record_click(state: web::Data<ApiState>, request: HttpRequest) -> HttpResponse {
    let Some(link) = state.tokens.open_link(token(&request)) else {
        return Page::NoSuchLink.answer(StatusCode::NOT_FOUND);
    };
    if keep(&state, &request, link.delivery, Place::Link(link.link)).await.is_err() {
        return passage(&link.target);
    }
    HttpResponse::Found()
        .insert_header((header::LOCATION, link.target))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header((header::REFERRER_POLICY, "no-referrer"))
        .insert_header(("x-robots-tag", "noindex, nofollow"))
        .finish()
}
