//! `GET /t/o/{token}.gif`

use super::{keep, token};
use crate::state::ApiState;
use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, get, web};
use muster_domain::ports::tokens::TokenPurpose;
use muster_domain::usecases::record_engagement::Place;

/// One transparent pixel.
const GIF: &[u8; 43] =
    b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xff\xff\xff!\xf9\x04\x01\0\0\0\0,\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0;";

/// Notes that a mail was opened. The image is the same whatever the token is.
#[utoipa::path(
    path = "/t/o/{token}.gif",
    operation_id = "record_open",
    tag = "public",
    params(("token" = String, Path, description = "From the mail")),
    responses(
        (status = 200, description = "An image of one pixel; the open is stored, if the token is one of ours and its sender does not ask not to be followed (`Sec-GPC` or `DNT`)",
         body = String, content_type = "image/gif"),
        (status = 503, description = "The same image; the open is not stored yet", body = String, content_type = "image/gif")
    )
)]
#[get("/t/o/{token:.*}")]
pub(crate) async fn record_open(state: web::Data<ApiState>, request: HttpRequest) -> HttpResponse {
    let delivery = token(&request).strip_suffix(".gif").and_then(|token| state.tokens.open(TokenPurpose::Open, token));
    let status = match delivery {
        Some(delivery) if keep(&state, &request, delivery, Place::Image).await.is_err() => {
            StatusCode::SERVICE_UNAVAILABLE
        }
        _ => StatusCode::OK,
    };
    let mut answer = HttpResponse::build(status);
    if status == StatusCode::SERVICE_UNAVAILABLE {
        answer.insert_header((header::RETRY_AFTER, "5"));
    }
    answer
        .insert_header((header::CONTENT_TYPE, "image/gif"))
        .insert_header((header::CACHE_CONTROL, "no-store, no-cache, must-revalidate, private, max-age=0"))
        .insert_header((header::PRAGMA, "no-cache"))
        .insert_header((header::EXPIRES, "0"))
        // Mail is read on pages of other origins.
        .insert_header(("cross-origin-resource-policy", "cross-origin"))
        .insert_header(("x-robots-tag", "noindex, nofollow"))
        .body(GIF.as_slice())
}
