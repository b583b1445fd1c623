//! [`UnitOfWork`] over one [`PgTx`], which opens with its first statement; the repositories are implemented on it, one file
//! each.

use super::books;
use super::error::StoreErrorExt;
use super::pool::PgStore;
use super::tx::{Patience, PgTx, Role};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use futures::try_join;
use muster_domain::model::books::BookEntries;
use muster_domain::model::ids::CampaignNo;
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
use muster_domain::ports::store::{StoreError, StoreResult, UnitOfWork, Workspace};
use muster_domain::ports::suppressions::SuppressionRepo;
use std::collections::BTreeMap;

/// One transaction of one workspace.
pub struct PgUnit {
    store: PgStore,
    role: Role,
    state: State,
    of: Workspace,
    now: Option<DateTime<Utc>>,
    /// What the commit posts, and as much of it as there was at the savepoint.
    entries: Entries,
    saved: Entries,
    /// Whether the commit makes an answer known that a repeated request gets.
    #[cfg(feature = "fault-injection")]
    answers: bool,
}

enum State {
    /// Nothing was asked yet.
    Unopened,
    Open(Box<PgTx>),
    /// What was asked first failed, and the transaction with it.
    Failed,
}

type Entries = BTreeMap<CampaignNo, BookEntries>;

impl PgUnit {
    /// A transaction under `role` that is still to be opened.
    pub(crate) fn new(store: PgStore, role: Role, of: Workspace) -> Self {
        Self {
            store,
            role,
            state: State::Unopened,
            of,
            now: None,
            entries: Entries::new(),
            saved: Entries::new(),
            #[cfg(feature = "fault-injection")]
            answers: false,
        }
    }

    /// The answer to the request was stored.
    #[cfg(feature = "fault-injection")]
    pub(crate) fn answers(&mut self) {
        self.answers = true;
    }

    /// The connection, under the application's role and the tenant of [`PgUnit::of`].
    pub(crate) async fn conn(&mut self) -> StoreResult<&mut AsyncPgConnection> {
        if let State::Unopened = self.state {
            self.ask(async |_: &AsyncPgConnection| Ok(())).await?;
        }
        match &mut self.state {
            State::Open(tx) => Ok(tx),
            State::Unopened | State::Failed => Err(failed_before()),
        }
    }

    /// Asks what only reads or locks. When it is the first that is asked, the transaction opens in the same flight: see
    /// [`PgStore::open_asking`].
    pub(crate) async fn ask<T>(
        &mut self,
        ask: impl AsyncFnOnce(&AsyncPgConnection) -> StoreResult<T> + Clone,
    ) -> StoreResult<T> {
        match &self.state {
            State::Open(tx) => ask(tx).await,
            State::Failed => Err(failed_before()),
            State::Unopened => {
                self.state = State::Failed;
                let (tx, answer) = self.store.open_asking(self.role, Patience::Request, ask).await?;
                self.state = State::Open(Box::new(tx));
                Ok(answer)
            }
        }
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
        ask: impl AsyncFnOnce(&AsyncPgConnection) -> StoreResult<T> + Clone,
    ) -> StoreResult<T> {
        if self.now.is_some() {
            return self.ask(ask).await;
        }
        let (answer, now) = self.ask(async move |conn| try_join!(ask(conn), business_time(conn))).await?;
        self.now = Some(now);
        Ok(answer)
    }

    async fn post_entries(&mut self) -> StoreResult<()> {
        let entries = std::mem::take(&mut self.entries);
        if entries.is_empty() {
            return Ok(());
        }
        let tenant = self.of.tenant;
        books::post_all(self.conn().await?, tenant, &entries).await
    }
}

/// Nothing goes on in a transaction after its first failure, as the server has it for each later one.
fn failed_before() -> StoreError {
    super::internal("the transaction failed before")
}

