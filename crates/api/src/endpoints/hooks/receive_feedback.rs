//! `POST /hooks/{provider}/{token}`

use super::signed::Signed;
use crate::extract::{read_body, require_media_type};
use crate::limits::BODY_BYTES;
use crate::problem::Problem;
use crate::state::ApiState;
use actix_web::{HttpRequest, HttpResponse, post, web};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use muster_domain::model::feedback::Feedback;
use muster_domain::model::hook::HookKey;
use muster_domain::ports::feedback::{FeedbackFormat, Unreadable};
use muster_domain::ports::store::{StoreError, Tx, in_tx};
use muster_domain::usecases::receive_feedback::{
    ReceiveError, ReceiveFeedback, Received, admit, receive_feedback as story, workspace_of,
};
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;

/// How often a report is tried when other transactions come between.
const ATTEMPTS: usize = 5;

/// Events, as whoever writes the sending side reports them.
#[derive(ToSchema)]
#[schema(as = Events)]
#[expect(dead_code, reason = "documents what the form `json` reads")]
pub(crate) struct EventsRequest {
    #[schema(min_items = 1, max_items = 100)]
    events: Vec<EventRequest>,
}

/// What happened to one mail.
#[derive(ToSchema)]
#[schema(as = Event, rename_all = "camelCase")]
#[expect(dead_code, reason = "documents what the form `json` reads")]
struct EventRequest {
    /// `delivered`, `bounced`, `complained` or `replied`.
    #[schema(example = "bounced")]
    r#type: String,
    /// The Message-ID of the mail; this or `returnPath` is needed.
    #[schema(max_length = 1000, example = "<4k…q2@example.com>")]
    message_id: Option<String>,
    /// The address that the mail was sent with as its return path.
    #[schema(max_length = 1000)]
    return_path: Option<String>,
    /// When it happened; now unless given.
    occurred_at: Option<DateTime<Utc>>,
    /// Of a bounce: `hard`, `soft` or `blocked`; read from `status` and `diagnostic` unless given.
    #[schema(example = "hard")]
    bounce_class: Option<String>,
    /// Of a bounce: its enhanced status code (RFC 3463).
    #[schema(example = "5.1.1")]
    status: Option<String>,
    /// Of a bounce: what the server said. Not kept.
    #[schema(max_length = 1000, example = "550 5.1.1 no such user")]
    diagnostic: Option<String>,
}

/// What became of the reports in a message.
#[derive(Debug, Clone, Copy, Default, Serialize, ToSchema)]
#[schema(as = Feedback)]
pub(crate) struct Tally {
    /// Those that count from now on.
    counted: usize,
    /// Those that counted before.
    repeated: usize,
    /// Those about no mail of this workspace. Nothing has come of them.
    unknown: usize,
}

