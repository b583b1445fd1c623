//! The headers of a signed message (Standard Webhooks).

use crate::problem::Problem;
use actix_web::HttpRequest;
use chrono::{DateTime, Utc};
use muster_domain::model::hook::Receipt;
use muster_domain::ports::hooks::SignedMessage;
use sha2::{Digest, Sha256};

/// An id has no more characters than this.
const ID_AT_MOST: usize = 255;

/// What a message says of itself; nothing of it is believed before its signature is checked.
pub(super) struct Signed {
    id: String,
    timestamp: String,
    signature: String,
    at: DateTime<Utc>,
}

impl Signed {
    /// The three headers, each there once and written as it should be.
    pub(super) fn of(request: &HttpRequest) -> Result<Self, Problem> {
        let header = |name: &'static str| {
            let mut values = request.headers().get_all(name);
            let (first, second) = (values.next(), values.next());
            let text = first.filter(|_| second.is_none()).and_then(|value| value.to_str().ok());
            text.map(str::to_owned)
                .ok_or(Problem::Unsigned("webhook-id, webhook-timestamp and webhook-signature are needed, each once"))
        };
        let (id, timestamp, signature) =
            (header("webhook-id")?, header("webhook-timestamp")?, header("webhook-signature")?);
        let is_id = (1..=ID_AT_MOST).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic());
        // A dot parts it from what is signed after it.
        if !is_id || id.contains('.') {
            return Err(Problem::Unsigned("webhook-id has 1 to 255 visible ASCII characters, none of them a dot"));
        }
        let seconds = Some(&timestamp).filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
        let at = seconds.and_then(|text| text.parse().ok()).and_then(|seconds| DateTime::from_timestamp(seconds, 0));
        let at = at.ok_or(Problem::Unsigned("webhook-timestamp is the time of signing in seconds since 1970"))?;
        Ok(Self { id, timestamp, signature, at })
    }

    /// What the signature is over, together with it.
    pub(super) fn message<'a>(&'a self, body: &'a [u8]) -> SignedMessage<'a> {
        SignedMessage { id: &self.id, timestamp: &self.timestamp, signature: &self.signature, body }
    }

    /// When it was signed, as its sender says.
    pub(super) fn at(&self) -> DateTime<Utc> {
        self.at
    }

    /// What makes the report at that place of `body` the same when it comes again.
    pub(super) fn receipt(&self, body: &[u8], place: usize) -> Receipt {
        let place = u64::try_from(place).unwrap_or(u64::MAX);
        let id = Sha256::new().chain_update(place.to_be_bytes()).chain_update(&self.id).finalize();
        Receipt { id: id.into(), content: Sha256::digest(body).into() }
    }
}
