//! `Idempotency-Key`: what makes a repeated POST the same request.

use crate::problem::Problem;
use actix_web::HttpRequest;
use actix_web::http::Method;
use sha2::{Digest, Sha256};

/// The key of a request that may be repeated, and a fingerprint of what was asked. Empty without the header.
#[derive(Clone, Default)]
pub struct Repeat(pub(crate) Option<Keyed>);

/// A key and what it stands for.
#[derive(Clone)]
pub(crate) struct Keyed {
    pub(crate) key: String,
    pub(crate) fingerprint: [u8; 32],
}

impl Repeat {
    /// For requests that are not repeatable by key: PATCH, PUT, DELETE.
    pub fn none() -> Self {
        Self(None)
    }

    /// Reads the header of a POST; other methods pay it no heed.
    pub(crate) fn of(request: &HttpRequest, body: &[u8]) -> Result<Self, Problem> {
        if request.method() != Method::POST {
            return Ok(Self::none());
        }
        let mut values = request.headers().get_all("Idempotency-Key");
        let (Some(value), second) = (values.next(), values.next()) else { return Ok(Self::none()) };
        let key = value.to_str().ok().filter(|key| second.is_none() && well_formed(key));
        let Some(key) = key else {
            let detail = "must be one key of 1 to 255 visible ASCII characters";
            return Err(Problem::invalid("/Idempotency-Key", "invalid_key", detail));
        };
        Ok(Self(Some(Keyed { key: key.to_owned(), fingerprint: fingerprint(request, body) })))
    }
}

fn well_formed(key: &str) -> bool {
    (1..=255).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic())
}

fn fingerprint(request: &HttpRequest, body: &[u8]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in [request.method().as_str(), request.path(), request.query_string()] {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    hash.update(body);
    hash.finalize().into()
}