diesel::define_sql_function! {
    /// Business time, see the migration `business_clock`.
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
        let now = self.ask(business_time).await?;
        self.now = Some(now);
        Ok(now)
    }

    async fn savepoint(&mut self) -> StoreResult<()> {
        self.saved.clone_from(&self.entries);
        self.conn().await?.batch_execute("SAVEPOINT story").await.store()
    }

    async fn rollback_to_savepoint(&mut self) -> StoreResult<()> {
        self.entries.clone_from(&self.saved);
        self.conn().await?.batch_execute("ROLLBACK TO SAVEPOINT story").await.store()
    }

    async fn commit(mut self: Box<Self>) -> StoreResult<()> {
        let posted = self.post_entries().await;
        match (self.state, posted) {
            (State::Open(tx), Ok(())) => {
                let committed = tx.commit().await;
                #[cfg(feature = "fault-injection")]
                if self.answers && committed.is_ok() {
                    crate::faults::point("answered");
                }
                committed
            }
            (State::Open(tx), Err(error)) => {
                let _ = tx.rollback().await;
                Err(error)
            }
            (State::Failed, _) => Err(failed_before()),
            (State::Unopened, posted) => posted,
        }
    }

    async fn rollback(self: Box<Self>) -> StoreResult<()> {
        match self.state {
            State::Open(tx) => tx.rollback().await,
            State::Unopened | State::Failed => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::pool::PoolOptions;
    use muster_domain::model::ids::{TenantNo, WorkspaceNo};
    use muster_testkit::database::TestDatabase;
    use std::time::Duration;

    const OF: Workspace = Workspace { tenant: TenantNo(1), workspace: WorkspaceNo(1) };

    diesel::define_sql_function! {
        /// The server process behind the connection.
        fn pg_backend_pid() -> diesel::sql_types::Integer;
    }

    async fn backend(mut conn: &AsyncPgConnection) -> StoreResult<i32> {
        diesel::select(pg_backend_pid()).get_result(&mut conn).await.store()
    }

    /// One connection, for which nobody waits long.
    async fn store() -> (TestDatabase, PgStore) {
        let database = TestDatabase::create().await;
        let options = PoolOptions { max_size: 1, wait: Duration::from_millis(200) };
        let store = PgStore::new(database.url(), options).unwrap();
        (database, store)
    }

    fn unit(store: &PgStore) -> PgUnit {
        PgUnit::new(store.clone(), Role::App(OF.tenant), OF)
    }

    async fn commit(unit: PgUnit) -> StoreResult<()> {
        Box::new(unit).commit().await
    }

    #[tokio::test]
    async fn a_unit_takes_a_connection_with_its_first_statement_and_keeps_it_to_its_end() {
        let (_database, store) = store().await;
        let (idle, mut first, mut second, mut third) = (unit(&store), unit(&store), unit(&store), unit(&store));
        first.now().await.unwrap();
        assert!(matches!(second.now().await, Err(StoreError::Unavailable(_))), "the only connection is taken");
        commit(first).await.unwrap();
        third.conn().await.unwrap();
        commit(third).await.unwrap();
        commit(idle).await.unwrap();
    }

    #[tokio::test]
    async fn a_statement_sees_what_was_committed_before_it_whatever_the_database_is_set_to() {
        let database = TestDatabase::create().await;
        let set = "DO $$BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_isolation = serializable', current_database()); END$$";
        database.run_sql(set).await;
        let store = PgStore::new(database.url(), PoolOptions { max_size: 1, wait: Duration::from_secs(10) }).unwrap();
        for role in [Role::App(OF.tenant), Role::Reader(OF.tenant), Role::Scheduler] {
            let mut unit = PgUnit::new(store.clone(), role, OF);
            let raised = "DO $$BEGIN ASSERT current_setting('transaction_isolation') = 'read committed'; END$$";
            unit.conn().await.unwrap().batch_execute(raised).await.unwrap();
            commit(unit).await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_database_tells_which_it_is() {
        let ((_one, first), (_other, second)) = (store().await, store().await);
        let identity = first.identity().await.unwrap();
        assert_eq!(first.identity().await.unwrap(), identity);
        assert_ne!(second.identity().await.unwrap(), identity, "of the same cluster");
        assert!(identity.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-'), "the name of a folder: {identity}");
    }

    /// Ends every other session, while this thread looks at none of its connections.
    fn end_sessions_unseen(database: &TestDatabase) {
        let sql = "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity \
                   WHERE datname = current_database() AND pid <> pg_backend_pid()";
        let run = || tokio::runtime::Runtime::new().unwrap().block_on(database.run_sql(sql));
        std::thread::scope(|scope| scope.spawn(run).join().unwrap());
    }

    #[tokio::test]
    async fn a_connection_that_died_between_two_units_is_replaced_whatever_is_asked_first() {
        let (database, store) = store().await;
        for asked_first in [true, false] {
            let mut before = unit(&store);
            let died = before.ask(backend).await.unwrap();
            commit(before).await.unwrap();
            end_sessions_unseen(&database);
            let mut unit = unit(&store);
            if !asked_first {
                unit.conn().await.unwrap();
            }
            assert_ne!(unit.ask(backend).await.unwrap(), died);
            commit(unit).await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_first_question_that_takes_too_long_is_asked_once_and_ends_the_unit_and_not_the_connection() {
        let (database, store) = store().await;
        let mut before = unit(&store);
        let alive = before.ask(backend).await.unwrap();
        before.conn().await.unwrap().batch_execute("SET SESSION statement_timeout = '100ms'").await.unwrap();
        commit(before).await.unwrap();
        database.run_sql("CREATE SEQUENCE asked; GRANT USAGE ON SEQUENCE asked TO muster_app").await;
        let slow = async |mut conn: &AsyncPgConnection| {
            conn.batch_execute("SELECT nextval('asked'), pg_sleep(60)").await.store()
        };
        let mut unit = unit(&store);
        assert!(matches!(unit.ask(slow).await, Err(StoreError::Unavailable(_))));
        assert!(matches!(unit.conn().await, Err(StoreError::Internal(_))));
        assert!(matches!(unit.ask(backend).await, Err(StoreError::Internal(_))));
        assert!(matches!(commit(unit).await, Err(StoreError::Internal(_))));
        let mut after = super::tests::unit(&store);
        assert_eq!(after.ask(backend).await.unwrap(), alive);
        after.conn().await.unwrap().batch_execute("SELECT nextval('asked')").await.unwrap();
        commit(after).await.unwrap();
        database.run_sql("SELECT 1 / (last_value = 2)::int FROM asked").await;
    }
}
