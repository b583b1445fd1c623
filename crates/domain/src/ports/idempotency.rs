//! Stored answers of requests that may be repeated.
//!
//! The first answer is stored in the transaction of its effect, so that a repeated request either finds the answer or
//! finds that nothing happened. Answers are kept for 24 hours of real time, per workspace and key.

use super::store::StoreResult;
use crate::model::address::EmailAddress;
use async_trait::async_trait;
use chrono::{DateTime, Utc};

/// An answer as it went out.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredAnswer {
    /// The HTTP status.
    pub status: u16,
    /// The headers that belong to the answer: its type, `Location`, `ETag`.
    pub headers: Vec<(String, String)>,
    /// The body, byte for byte. May hold personal data.
    pub body: Vec<u8>,
}

/// Shows how big the body is, not what it says: it may end up in a log.
impl std::fmt::Debug for StoredAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoredAnswer")
            .field("status", &self.status)
            .field("body_len", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// A stored answer that mentions somebody, for that person to see.
#[derive(Clone, PartialEq, Eq)]
pub struct Mention {
    /// The key, in the caller's words.
    pub key: String,
    /// Since when it is stored, real time.
    pub stored_at: DateTime<Utc>,
    /// The answer.
    pub answer: StoredAnswer,
}

/// What a key that a request carries turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// Not seen in the last 24 hours: this transaction holds it now, until it ends.
    First,
    /// This very request was answered before.
    Answered(StoredAnswer),
    /// The key was used for another request.
    OtherRequest,
    /// The first request with this key has not been answered yet.
    Running,
}

/// Stored answers of one workspace.
#[cfg_attr(any(test, feature = "testing"), mockall::automock)]
#[async_trait]
pub trait IdempotencyRepo: Send {
    /// Looks `key` up and, when nobody else holds it, holds it to the end of the transaction; never waits.
    ///
    /// `fingerprint` is what makes two requests the same: a hash over method, path and body.
    async fn claim(&mut self, key: &str, fingerprint: [u8; 32]) -> StoreResult<Claim>;

    /// Stores the answer under a key that was claimed; replaces what was there.
    async fn store(&mut self, key: &str, fingerprint: [u8; 32], answer: &StoredAnswer) -> StoreResult<()>;

    /// Every stored answer of the workspace that [`IdempotencyRepo::redact`] would blank for `text`, or
    /// [`IdempotencyRepo::redact_address`] for `email`.
    async fn mentions(&mut self, text: &str, email: &EmailAddress) -> StoreResult<Vec<Mention>>;

    /// Blanks every stored answer of the workspace that mentions `text`, such as the id of a contact being erased, in
    /// its body or in a header. Repeating such a request answers 404 from then on.
    async fn redact(&mut self, text: &str) -> StoreResult<()>;

    /// The same for an address, in upper or lower case, and in all workspaces of the tenant but those that have a
    /// contact of their own with it. A key that names the address is replaced by another: repeating that request does
    /// it anew.
    async fn redact_address(&mut self, email: &EmailAddress) -> StoreResult<()>;
}
