//! The catcher's JSON, for tests and scripts.

use super::content;
use super::mailbox::{CaughtMail, Search};
use super::web::{State, from_elsewhere, instant, message, rfc3339};
use actix_web::http::StatusCode;
use actix_web::{HttpRequest, HttpResponse, error, web};
use serde::{Deserialize, Serialize};

/// Messages on a page when the request names no limit.
const USUAL_LIMIT: usize = 50;
/// Messages on a page at most.
const LARGEST_LIMIT: usize = 1000;

/// `GET /api/messages`: texts are found anywhere without regard to case, `messageId` is exact.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ListQuery {
    to: Option<String>,
    subject: Option<String>,
    message_id: Option<String>,
    limit: Option<usize>,
    offset: Option<usize>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MessageList<'a> {
    data: Vec<MessageSummary<'a>>,
    total: usize,
    limit: usize,
    offset: usize,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MessageSummary<'a> {
    number: u64,
    received_at: String,
    sender: &'a str,
    recipients: &'a [String],
    subject: &'a str,
    message_id: Option<&'a str>,
    size: u64,
    truncated: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MessageDetail<'a> {
    #[serde(flatten)]
    summary: MessageSummary<'a>,
    headers: Vec<Header<'a>>,
    text: Option<&'a str>,
    html: Option<&'a str>,
    attachments: Vec<AttachmentSummary<'a>>,
}

#[derive(Serialize)]
struct Header<'a> {
    name: &'a str,
    value: &'a str,
}

#[derive(Serialize)]
struct AttachmentSummary<'a> {
    name: &'a str,
    size: usize,
}

#[derive(Serialize)]
struct Problem<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    title: &'a str,
    status: u16,
    code: &'static str,
    detail: &'a str,
}

/// `GET /api/messages`.
pub(super) async fn list_messages(state: State, query: web::Query<ListQuery>) -> HttpResponse {
    let query = query.into_inner();
    let limit = query.limit.unwrap_or(USUAL_LIMIT);
    if !(1..=LARGEST_LIMIT).contains(&limit) {
        let detail = format!("limit is a number from 1 to {LARGEST_LIMIT}.");
        return problem(StatusCode::BAD_REQUEST, "malformed_query", &detail);
    }
    let offset = query.offset.unwrap_or(0);
    let found = state.mailbox.search(&Search {
        either: None,
        to: query.to,
        subject: query.subject,
        message_id: query.message_id,
        offset,
        limit,
    });
    let data = found.mails.iter().map(|mail| summary(mail)).collect();
    HttpResponse::Ok().json(MessageList { data, total: found.total, limit, offset })
}

/// `GET /api/messages/{number}`.
pub(super) async fn show_message(state: State, request: HttpRequest) -> HttpResponse {
    let Some(mail) = message(&state, &request) else {
        return problem(StatusCode::NOT_FOUND, "not_found", "No message of this number is kept.");
    };
    let content = content::read(&mail.source);
    let headers = content.headers.iter().map(|(name, value)| Header { name, value }).collect();
    let attachments = content.attachments.iter();
    HttpResponse::Ok().json(MessageDetail {
        summary: summary(&mail),
        headers,
        text: content.text.as_deref(),
        html: content.html.as_deref(),
        attachments: attachments.map(|part| AttachmentSummary { name: &part.name, size: part.size }).collect(),
    })
}

/// `DELETE /api/messages`: forgets everything and starts the counts again.
pub(super) async fn delete_messages(state: State, request: HttpRequest) -> HttpResponse {
    if let Some(refusal) = from_elsewhere(&request) {
        return refusal;
    }
    state.mailbox.clear();
    HttpResponse::NoContent().finish()
}

/// `GET /api/stats`.
pub(super) async fn show_stats(state: State) -> HttpResponse {
    HttpResponse::Ok().json(state.mailbox.stats())
}

/// Any other address below `/api`.
pub(super) async fn not_found() -> HttpResponse {
    problem(StatusCode::NOT_FOUND, "not_found", "Nothing is at this address.")
}

/// A query that does not parse; the reason names the parameter.
pub(super) fn bad_query(error: error::QueryPayloadError, _: &HttpRequest) -> error::Error {
    let response = problem(StatusCode::BAD_REQUEST, "malformed_query", &error.to_string());
    error::InternalError::from_response(error, response).into()
}

/// An RFC 9457 answer.
pub(super) fn problem(status: StatusCode, code: &'static str, detail: &str) -> HttpResponse {
    let title = status.canonical_reason().unwrap_or_default();
    let problem = Problem { kind: "about:blank", title, status: status.as_u16(), code, detail };
    match serde_json::to_vec(&problem) {
        Ok(body) => HttpResponse::build(status).content_type("application/problem+json").body(body),
        Err(_) => HttpResponse::build(status).finish(),
    }
}

fn summary(mail: &CaughtMail) -> MessageSummary<'_> {
    MessageSummary {
        number: mail.number,
        received_at: rfc3339(instant(mail)),
        sender: &mail.sender,
        recipients: &mail.recipients,
        subject: &mail.subject,
        message_id: mail.message_id.as_deref(),
        size: mail.size,
        truncated: mail.is_truncated(),
    }
}
