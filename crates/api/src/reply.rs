//! Answers that can be stored and sent again: a status, a few headers and a body that is already written.

use crate::problem::{PROBLEM_JSON, Problem};
use actix_web::HttpResponse;
use actix_web::http::{StatusCode, header};
use muster_domain::model::ids::ContactId;
use muster_domain::ports::idempotency::StoredAnswer;
use serde::Serialize;

/// The header that says which version of a campaign an answer shows.
pub(crate) fn etag(version: i32) -> (header::HeaderName, String) {
    (header::ETAG, format!("\"{version}\""))
}

/// What a write answers. Kept as bytes, so that a repeated request gets the same ones.
#[derive(Debug)]
pub struct Reply {
    status: StatusCode,
    headers: Vec<(header::HeaderName, String)>,
    body: Vec<u8>,
    /// What is stored in place of the body, when that shows a secret once.
    stored_body: Option<Vec<u8>>,
}

impl Reply {
    /// 200 with a JSON body.
    pub fn ok(body: &impl Serialize) -> Result<Self, Problem> {
        Self::json(StatusCode::OK, body)
    }

    /// 201 with the resource, not wrapped, and where it is.
    pub fn created(location: String, body: &impl Serialize) -> Result<Self, Problem> {
        let mut reply = Self::json(StatusCode::CREATED, body)?;
        reply.headers.push((header::LOCATION, location));
        Ok(reply)
    }

    /// 202 with a JSON body: begun, not finished.
    pub fn accepted(body: &impl Serialize) -> Result<Self, Problem> {
        Self::json(StatusCode::ACCEPTED, body)
    }

    /// 204.
    pub fn no_content() -> Result<Self, Problem> {
        Ok(Self { status: StatusCode::NO_CONTENT, headers: Vec::new(), body: Vec::new(), stored_body: None })
    }

    /// The version as `ETag`.
    #[must_use]
    pub fn etag(mut self, version: i32) -> Self {
        self.headers.push(etag(version));
        self
    }

    /// Says which contact the answer tells of, where its body does not: a `Link` with `rel="about"` (RFC 6903 section 2). A
    /// stored answer is found by it when the contact is erased.
    #[must_use]
    pub fn about(mut self, contact: ContactId) -> Self {
        self.headers.push((header::LINK, format!("</api/contacts/{contact}>; rel=\"about\"")));
        self
    }

    /// What a repeated request gets in place of the body: the same without the secret.
    pub fn stored_as(mut self, body: &impl Serialize) -> Result<Self, Problem> {
        self.stored_body = Some(serde_json::to_vec(body).map_err(Problem::internal)?);
        Ok(self)
    }

    fn json(status: StatusCode, body: &impl Serialize) -> Result<Self, Problem> {
        let body = serde_json::to_vec(body).map_err(Problem::internal)?;
        let headers = vec![(header::CONTENT_TYPE, "application/json".to_owned())];
        Ok(Self { status, headers, body, stored_body: None })
    }

    /// A refusal, to be stored like any other answer.
    pub(crate) fn refusal(problem: &Problem) -> Self {
        let mut headers = problem.headers();
        headers.push((header::CONTENT_TYPE, PROBLEM_JSON.to_owned()));
        Self { status: problem.kind().0, headers, body: problem.json(), stored_body: None }
    }

    /// As it is stored.
    pub(crate) fn to_stored(&self) -> StoredAnswer {
        StoredAnswer {
            status: self.status.as_u16(),
            headers: self.headers.iter().map(|(name, value)| (name.to_string(), value.clone())).collect(),
            body: self.stored_body.clone().unwrap_or_else(|| self.body.clone()),
        }
    }

    /// An answer that was stored, sent again.
    pub(crate) fn replay(stored: StoredAnswer) -> HttpResponse {
        // Blanked since, because what it spoke of was erased.
        if stored.body.is_empty() && stored.status == StatusCode::NOT_FOUND {
            return Self::replay(Self::refusal(&Problem::NotFound).to_stored());
        }
        let mut response = HttpResponse::build(StatusCode::from_u16(stored.status).unwrap_or(StatusCode::OK));
        for header in stored.headers {
            response.insert_header(header);
        }
        response.insert_header(("Idempotency-Replayed", "true")).body(stored.body)
    }
}

impl From<Reply> for HttpResponse {
    fn from(reply: Reply) -> Self {
        let mut response = HttpResponse::build(reply.status);
        for header in reply.headers {
            response.insert_header(header);
        }
        response.body(reply.body)
    }
}
