//! The point between two chunks of a launch: the pass looks for work once before each.

use async_trait::async_trait;
use muster_adapters::faults::point;
use muster_domain::model::ids::{CampaignKey, WorkspaceNo};
use muster_domain::ports::store::StoreResult;
use muster_domain::ports::work::{WorkAtHand, WorkQueue};
use std::sync::Arc;

pub(super) struct Watched {
    pub(super) inner: Arc<dyn WorkQueue>,
}

#[async_trait]
impl WorkQueue for Watched {
    async fn at_hand(&self) -> StoreResult<WorkAtHand> {
        let work = self.inner.at_hand().await?;
        if !work.enroll.is_empty() {
            point("between");
        }
        Ok(work)
    }

    async fn guarded(&self) -> StoreResult<Vec<(CampaignKey, WorkspaceNo)>> {
        self.inner.guarded().await
    }
}
