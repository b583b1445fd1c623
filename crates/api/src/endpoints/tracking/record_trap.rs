//! `GET /t/h/{token}`

use super::{keep, token};
use crate::endpoints::unsubscribing::page::Page;
use crate::state::ApiState;
use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, get, web};
use muster_domain::ports::tokens::TokenPurpose;
use muster_domain::usecases::record_engagement::Place;

/// Notes that the link of a mail was followed that no person sees. There is nothing behind it.
#[utoipa::path(
    path = "/t/h/{token}",
    operation_id = "record_trap",
    tag = "public",
    params(("token" = String, Path, description = "From the hidden link in the mail")),
    responses(
        (status = 204, description = "Stored: whoever asks for it is a program, and so is what it does with the mail within two seconds"),
        (status = 404, description = "A page that says that the link does not work", body = String, content_type = "text/html"),
        (status = 503, description = "It is not stored yet", body = String, content_type = "text/plain")
    )
)]
#[get("/t/h/{token:.*}")]
pub(crate) async fn record_trap(state: web::Data<ApiState>, request: HttpRequest) -> HttpResponse {
    let Some(delivery) = state.tokens.open(TokenPurpose::Trap, token(&request)) else {
        return Page::NoSuchLink.answer(StatusCode::NOT_FOUND);
    };
    if keep(&state, &request, delivery, Place::Trap).await.is_err() {
        return HttpResponse::ServiceUnavailable()
            .insert_header((header::RETRY_AFTER, "5"))
            .insert_header((header::CONTENT_TYPE, "text/plain; charset=utf-8"))
            .body("Not available at the moment.\n");
    }
    HttpResponse::NoContent()
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header(("x-robots-tag", "noindex, nofollow"))
        .finish()
}
