//! What there is to do, over all tenants. Numbers, states and times only: nothing personal passes here.

use super::store::StoreResult;
use crate::model::ids::{CampaignKey, WorkspaceNo};
use async_trait::async_trait;
use chrono::{DateTime, Utc};

/// Work that is not the sending of mail.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WorkAtHand {
    /// Campaigns with enrollments that are due.
    pub advance: Vec<CampaignKey>,
    /// Launched campaigns whose audience is not fully enrolled.
    pub enroll: Vec<(CampaignKey, WorkspaceNo)>,
    /// Scheduled campaigns whose start has come.
    pub start: Vec<(CampaignKey, WorkspaceNo)>,
    /// Campaigns without an open enrollment.
    pub finish: Vec<(CampaignKey, WorkspaceNo)>,
}

impl WorkAtHand {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.advance.is_empty() && self.enroll.is_empty() && self.start.is_empty() && self.finish.is_empty()
    }
}

/// Finds work.
#[cfg_attr(any(test, feature = "testing"), mockall::automock)]
#[async_trait]
pub trait WorkQueue: Send + Sync {
    /// All there is to do now.
    async fn at_hand(&self) -> StoreResult<WorkAtHand>;
    /// The active campaigns that have guard rails.
    async fn guarded(&self) -> StoreResult<Vec<(CampaignKey, WorkspaceNo)>>;
}

/// Business time that runs faster than the clock, in a database made for it.
#[cfg_attr(any(test, feature = "testing"), mockall::automock)]
#[async_trait]
pub trait TimeLapse: Send + Sync {
    /// Lets virtual time run on by what has passed times its rate, but not past the next instant at which something is
    /// due, and not at all while due work is undone. Virtual now afterwards; `None` in a database without time lapse.
    async fn tick(&self) -> StoreResult<Option<DateTime<Utc>>>;
}
