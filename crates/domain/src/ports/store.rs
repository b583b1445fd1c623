//! The unit of work: one transaction of one workspace, and the repositories within it.
//!
//! A use case takes a [`Tx`] and never commits; whoever opened the transaction ends it. [`in_tx`] does both.

use super::analytics::AnalyticsRepo;
use super::campaigns::CampaignRepo;
use super::contacts::ContactRepo;
use super::deliveries::DeliveryRepo;
use super::enrollments::EnrollmentRepo;
use super::events::EventRepo;
use super::feedback::FeedbackRepo;
use super::hooks::HookRepo;
use super::idempotency::IdempotencyRepo;
use super::keys::KeyRepo;
use super::segments::SegmentRepo;
use super::suppressions::SuppressionRepo;
use crate::model::ids::{TenantNo, WorkspaceNo};
use async_trait::async_trait;
use chrono::{DateTime, Utc};

/// Why storage did not do what was asked; nothing of the transaction remains.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database cannot be reached, is starting, or has no connection free: try again in a moment.
    #[error("storage is unavailable")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Another transaction came between (deadlock, serialization): the same again may succeed.
    #[error("storage met a conflict")]
    Conflict,
    /// A row cannot be what it says it is.
    #[error("corrupt row in {table}, column {column}: {id}")]
    Corrupt {
        /// Which table.
        table: &'static str,
        /// Which column.
        column: &'static str,
        /// Which row; holds no personal data.
        id: String,
    },
    /// A statement failed in a way no caller can mend.
    #[error("storage failed")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// What repositories answer.
pub type StoreResult<T> = Result<T, StoreError>;

/// Whose rows a transaction sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Workspace {
    /// The tenant, enforced by the database.
    pub tenant: TenantNo,
    /// The workspace within it, enforced by the repositories.
    pub workspace: WorkspaceNo,
}

/// Opens transactions.
#[async_trait]
pub trait Store: Send + Sync {
    /// Opens a transaction that sees the rows of one workspace only. An adapter may put it off to the first statement, and
    /// fail there.
    async fn begin(&self, of: Workspace) -> StoreResult<Tx>;

    /// The same for one that only reads. An adapter that can refuses changes, and ends it for less.
    async fn begin_read_only(&self, of: Workspace) -> StoreResult<Tx> {
        self.begin(of).await
    }
}

/// One open transaction, as its adapter implements it.
#[async_trait]
pub trait UnitOfWork: Send {
    /// Campaigns, their steps and sequences.
    fn campaigns(&mut self) -> &mut dyn CampaignRepo;
    /// Contacts.
    fn contacts(&mut self) -> &mut dyn ContactRepo;
    /// Segments.
    fn segments(&mut self) -> &mut dyn SegmentRepo;
    /// Addresses that are never mailed.
    fn suppressions(&mut self) -> &mut dyn SuppressionRepo;
    /// What recipients did with mails.
    fn events(&mut self) -> &mut dyn EventRepo;
    /// Enrollments, launching and ending.
    fn enrollments(&mut self) -> &mut dyn EnrollmentRepo;
    /// Balance, figures, history.
    fn analytics(&mut self) -> &mut dyn AnalyticsRepo;
    /// Deliveries for people.
    fn deliveries(&mut self) -> &mut dyn DeliveryRepo;
    /// What reports leave behind beside events.
    fn feedback(&mut self) -> &mut dyn FeedbackRepo;
    /// Hooks.
    fn hooks(&mut self) -> &mut dyn HookRepo;
    /// API keys.
    fn keys(&mut self) -> &mut dyn KeyRepo;
    /// Stored answers.
    fn idempotency(&mut self) -> &mut dyn IdempotencyRepo;
    /// Business time, the same throughout the transaction: the database's clock, or the virtual one.
    async fn now(&mut self) -> StoreResult<DateTime<Utc>>;
    /// Marks a point to which [`UnitOfWork::rollback_to_savepoint`] returns. One at a time.
    async fn savepoint(&mut self) -> StoreResult<()>;
    /// Undoes everything since the savepoint; the transaction goes on.
    async fn rollback_to_savepoint(&mut self) -> StoreResult<()>;
    /// Makes it lasting. An error means that it may or may not have been.
    async fn commit(self: Box<Self>) -> StoreResult<()>;
    /// Undoes everything.
    async fn rollback(self: Box<Self>) -> StoreResult<()>;
}

