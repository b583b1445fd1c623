//! Enrolling an audience and ending enrollments.

use super::store::StoreResult;
use crate::model::books::Balance;
use crate::model::campaign::Campaign;
use crate::model::ids::{ContactNo, StepNo};
use crate::model::rules::Rule;
use async_trait::async_trait;
use chrono::{DateTime, Utc};

/// An audience at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Audience {
    /// How many are in the segment.
    pub total: i64,
    /// The last contact made so far: later ones stay out of this launch.
    pub mark: ContactNo,
    /// What decides who is in it; `None` where that is a list.
    pub rules: Option<Rule>,
}

/// What one chunk of enrolling did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chunk {
    /// New enrollments.
    pub enrolled: i64,
    /// Everybody up to this contact has been judged.
    pub through: ContactNo,
    /// That is everybody up to the mark.
    pub done: bool,
}

/// Enrollments of one workspace's campaigns.
#[cfg_attr(any(test, feature = "testing"), mockall::automock)]
#[async_trait]
pub trait EnrollmentRepo: Send {
    /// Counts the campaign's segment as it is now.
    async fn count_audience(&mut self, campaign: &Campaign) -> StoreResult<Audience>;
    /// Enrolls the first `limit` members of an audience in the transaction that launches, each once and before `first`, up to
    /// its mark and by its rules. How far that came, and its books, is for
    /// [`CampaignRepo::save_launched`](super::campaigns::CampaignRepo::save_launched) to write.
    async fn enroll_at_once(
        &mut self,
        campaign: &Campaign,
        audience: &Audience,
        first: StepNo,
        limit: i64,
        now: DateTime<Utc>,
    ) -> StoreResult<Chunk>;
    /// Enrolls the next `limit` members of the segment after the cursor, each once and before `first`, and moves the
    /// cursor, all in this transaction. Membership is judged now. When nobody is left up to the mark, enrolling is done; where
    /// it does not run, nobody is enrolled and it is done.
    async fn enroll_chunk(
        &mut self,
        campaign: &Campaign,
        first: StepNo,
        limit: i64,
        now: DateTime<Utc>,
    ) -> StoreResult<Chunk>;
    /// Ends every open enrollment of the campaign with `campaign_ended` and cancels its mail that has not begun. Waits
    /// for begins under way; mail that has begun keeps its outcome for the books.
    async fn end_all(&mut self, campaign: &Campaign, now: DateTime<Utc>) -> StoreResult<()>;
    /// Waits until every begin under way has committed or not; with the campaign's status committed before, none follows.
    async fn barrier(&mut self, campaign: &Campaign) -> StoreResult<()>;
    /// How many deliveries of the campaign have begun and are not recorded yet.
    async fn in_flight(&mut self, campaign: &Campaign) -> StoreResult<i64>;
    /// Whether any mail of the campaign is queued or under way.
    async fn has_mail_left(&mut self, campaign: &Campaign) -> StoreResult<bool>;
    /// The books as the counters have them.
    async fn balance(&mut self, campaign: &Campaign) -> StoreResult<Balance>;
    /// The books counted again from the rows.
    async fn recount(&mut self, campaign: &Campaign) -> StoreResult<Balance>;
}
