//! Every way in which a request can fail, and the one form in which that is told: RFC 9457 problem details.
//!
//! Use cases' errors turn into a [`Problem`] in their endpoint's file. Server errors carry their cause for the log and
//! tell the caller nothing of it.

use actix_web::http::{StatusCode, header};
use actix_web::{HttpResponse, ResponseError};
use muster_domain::model::lifecycle::InvalidTransition;
use muster_domain::model::principal::Scope;
use muster_domain::model::problem::{FieldProblem, FieldProblems};
use muster_domain::ports::store::StoreError;
use serde::Serialize;
use utoipa::ToSchema;

/// The media type of every failure (RFC 9457 section 3).
pub const PROBLEM_JSON: &str = "application/problem+json";

/// How long a caller should wait before it repeats a request that storage could not serve.
const RETRY_AFTER_SECONDS: &str = "2";

/// How many bad fields are listed; a body of junk would otherwise be answered by ten times its size.
const LISTED_FIELDS: usize = 1000;

/// Why a request was refused or failed. One variant for each documented code.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// The body is not JSON.
    #[error("the body is not JSON: {0}")]
    MalformedJson(String),
    /// No token, or one that is not valid.
    #[error("a valid API key is needed")]
    Unauthorized,
    /// A message whose signature is missing or not good.
    #[error("not signed: {0}")]
    Unsigned(&'static str),
    /// The key lacks a scope.
    #[error("the key lacks the scope {}", .0.as_str())]
    Forbidden(Scope),
    /// There is nothing here, or it belongs to somebody else.
    #[error("not found")]
    NotFound,
    /// The path exists, not with this method.
    #[error("method not allowed")]
    MethodNotAllowed {
        /// What would be allowed, as the `Allow` header says it.
        allow: String,
    },
    /// The body did not arrive in time.
    #[error("the request took too long to arrive")]
    RequestTimeout,
    /// The campaign's status forbids it.
    #[error(transparent)]
    InvalidTransition(#[from] InvalidTransition),
    /// It cannot be done beside what is there, or beside what is being done.
    #[error("conflict: {0}")]
    Conflict(&'static str),
    /// `If-Match` names a version that is not current.
    #[error("the version in If-Match is not the current one")]
    VersionMismatch,
    /// The body is too large.
    #[error("the body is larger than {limit} bytes")]
    PayloadTooLarge {
        /// How large it may be.
        limit: usize,
    },
    /// The path with its query is too long.
    #[error("the address is too long")]
    UriTooLong,
    /// The body is of a kind that is not read here.
    #[error("the body must be {expected}")]
    UnsupportedMediaType {
        /// What is read here.
        expected: &'static str,
    },
    /// The request is well-formed and says something impossible.
    #[error("invalid fields")]
    Invalid(FieldProblems),
    /// The idempotency key was used for another request.
    #[error("the idempotency key was used for another request")]
    IdempotencyKeyReused,
    /// The headers are too large.
    #[error("the headers are too large")]
    HeadersTooLarge,
    /// Storage refused, failed or is away.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Something needed to answer is away for the moment.
    #[error("unavailable: {0}")]
    Unavailable(&'static str),
    /// A failure that no caller can mend.
    #[error("internal error")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Problem {
    /// A failure that no caller can mend; its cause goes to the log and nowhere else.
    pub fn internal(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Internal(cause.into())
    }

    /// A single bad field.
    pub fn invalid(pointer: &str, code: &str, detail: &str) -> Self {
        Self::Invalid(FieldProblems::one(pointer, code, detail))
    }

    /// The status and the code that clients match on.
    pub fn kind(&self) -> (StatusCode, &'static str) {
        match self {
            Self::MalformedJson(_) => (StatusCode::BAD_REQUEST, "malformed_json"),
            Self::Unauthorized | Self::Unsigned(_) => (StatusCode::UNAUTHORIZED, "unauthorized"),
            Self::Forbidden(_) => (StatusCode::FORBIDDEN, "forbidden"),
            Self::NotFound => (StatusCode::NOT_FOUND, "not_found"),
            Self::MethodNotAllowed { .. } => (StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed"),
            Self::RequestTimeout => (StatusCode::REQUEST_TIMEOUT, "request_timeout"),
            Self::InvalidTransition(_) => (StatusCode::CONFLICT, "invalid_transition"),
            Self::Conflict(_) | Self::Store(StoreError::Conflict) => (StatusCode::CONFLICT, "conflict"),
            Self::VersionMismatch => (StatusCode::PRECONDITION_FAILED, "version_mismatch"),
            Self::PayloadTooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "payload_too_large"),
            Self::UriTooLong => (StatusCode::URI_TOO_LONG, "uri_too_long"),
            Self::UnsupportedMediaType { .. } => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type"),
            Self::Invalid(_) => (StatusCode::UNPROCESSABLE_ENTITY, "validation_failed"),
            Self::IdempotencyKeyReused => (StatusCode::UNPROCESSABLE_ENTITY, "idempotency_key_reused"),
            Self::HeadersTooLarge => (StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "headers_too_large"),
            Self::Store(StoreError::Unavailable(_)) | Self::Unavailable(_) => {
                (StatusCode::SERVICE_UNAVAILABLE, "unavailable")
            }
            Self::Store(StoreError::Corrupt { .. } | StoreError::Internal(_)) | Self::Internal(_) => {
                (StatusCode::INTERNAL_SERVER_ERROR, "internal")
            }
        }
    }

    /// For people: what went wrong and what would be right. Nothing of a server error's cause.
    fn detail(&self) -> String {
        match self {
            Self::MalformedJson(reason) => format!("The body is not valid JSON: {reason}."),
            Self::Unauthorized => "Send a valid API key: Authorization: Bearer mk_….".to_owned(),
            Self::Unsigned(reason) => format!("Sign the message as Standard Webhooks do: {reason}."),
            Self::Forbidden(scope) => format!("This needs a key with the scope {}.", scope.as_str()),
            Self::NotFound => "There is nothing at this address for this key.".to_owned(),
            Self::MethodNotAllowed { allow } => format!("Allowed here: {allow}."),
            Self::RequestTimeout => "The request took too long to arrive.".to_owned(),
            Self::InvalidTransition(refused) => {
                format!("A {} campaign does not allow {}.", refused.from.as_str(), refused.action.as_str())
            }
            Self::Conflict(detail) => (*detail).to_owned(),
            Self::Store(StoreError::Conflict) => {
                "Others changed the same things at the same time; try again.".to_owned()
            }
            Self::VersionMismatch => "It was changed since: read it again and send its current ETag.".to_owned(),
            Self::PayloadTooLarge { limit } => format!("A body here has at most {limit} bytes."),
            Self::UriTooLong => "An address here has at most 8192 bytes.".to_owned(),
            Self::UnsupportedMediaType { expected } => format!("Send the body as {expected}, not compressed."),
            Self::Invalid(problems) if problems.0.len() == 1 => "One field is not valid.".to_owned(),
            Self::Invalid(problems) => format!("{} fields are not valid.", problems.0.len()),
            Self::IdempotencyKeyReused => "This Idempotency-Key came with another request before.".to_owned(),
            Self::HeadersTooLarge => "The headers here have at most 16384 bytes.".to_owned(),
            Self::Store(StoreError::Unavailable(_)) => "Not available at the moment; try again soon.".to_owned(),
            Self::Unavailable(reason) => format!("Not available at the moment: {reason}."),
            Self::Store(StoreError::Corrupt { .. } | StoreError::Internal(_)) | Self::Internal(_) => {
                "Something went wrong on our side; the request id finds it in the log.".to_owned()
            }
        }
    }

    /// The members of the answer.
    pub fn body(&self) -> ProblemBody {
        let (status, code) = self.kind();
        let mut body = ProblemBody {
            problem_type: format!("urn:muster:problem:{code}"),
            title: title(code).to_owned(),
            status: status.as_u16(),
            detail: self.detail(),
            code: code.to_owned(),
            errors: None,
            from: None,
            action: None,
            allowed: None,
        };
        match self {
            Self::Invalid(problems) => {
                body.errors = Some(problems.0.iter().take(LISTED_FIELDS).map(BadField::from).collect());
            }
            Self::InvalidTransition(refused) => {
                body.from = Some(refused.from.as_str().to_owned());
                body.action = Some(refused.action.as_str().to_owned());
                body.allowed = Some(refused.allowed.iter().map(|action| action.as_str().to_owned()).collect());
            }
            _ => {}
        }
        body
    }

    /// Headers that belong to the answer, beside its type.
    pub fn headers(&self) -> Vec<(header::HeaderName, String)> {
        match self {
            Self::Unauthorized => vec![(header::WWW_AUTHENTICATE, "Bearer".to_owned())],
            // RFC 9110 wants a scheme named; Standard Webhooks have registered none.
            Self::Unsigned(_) => vec![(header::WWW_AUTHENTICATE, "StandardWebhooks".to_owned())],
            Self::MethodNotAllowed { allow } => vec![(header::ALLOW, allow.clone())],
            Self::Store(StoreError::Unavailable(_)) | Self::Unavailable(_) => {
                vec![(header::RETRY_AFTER, RETRY_AFTER_SECONDS.to_owned())]
            }
            _ => Vec::new(),
        }
    }
}

/// What a code says in words, the same for every occurrence (RFC 9457 section 3.1.4).
fn title(code: &str) -> &'static str {
    match code {
        "malformed_json" => "Malformed JSON",
        "unauthorized" => "Unauthorized",
        "forbidden" => "Forbidden",
        "not_found" => "Not found",
        "method_not_allowed" => "Method not allowed",
        "request_timeout" => "Request timeout",
        "invalid_transition" => "Not allowed in this status",
        "conflict" => "Conflict",
        "version_mismatch" => "Version mismatch",
        "payload_too_large" => "Payload too large",
        "uri_too_long" => "Address too long",
        "unsupported_media_type" => "Unsupported media type",
        "validation_failed" => "Validation failed",
        "idempotency_key_reused" => "Idempotency key reused",
        "headers_too_large" => "Headers too large",
        "unavailable" => "Unavailable",
        _ => "Internal error",
    }
}

/// A failure, as RFC 9457 problem details.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemBody {
    /// Identifies the kind of problem; as stable as `code`.
    #[serde(rename = "type")]
    #[schema(example = "urn:muster:problem:validation_failed")]
    pub problem_type: String,
    /// The kind in words.
    pub title: String,
    /// The HTTP status again.
    pub status: u16,
    /// This occurrence, for people.
    pub detail: String,
    /// What clients match on.
    #[schema(example = "validation_failed")]
    pub code: String,
    /// With `validation_failed`: every bad field.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub errors: Option<Vec<BadField>>,
    /// With `invalid_transition`: the campaign's status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// With `invalid_transition`: what was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// With `invalid_transition`: what the status allows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allowed: Option<Vec<String>>,
}

/// One bad field of a request.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct BadField {
    /// A JSON pointer (RFC 6901) into the body; for a query parameter or a header, `/` and its name.
    #[schema(example = "/name")]
    pub pointer: String,
    /// What clients match on.
    #[schema(example = "too_long")]
    pub code: String,
    /// For people.
    pub detail: String,
}

impl From<FieldProblem> for BadField {
    fn from(problem: FieldProblem) -> Self {
        Self::from(&problem)
    }
}

impl From<&FieldProblem> for BadField {
    fn from(problem: &FieldProblem) -> Self {
        Self { pointer: problem.pointer.clone(), code: problem.code.clone(), detail: problem.detail.clone() }
    }
}

impl From<FieldProblems> for Problem {
    fn from(problems: FieldProblems) -> Self {
        Self::Invalid(problems)
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.kind().0
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status_code());
        for header in self.headers() {
            response.insert_header(header);
        }
        response.insert_header((header::CONTENT_TYPE, PROBLEM_JSON)).body(self.json())
    }
}

impl Problem {
    /// The body as it goes out.
    pub(crate) fn json(&self) -> Vec<u8> {
        serde_json::to_vec(&self.body()).unwrap_or_default()
    }
}