/// An open transaction, as use cases see it: repositories by name.
///
/// A concrete type, because a closure over `&mut dyn UnitOfWork` is not `Send`.
pub struct Tx {
    of: Workspace,
    unit: Box<dyn UnitOfWork>,
}

macro_rules! accessors {
    ($($(#[$doc:meta])* $name:ident: $repo:ident),+ $(,)?) => {$(
        $(#[$doc])*
        pub fn $name(&mut self) -> &mut dyn $repo {
            self.unit.$name()
        }
    )+};
}

impl Tx {
    /// Wraps an adapter's unit of work.
    pub fn new(of: Workspace, unit: Box<dyn UnitOfWork>) -> Self {
        Self { of, unit }
    }

    /// Whose rows it sees.
    pub fn workspace(&self) -> Workspace {
        self.of
    }

    accessors! {
        /// Campaigns, their steps and sequences.
        campaigns: CampaignRepo,
        /// Contacts.
        contacts: ContactRepo,
        /// Segments.
        segments: SegmentRepo,
        /// Addresses that are never mailed.
        suppressions: SuppressionRepo,
        /// What recipients did with mails.
        events: EventRepo,
        /// Enrollments, launching and ending.
        enrollments: EnrollmentRepo,
        /// Balance, figures, history.
        analytics: AnalyticsRepo,
        /// Deliveries for people.
        deliveries: DeliveryRepo,
        /// What reports leave behind beside events.
        feedback: FeedbackRepo,
        /// Hooks.
        hooks: HookRepo,
        /// API keys.
        keys: KeyRepo,
        /// Stored answers.
        idempotency: IdempotencyRepo,
    }

    /// Business time, the same throughout the transaction.
    pub async fn now(&mut self) -> StoreResult<DateTime<Utc>> {
        self.unit.now().await
    }

    /// See [`UnitOfWork::savepoint`].
    pub async fn savepoint(&mut self) -> StoreResult<()> {
        self.unit.savepoint().await
    }

    /// See [`UnitOfWork::rollback_to_savepoint`].
    pub async fn rollback_to_savepoint(&mut self) -> StoreResult<()> {
        self.unit.rollback_to_savepoint().await
    }

    /// Makes it lasting.
    pub async fn commit(self) -> StoreResult<()> {
        self.unit.commit().await
    }

    /// Undoes it.
    pub async fn rollback(self) -> StoreResult<()> {
        self.unit.rollback().await
    }
}

/// Runs `story` in a transaction of `of`: commits when it succeeds, rolls back when it fails.
///
/// An error of the roll back is dropped in favour of the story's own: the connection is closed either way.
pub async fn in_tx<T, E, F>(store: &dyn Store, of: Workspace, story: F) -> Result<T, E>
where
    E: From<StoreError>,
    F: AsyncFnOnce(&mut Tx) -> Result<T, E>,
{
    tell(store.begin(of).await?, story).await
}

/// Runs `story`, which only reads, in a transaction of `of`.
pub async fn in_read_only_tx<T, E, F>(store: &dyn Store, of: Workspace, story: F) -> Result<T, E>
where
    E: From<StoreError>,
    F: AsyncFnOnce(&mut Tx) -> Result<T, E>,
{
    tell(store.begin_read_only(of).await?, story).await
}

async fn tell<T, E: From<StoreError>>(mut tx: Tx, story: impl AsyncFnOnce(&mut Tx) -> Result<T, E>) -> Result<T, E> {
    match story(&mut tx).await {
        Ok(value) => {
            tx.commit().await?;
            Ok(value)
        }
        Err(error) => {
            let _ = tx.rollback().await;
            Err(error)
        }
    }
}
