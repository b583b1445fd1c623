//! The one way to a connection: a transaction under a role that row-level security binds.

use super::error::{StoreErrorExt, classify};
use async_trait::async_trait;
use diesel::connection::{TransactionDepthChange, TransactionManagerStatus};
use diesel::result::Error;
use diesel_async::pooled_connection::deadpool::Object;
use diesel_async::{AnsiTransactionManager, AsyncPgConnection, SimpleAsyncConnection, TransactionManager};
use muster_domain::model::ids::TenantNo;
use muster_domain::ports::store::StoreResult;
use std::ops::{Deref, DerefMut};

/// In whose name a transaction runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// The application, seeing the rows of one tenant.
    App(TenantNo),
    /// The scheduler, seeing numbers, states and times of all tenants and nothing personal.
    Scheduler,
}

/// How long a transaction's statements may take, and how long it may stand idle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Patience {
    /// A request: 30 s a statement, 60 s idle.
    Request,
    /// The claim, begin and end of deliveries: a stopped process must lose its session, and with it the right to commit.
    /// Plans are made once for any values: nothing is known yet of a campaign that was launched a moment ago.
    Delivery,
}

/// What a connection is told once: the patience of requests.
pub(super) const SESSION: &str = "SET statement_timeout = '30s'; SET idle_in_transaction_session_timeout = '60s'";

impl Role {
    /// What opens the transaction, in one round trip. Numbers only: nothing here needs quoting.
    fn begin_sql(self, patience: Patience) -> String {
        let limits = match patience {
            // The session's own: see `SESSION`.
            Patience::Request => "",
            Patience::Delivery => {
                "; SET LOCAL statement_timeout = '10s'; SET LOCAL idle_in_transaction_session_timeout = '2s'; \
                 SET LOCAL plan_cache_mode = force_generic_plan"
            }
        };
        match self {
            Role::App(TenantNo(no)) => {
                format!("BEGIN; SET LOCAL ROLE muster_app; SET LOCAL app.tenant_no = '{no}'{limits}")
            }
            Role::Scheduler => format!("BEGIN; SET LOCAL ROLE muster_scheduler{limits}"),
        }
    }
}

/// An open transaction. Dropping it without an end makes the pool close its connection.
///
/// # Statements in one flight
///
/// A shared reference to the connection is enough to send a statement, so several may be under way at once: polled
/// together (`try_join!`), they are sent together, and the server runs them one after the other in that order, each with
/// a snapshot of its own. One flight costs one wait, however many statements it carries. The first that fails makes the
/// rest fail, too. `futures::try_join!` keeps the order; `tokio::try_join!` does not.
pub(crate) struct PgTx {
    conn: Object<AsyncPgConnection>,
}

/// Statements that are sent together with the `BEGIN` of their transaction. A connection that turns out dead is told them in
/// vain, so they may be asked again. They must only read, or lock: should `BEGIN` itself be refused, they run outside.
#[async_trait]
pub(crate) trait First: Sync {
    /// What they come to.
    type Answer: Send;

    /// Sends them, all in the first poll, and waits.
    async fn ask(&self, conn: &AsyncPgConnection) -> StoreResult<Self::Answer>;
}

/// Nothing is asked with the `BEGIN`.
pub(super) struct Nothing;

#[async_trait]
impl First for Nothing {
    type Answer = ();

    async fn ask(&self, _: &AsyncPgConnection) -> StoreResult<()> {
        Ok(())
    }
}

impl PgTx {
    /// Opens a transaction on `conn` and asks `first`, in one flight; gives the connection back to nobody when that fails.
    pub(super) async fn begin<F: First>(
        conn: Object<AsyncPgConnection>,
        role: Role,
        patience: Patience,
        first: &F,
    ) -> StoreResult<(Self, F::Answer)> {
        let mut tx = Self { conn };
        match tx.begin_asking(&role.begin_sql(patience), first).await {
            Ok(asked) => Ok((tx, asked)),
            Err(error) => {
                drop(Object::take(tx.conn));
                Err(error)
            }
        }
    }

    async fn begin_asking<F: First>(&mut self, sql: &str, first: &F) -> StoreResult<F::Answer> {
        // Counted as open from here on, so that a begin that nobody waits for does not go back to the pool.
        match AnsiTransactionManager::transaction_manager_status_mut(&mut *self.conn) {
            TransactionManagerStatus::Valid(status) => {
                status.change_transaction_depth(TransactionDepthChange::IncreaseDepth).store()?;
            }
            TransactionManagerStatus::InError => return Err(classify(Error::BrokenTransactionManager)),
        }
        let conn: &AsyncPgConnection = &self.conn;
        let mut sender = conn;
        let (begun, asked) = futures::join!(sender.batch_execute(sql), first.ask(conn));
        begun.store()?;
        asked
    }

