//! `POST /u/{token}`

use super::page::Page;
use crate::extract::read_body;
use crate::problem::Problem;
use crate::state::ApiState;
use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, post, web};
use muster_domain::model::delivery::DeliveryKey;
use muster_domain::ports::store::{StoreError, StoreResult, in_tx};
use muster_domain::ports::tokens::TokenPurpose;
use muster_domain::usecases::unsubscribe as story;

/// A form with nothing of interest in it.
const BODY_BYTES: usize = 64 * 1024;

/// How often it is tried when other transactions come between.
const ATTEMPTS: usize = 5;

/// Unsubscribes the recipient of a mail: no mail of this tenant to that address begins once this has answered. Takes the
/// one-click request of mail programs (RFC 8058) and the form of the page alike, needs no key, and may be repeated.
#[utoipa::path(
    operation_id = "unsubscribe",
    tag = "public",
    params(("token" = String, Path, description = "From the link in the mail")),
    request_body(
        content_type = "application/x-www-form-urlencoded",
        content = Option<String>,
        description = "`List-Unsubscribe=One-Click` or anything else, also as multipart/form-data; not looked at"
    ),
    responses(
        (status = 200, description = "A page that says that it is done", body = String, content_type = "text/html"),
        (status = 404, description = "A page that says that the link does not work", body = String, content_type = "text/html"),
        (status = 413, description = "The body is larger than 64 KiB", body = crate::problem::ProblemBody,
         content_type = "application/problem+json"),
        (status = 503, description = "A page that asks to try again", body = String, content_type = "text/html")
    )
)]
#[post("/u/{token}")]
pub(crate) async fn unsubscribe(
    state: web::Data<ApiState>,
    token: web::Path<String>,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let Some(delivery) = state.tokens.open(TokenPurpose::Unsubscribe, &token) else {
        return Ok(Page::of_no_delivery(&token));
    };
    // Read to its end, so that the connection can be used again; what it says makes no difference.
    read_body(&request, payload.into_inner(), BODY_BYTES).await?;
    match persist(&state, delivery).await {
        Ok(()) => Ok(Page::Done.answer(StatusCode::OK)),
        // The status and the log are the problem's, the words are for a person.
        Err(error) => Ok(Page::Failed.dress(HttpResponse::from_error(Problem::Store(error)))),
    }
}

async fn persist(state: &ApiState, delivery: DeliveryKey) -> StoreResult<()> {
    let mut left = ATTEMPTS;
    loop {
        left -= 1;
        let told =
            in_tx(&*state.store, story::workspace_of(delivery), async |tx| story::unsubscribe(tx, delivery).await);
        match told.await {
            Ok(_) => return Ok(()),
            Err(StoreError::Conflict) if left > 0 => {}
            Err(error) => return Err(error),
        }
    }
}
