//! Moving due enrollments on, a batch at a time.

use super::store::StoreResult;
use crate::model::advance::{AdvanceError, Advanced};
use crate::model::contact::ContactFacts;
use crate::model::enrollment::DueEnrollment;
use crate::model::ids::CampaignKey;
use crate::model::sequence::Sequence;
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use chrono_tz::Tz;

/// A due enrollment with all that deciding needs.
pub struct Due<'a> {
    /// The enrollment.
    pub enrollment: &'a DueEnrollment,
    /// The sequence it walks.
    pub sequence: &'a Sequence,
    /// The contact; empty when the sequence does not ask.
    pub facts: ContactFacts,
    /// The campaign's zone.
    pub timezone: Tz,
    /// Business time.
    pub now: DateTime<Utc>,
}

/// Decides one move. Called once for each claimed enrollment, inside the claim's transaction: pure and quick.
pub type Decide = dyn for<'a> Fn(Due<'a>) -> Result<Advanced, AdvanceError> + Send + Sync;

/// Which enrollments to claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// Of which campaign.
    pub campaign: CampaignKey,
    /// At most so many.
    pub limit: i64,
    /// Only those due at or after this: a hint that spares reading index entries of rows already moved on.
    /// `None` reads from the beginning, which every tenth pass must, or late joiners starve.
    pub low: Option<DateTime<Utc>>,
}

/// What one batch did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AdvanceReport {
    /// Enrollments claimed.
    pub claimed: usize,
    /// Of them, mails queued.
    pub queued: usize,
    /// Of them, ended (completed or exited).
    pub ended: usize,
    /// Of them, left where they are because deciding failed.
    pub stuck: usize,
    /// The latest due time among the claimed, the next pass's `low` when the batch was full.
    pub up_to: Option<DateTime<Utc>>,
}

/// Storage of the advance pipeline.
#[cfg_attr(any(test, feature = "testing"), mockall::automock)]
#[async_trait]
pub trait AdvanceStore: Send + Sync {
    /// Claims, decides and writes back one batch in one transaction: enrollments, mail to be sent, history, changes of
    /// contacts, books.
    ///
    /// Nothing is claimed unless the campaign is active and fully enrolled; that is read under the campaign's lock, so
    /// nothing moves after a pause has returned. Several callers at once never claim the same enrollment. A crash
    /// leaves no trace of the batch. An enrollment that cannot be decided is put off for an hour.
    async fn advance(&self, claim: Claim, decide: &Decide) -> StoreResult<AdvanceReport>;
}
