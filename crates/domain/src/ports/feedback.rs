//! Reading reports about mails, one implementation for each form in which they come, and what they leave behind.

use super::store::StoreResult;
use crate::model::delivery::DeliveryKey;
use crate::model::feedback::Feedback;
use crate::model::problem::FieldProblems;
use async_trait::async_trait;
use chrono::{DateTime, Utc};

/// Why a report was not read; nothing of it counts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// It is not in this form at all.
    #[error("malformed: {0}")]
    Malformed(String),
    /// It is, and says something impossible.
    #[error("invalid fields")]
    Invalid(FieldProblems),
}

/// One form of reports: that of a mail server, or of one provider. To take another in, write one of these and name it in
/// the list that the server's wiring hands out.
///
/// Reading is pure and bounded by the size of what is read. It trusts nobody: who may report what is decided by whoever
/// calls it.
#[cfg_attr(any(test, feature = "testing"), mockall::automock)]
pub trait FeedbackFormat: Send + Sync {
    /// Its name in addresses: lower-case letters, digits and hyphens.
    fn provider(&self) -> &'static str;

    /// The media type of its reports.
    fn media_type(&self) -> &'static str;

    /// Everything that `body` reports, in its order. Empty when it is in this form and reports nothing that is known here.
    fn read(&self, body: &[u8]) -> Result<Vec<Feedback>, Unreadable>;
}

/// What reports leave behind beside events.
#[cfg_attr(any(test, feature = "testing"), mockall::automock)]
#[async_trait]
pub trait FeedbackRepo: Send {
    /// Notes that a mail of this tenant came back at `at` for a reason that may pass, once for each mail; answers when
    /// all the mails to its contact that did so came back, those before it got its present address left out.
    ///
    /// Holds the contact, so that of two notes at once the second sees the first.
    async fn note_soft_bounce(&mut self, delivery: DeliveryKey, at: DateTime<Utc>) -> StoreResult<Vec<DateTime<Utc>>>;
}