    /// Makes it lasting. After an error nobody knows: read again before acting on it.
    pub(crate) async fn commit(mut self) -> StoreResult<()> {
        match AnsiTransactionManager::commit_transaction(&mut *self.conn).await {
            Ok(()) => Ok(()),
            Err(error) => {
                drop(Object::take(self.conn));
                Err(classify(error))
            }
        }
    }

    /// Undoes it.
    pub(crate) async fn rollback(mut self) -> StoreResult<()> {
        AnsiTransactionManager::rollback_transaction(&mut *self.conn).await.store()
    }
}

impl Deref for PgTx {
    type Target = AsyncPgConnection;
    fn deref(&self) -> &Self::Target {
        &self.conn
    }
}

impl DerefMut for PgTx {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.conn
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::pool::{PgStore, PoolOptions};
    use crate::postgres::prepared::prepared;
    use diesel::QueryableByName;
    use diesel::sql_types::{Nullable, Text};
    use diesel_async::RunQueryDsl;
    use futures::{FutureExt, try_join};
    use muster_testkit::database::TestDatabase;
    use std::time::Duration;

    #[derive(QueryableByName)]
    struct Said {
        #[diesel(sql_type = Nullable<Text>)]
        said: Option<String>,
    }

    async fn ask(mut conn: &AsyncPgConnection, sql: &'static str) -> StoreResult<Option<String>> {
        prepared(sql).get_result::<Said>(&mut conn).await.store().map(|row| row.said)
    }

    const SAY: [&str; 3] = [
        "SELECT set_config('muster.flight', 'first', true) AS said",
        "SELECT set_config('muster.flight', current_setting('muster.flight') || ' second', true) AS said",
        "SELECT current_setting('muster.flight', true) AS said",
    ];

    const BACKEND: &str = "SELECT pg_backend_pid()::text AS said";

    async fn store() -> (TestDatabase, PgStore) {
        let database = TestDatabase::create().await;
        let options = PoolOptions { max_size: 1, wait: Duration::from_secs(5) };
        let store = PgStore::new(database.url(), options).unwrap();
        (database, store)
    }

    /// Locks come before what is read under them only if this holds for statements that have to be prepared, too.
    #[tokio::test]
    async fn statements_of_one_flight_run_in_their_order_whichever_are_prepared_already() {
        for prepared_before in 0..8_usize {
            let (_database, store) = store().await;
            let tx = store.open(Role::Scheduler, Patience::Request).await.unwrap();
            ask(&tx, "SELECT set_config('muster.flight', '', true) AS said").await.unwrap();
            for (n, sql) in SAY.into_iter().enumerate().filter(|(n, _)| prepared_before & (1 << n) != 0) {
                ask(&tx, sql).await.unwrap_or_else(|error| panic!("statement {n}: {error}"));
            }
            let (one, two, three) = try_join!(ask(&tx, SAY[0]), ask(&tx, SAY[1]), ask(&tx, SAY[2])).unwrap();
            let said = [one, two, three].map(Option::unwrap);
            assert_eq!(said, ["first", "first second", "first second"], "prepared before: {prepared_before:03b}");
        }
    }

    struct Fails;

    #[async_trait]
    impl First for Fails {
        type Answer = ();

        async fn ask(&self, conn: &AsyncPgConnection) -> StoreResult<()> {
            try_join!(ask(conn, "SELECT (1 / 0)::text AS said"), ask(conn, SAY[2]))?;
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_transaction_whose_first_question_fails_is_not_opened_and_leaves_nothing_behind() {
        let (_database, store) = store().await;
        assert!(store.open_asking(Role::Scheduler, Patience::Request, &Fails).await.is_err());
        let tx = store.open(Role::Scheduler, Patience::Request).await.unwrap();
        assert_eq!(ask(&tx, "SELECT current_user::text AS said").await.unwrap().as_deref(), Some("muster_scheduler"));
    }

    #[tokio::test]
    async fn an_opening_that_nobody_waits_for_is_not_taken_up_by_the_next() {
        let (_database, store) = store().await;
        let tx = store.open(Role::Scheduler, Patience::Request).await.unwrap();
        let before = ask(&tx, BACKEND).await.unwrap();
        tx.commit().await.unwrap();
        let mut opening = Box::pin(store.open(Role::Scheduler, Patience::Request));
        assert!(opening.as_mut().now_or_never().is_none(), "the answer cannot be there already");
        drop(opening);
        let tx = store.open(Role::App(TenantNo(7)), Patience::Request).await.unwrap();
        assert_ne!(ask(&tx, BACKEND).await.unwrap(), before, "its transaction may be open");
    }
}
