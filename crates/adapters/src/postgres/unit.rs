//! [`UnitOfWork`] over one [`PgTx`]; the repositories are implemented on it, one file each.

use super::books;
use super::error::StoreErrorExt;
use super::tx::PgTx;
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use futures::try_join;
use muster_domain::model::books::BookEntries;
use muster_domain::model::ids::{CampaignKey, CampaignNo};
use muster_domain::ports::analytics::AnalyticsRepo;
use muster_domain::ports::campaigns::CampaignRepo;
use muster_domain::ports::contacts::ContactRepo;
use muster_domain::ports::deliveries::DeliveryRepo;
use muster_domain::ports::enrollments::EnrollmentRepo;
use muster_domain::ports::events::EventRepo;
use muster_domain::ports::feedback::FeedbackRepo;
use muster_domain::ports::hooks::HookRepo;
use muster_domain::ports::idempotency::IdempotencyRepo;
use muster_domain::ports::keys::KeyRepo;
use muster_domain::ports::segments::SegmentRepo;
use muster_domain::ports::store::{StoreResult, UnitOfWork, Workspace};
use muster_domain::ports::suppressions::SuppressionRepo;
use std::collections::BTreeMap;

/// One transaction of one workspace.
pub struct PgUnit {
    tx: PgTx,
    of: Workspace,
    now: Option<DateTime<Utc>>,
    /// What the commit posts, and as much of it as there was at the savepoint.
    entries: Entries,
    saved: Entries,
}

type Entries = BTreeMap<CampaignNo, BookEntries>;

impl PgUnit {
    pub(crate) fn new(tx: PgTx, of: Workspace) -> Self {
        Self { tx, of, now: None, entries: Entries::new(), saved: Entries::new() }
    }

    /// The connection, under the application's role and the tenant of [`PgUnit::of`].
    pub(crate) fn conn(&mut self) -> &mut AsyncPgConnection {
        &mut self.tx
    }

    /// Whose rows this is about. The tenant is enforced by the database, the workspace by the statements here.
    pub(crate) fn of(&self) -> Workspace {
        self.of
    }

    /// Has the commit post these to the books: so several stories of one transaction each add to them, and hot rows
    /// are locked once, in order, as the last thing.
    pub(crate) fn post(&mut self, entries: BTreeMap<CampaignNo, BookEntries>) {
        for (campaign, add) in entries {
            *self.entries.entry(campaign).or_default() += add;
        }
    }

    /// Asks what a change begins with, and for business time in the same flight, which most changes need next.
    pub(crate) async fn dated<T>(
        &mut self,
        ask: impl AsyncFnOnce(&AsyncPgConnection) -> StoreResult<T>,
    ) -> StoreResult<T> {
        let conn: &AsyncPgConnection = &self.tx;
        let known = self.now;
        let time = async move {
            match known {
                Some(now) => Ok(now),
                None => business_time(conn).await,
            }
        };
        let (answer, now) = try_join!(ask(conn), time)?;
        self.now = Some(now);
        Ok(answer)
    }

    async fn post_entries(&mut self) -> StoreResult<()> {
        let tenant = self.of.tenant;
        for (campaign, entries) in std::mem::take(&mut self.entries) {
            books::post(&self.tx, CampaignKey { tenant, campaign }, &entries).await?;
        }
        Ok(())
    }
}

diesel::define_sql_function! {
    /// Business time, see the first migration.
    fn muster_now() -> diesel::sql_types::Timestamptz;
}

async fn business_time(mut conn: &AsyncPgConnection) -> StoreResult<DateTime<Utc>> {
    diesel::select(muster_now()).get_result(&mut conn).await.store()
}

#[async_trait]
impl UnitOfWork for PgUnit {
    fn campaigns(&mut self) -> &mut dyn CampaignRepo {
        self
    }
    fn contacts(&mut self) -> &mut dyn ContactRepo {
        self
    }
    fn segments(&mut self) -> &mut dyn SegmentRepo {
        self
    }
    fn suppressions(&mut self) -> &mut dyn SuppressionRepo {
        self
    }
    fn events(&mut self) -> &mut dyn EventRepo {
        self
    }
    fn enrollments(&mut self) -> &mut dyn EnrollmentRepo {
        self
    }
    fn analytics(&mut self) -> &mut dyn AnalyticsRepo {
        self
    }
    fn deliveries(&mut self) -> &mut dyn DeliveryRepo {
        self
    }
    fn feedback(&mut self) -> &mut dyn FeedbackRepo {
        self
    }
    fn hooks(&mut self) -> &mut dyn HookRepo {
        self
    }
    fn keys(&mut self) -> &mut dyn KeyRepo {
        self
    }
    fn idempotency(&mut self) -> &mut dyn IdempotencyRepo {
        self
    }

    async fn now(&mut self) -> StoreResult<DateTime<Utc>> {
        if let Some(now) = self.now {
            return Ok(now);
        }
        let now = business_time(&self.tx).await?;
        self.now = Some(now);
        Ok(now)
    }

    async fn savepoint(&mut self) -> StoreResult<()> {
        self.saved.clone_from(&self.entries);
        self.conn().batch_execute("SAVEPOINT story").await.store()
    }

    async fn rollback_to_savepoint(&mut self) -> StoreResult<()> {
        self.entries.clone_from(&self.saved);
        self.conn().batch_execute("ROLLBACK TO SAVEPOINT story").await.store()
    }

    async fn commit(mut self: Box<Self>) -> StoreResult<()> {
        match self.post_entries().await {
            Ok(()) => self.tx.commit().await,
            Err(error) => {
                let _ = self.tx.rollback().await;
                Err(error)
            }
        }
    }

    async fn rollback(self: Box<Self>) -> StoreResult<()> {
        self.tx.rollback().await
    }
}
