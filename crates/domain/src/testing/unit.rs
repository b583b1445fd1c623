//! A unit of work whose repositories are mocks.

use crate::model::ids::{TenantNo, WorkspaceNo};
use crate::ports::analytics::{AnalyticsRepo, MockAnalyticsRepo};
use crate::ports::campaigns::{CampaignRepo, MockCampaignRepo};
use crate::ports::contacts::{ContactRepo, MockContactRepo};
use crate::ports::deliveries::{DeliveryRepo, MockDeliveryRepo};
use crate::ports::enrollments::{EnrollmentRepo, MockEnrollmentRepo};
use crate::ports::events::{EventRepo, MockEventRepo};
use crate::ports::feedback::{FeedbackRepo, MockFeedbackRepo};
use crate::ports::hooks::{HookRepo, MockHookRepo};
use crate::ports::idempotency::{IdempotencyRepo, MockIdempotencyRepo};
use crate::ports::keys::{KeyRepo, MockKeyRepo};
use crate::ports::segments::{MockSegmentRepo, SegmentRepo};
use crate::ports::store::{StoreResult, Tx, UnitOfWork, Workspace};
use crate::ports::suppressions::{MockSuppressionRepo, SuppressionRepo};
use async_trait::async_trait;
use chrono::{DateTime, Utc};

/// A unit of work made of mocks: expect what is to be called, then turn it into a [`Tx`].
///
/// Ending it and its savepoints succeed and do nothing.
#[derive(Default)]
#[expect(missing_docs, reason = "each is the mock of the repository of that name")]
pub struct MockUnit {
    pub campaigns: MockCampaignRepo,
    pub contacts: MockContactRepo,
    pub segments: MockSegmentRepo,
    pub suppressions: MockSuppressionRepo,
    pub events: MockEventRepo,
    pub enrollments: MockEnrollmentRepo,
    pub analytics: MockAnalyticsRepo,
    pub deliveries: MockDeliveryRepo,
    pub feedback: MockFeedbackRepo,
    pub hooks: MockHookRepo,
    pub keys: MockKeyRepo,
    pub idempotency: MockIdempotencyRepo,
    /// What the clock says.
    pub now: DateTime<Utc>,
}

impl MockUnit {
    /// Expects nothing; the clock says `now`.
    pub fn at(now: DateTime<Utc>) -> Self {
        Self { now, ..Self::default() }
    }

    /// The transaction that use cases take, of tenant 1 and workspace 1.
    pub fn into_tx(self) -> Tx {
        Tx::new(Workspace { tenant: TenantNo(1), workspace: WorkspaceNo(1) }, Box::new(self))
    }
}

#[async_trait]
impl UnitOfWork for MockUnit {
    fn campaigns(&mut self) -> &mut dyn CampaignRepo {
        &mut self.campaigns
    }
    fn contacts(&mut self) -> &mut dyn ContactRepo {
        &mut self.contacts
    }
    fn segments(&mut self) -> &mut dyn SegmentRepo {
        &mut self.segments
    }
    fn suppressions(&mut self) -> &mut dyn SuppressionRepo {
        &mut self.suppressions
    }
    fn events(&mut self) -> &mut dyn EventRepo {
        &mut self.events
    }
    fn enrollments(&mut self) -> &mut dyn EnrollmentRepo {
        &mut self.enrollments
    }
    fn analytics(&mut self) -> &mut dyn AnalyticsRepo {
        &mut self.analytics
    }
    fn deliveries(&mut self) -> &mut dyn DeliveryRepo {
        &mut self.deliveries
    }
    fn feedback(&mut self) -> &mut dyn FeedbackRepo {
        &mut self.feedback
    }
    fn hooks(&mut self) -> &mut dyn HookRepo {
        &mut self.hooks
    }
    fn keys(&mut self) -> &mut dyn KeyRepo {
        &mut self.keys
    }
    fn idempotency(&mut self) -> &mut dyn IdempotencyRepo {
        &mut self.idempotency
    }
    async fn now(&mut self) -> StoreResult<DateTime<Utc>> {
        Ok(self.now)
    }
    async fn savepoint(&mut self) -> StoreResult<()> {
        Ok(())
    }
    async fn rollback_to_savepoint(&mut self) -> StoreResult<()> {
        Ok(())
    }
    async fn commit(self: Box<Self>) -> StoreResult<()> {
        Ok(())
    }
    async fn rollback(self: Box<Self>) -> StoreResult<()> {
        Ok(())
    }
}
