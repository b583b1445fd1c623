//! `GET /u/{token}`

use super::page::Page;
use crate::state::ApiState;
use actix_web::http::StatusCode;
use actix_web::{HttpResponse, get, web};
use muster_domain::ports::tokens::TokenPurpose;

/// Shows the recipient of a mail a page with a button that unsubscribes. Changes nothing: mail scanners follow links.
#[utoipa::path(
    operation_id = "show_unsubscribe",
    tag = "public",
    params(("token" = String, Path, description = "From the link in the mail")),
    responses(
        (status = 200, description = "The page", body = String, content_type = "text/html"),
        (status = 404, description = "A page that says that the link does not work", body = String, content_type = "text/html")
    )
)]
#[get("/u/{token}")]
pub(crate) async fn show_unsubscribe(state: web::Data<ApiState>, token: web::Path<String>) -> HttpResponse {
    match state.tokens.open(TokenPurpose::Unsubscribe, &token) {
        Some(_) => Page::Question.answer(StatusCode::OK),
        None => Page::of_no_delivery(&token),
    }
}