/// Takes in what a mail server or a provider reports of mails. `mta` takes whole messages: bounces (RFC 3464), complaints
/// (RFC 5965) and replies; `json` takes events. The message is signed as Standard Webhooks are, with the hook's secret, at
/// most five minutes ago. It may be sent again under the same `webhook-id` until it is answered with 200: nothing counts
/// twice.
#[utoipa::path(
    operation_id = "receive_feedback",
    tag = "public",
    params(
        ("provider" = String, Path, description = "The form of the reports: `mta` or `json`"),
        ("token" = String, Path, description = "From the address of the hook"),
        ("webhook-id" = String, Header, description = "Names the message, the same however often it is sent; no dots"),
        ("webhook-timestamp" = i64, Header, description = "When it was signed, in seconds since 1970"),
        ("webhook-signature" = String, Header,
         description = "`v1,` and the HMAC-SHA256 of `<id>.<timestamp>.<body>` in base64; several are parted by blanks")
    ),
    request_body(content((EventsRequest = "application/json"), (String = "message/rfc822"))),
    responses(
        (status = 200, description = "Taken in, for good", body = Tally),
        (status = 400, description = "The body is not JSON", body = crate::problem::ProblemBody,
         content_type = "application/problem+json"),
        (status = 401, description = "Not signed with the hook's secret, or not within five minutes",
         body = crate::problem::ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "No such hook, or no such form", body = crate::problem::ProblemBody,
         content_type = "application/problem+json"),
        (status = 409, description = "The `webhook-id` came with another body before", body = crate::problem::ProblemBody,
         content_type = "application/problem+json"),
        (status = 413, description = "The body is larger than 1 MiB; what a report returns of a mail may be cut off",
         body = crate::problem::ProblemBody, content_type = "application/problem+json"),
        (status = 415, description = "The body is of another kind", body = crate::problem::ProblemBody,
         content_type = "application/problem+json"),
        (status = 422, description = "Invalid events, all of them named; none counts", body = crate::problem::ProblemBody,
         content_type = "application/problem+json"),
        (status = 503, description = "Not available at the moment, or too many at once; send it again, see Retry-After",
         body = crate::problem::ProblemBody, content_type = "application/problem+json")
    )
)]
#[post("/hooks/{provider}/{token}")]
pub(crate) async fn receive_feedback(
    state: web::Data<ApiState>,
    address: web::Path<(String, String)>,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse, Problem> {
    let (provider, token) = address.into_inner();
    let format = state.feedback.iter().find(|format| format.provider() == provider).ok_or(Problem::NotFound)?;
    let hook = state.hooks.open(&token).ok_or(Problem::NotFound)?;
    let reading = state.intake.read()?;
    let body = read_body(&request, payload.into_inner(), BODY_BYTES).await?;
    let signed = Signed::of(&request)?;
    if !state.hooks.is_signed(hook, signed.message(&body)) {
        return Err(Problem::Unsigned("the signature is not this hook's"));
    }
    require_media_type(&request, &[format.media_type()])?;
    let working = state.intake.work().await?;
    let reports = read(Arc::clone(format), body.clone()).await?;
    persist(&state, hook, async |tx| admit(tx, hook, signed.at()).await).await?;
    let mut tally = Tally::default();
    for (place, feedback) in reports.iter().enumerate() {
        // Each in a transaction of its own: what came of the first stands when the second has to be sent again.
        let command = ReceiveFeedback { hook, receipt: signed.receipt(&body, place), feedback };
        match persist(&state, hook, async |tx| story(tx, &*state.tokens, command).await).await? {
            Received::Counted => tally.counted += 1,
            Received::Repeated => tally.repeated += 1,
            Received::Unknown => tally.unknown += 1,
        }
    }
    drop((reading, working));
    Ok(HttpResponse::Ok().json(tally))
}

/// Off the threads that serve: a large report takes a while.
async fn read(format: Arc<dyn FeedbackFormat>, body: Bytes) -> Result<Vec<Feedback>, Problem> {
    let read = tokio::task::spawn_blocking(move || format.read(&body)).await.map_err(Problem::internal)?;
    Ok(read?)
}

async fn persist<T>(
    state: &ApiState,
    hook: HookKey,
    told: impl AsyncFn(&mut Tx) -> Result<T, ReceiveError>,
) -> Result<T, Problem> {
    let mut left = ATTEMPTS;
    loop {
        left -= 1;
        match in_tx(&*state.store, workspace_of(hook), async |tx| told(tx).await).await {
            Err(ReceiveError::Store(StoreError::Conflict)) if left > 0 => {}
            // Who reports is no caller to argue with: it tries again.
            Err(ReceiveError::Store(StoreError::Conflict)) => return Err(Problem::Unavailable("too much at once")),
            other => return Ok(other?),
        }
    }
}

impl From<ReceiveError> for Problem {
    fn from(error: ReceiveError) -> Self {
        match error {
            ReceiveError::NoSuchHook => Self::NotFound,
            ReceiveError::OutOfTime => Self::Unsigned("it was signed more than five minutes ago, or in the future"),
            ReceiveError::OtherContent => Self::Conflict("This webhook-id came with another body before."),
            ReceiveError::Store(error) => Self::Store(error),
        }
    }
}

impl From<Unreadable> for Problem {
    fn from(error: Unreadable) -> Self {
        match error {
            Unreadable::Malformed(reason) => Self::MalformedJson(reason),
            Unreadable::Invalid(problems) => Self::Invalid(problems),
        }
    }
}
