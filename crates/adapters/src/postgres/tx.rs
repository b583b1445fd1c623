//! The one way to a connection: a transaction under a role that row-level security binds.

use super::error::{StoreErrorExt, classify};
use diesel::connection::{TransactionDepthChange, TransactionManagerStatus};
use diesel::result::Error;
use diesel_async::pooled_connection::deadpool::Object;
use diesel_async::{AnsiTransactionManager, AsyncPgConnection, SimpleAsyncConnection, TransactionManager};
use futures::FutureExt;
use muster_domain::model::ids::TenantNo;
use muster_domain::ports::store::{StoreError, StoreResult};
use std::ops::{Deref, DerefMut};

/// In whose name a transaction runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// The application, seeing the rows of one tenant.
    App(TenantNo),
    /// The same, changing nothing.
    Reader(TenantNo),
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

/// What a connection is told once: the patience of requests, and the isolation on which every barrier here builds. A statement after a
/// lock has to see what was committed before the lock was had, whatever the database's or the role's own setting is.
pub(super) const SESSION: &str = "SET statement_timeout = '30s'; SET idle_in_transaction_session_timeout = '60s'; \
    SET default_transaction_isolation = 'read committed'";

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
        let of_tenant = |begin, TenantNo(no)| {
            format!("{begin}; SET LOCAL ROLE muster_app; SET LOCAL app.tenant_no = '{no}'{limits}")
        };
        match self {
            Role::App(tenant) => of_tenant("BEGIN", tenant),
            Role::Reader(tenant) => of_tenant("BEGIN READ ONLY", tenant),
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
    role: Role,
}

/// Why there is no transaction.
pub(super) enum NotBegun {
    /// The database is there and said no, or took too long: it would again.
    Refused(StoreError),
    /// The connection is dead, and given back to nobody.
    Lost(StoreError),
}

impl PgTx {
    /// Opens a transaction on `conn` and asks `first`, in one flight.
    ///
    /// What is asked must send all it sends in its first poll. Should `BEGIN` itself be refused, it runs outside: so it only
    /// reads, or locks, or changes nothing where no tenant is set.
    pub(super) async fn begin<T>(
        conn: Object<AsyncPgConnection>,
        role: Role,
        patience: Patience,
        first: impl AsyncFnOnce(&AsyncPgConnection) -> StoreResult<T>,
    ) -> Result<(Self, T), NotBegun> {
        let mut tx = Self { conn, role };
        match tx.begin_asking(&role.begin_sql(patience), first).await {
            Ok(asked) => Ok((tx, asked)),
            Err(error) if tx.undo().await.is_ok() => Err(NotBegun::Refused(error)),
            Err(error) => {
                drop(Object::take(tx.conn));
                Err(NotBegun::Lost(error))
            }
        }
    }

    async fn begin_asking<T>(
        &mut self,
        sql: &str,
        first: impl AsyncFnOnce(&AsyncPgConnection) -> StoreResult<T>,
    ) -> StoreResult<T> {
        // Counted as open from here on, so that a begin that nobody waits for does not go back to the pool.
        self.count(TransactionDepthChange::IncreaseDepth)?;
        let conn: &AsyncPgConnection = &self.conn;
        let mut sender = conn;
        let (begun, asked) = futures::join!(sender.batch_execute(sql), first(conn));
        begun.store()?;
        asked
    }

    fn count(&mut self, change: TransactionDepthChange) -> StoreResult<()> {
        match AnsiTransactionManager::transaction_manager_status_mut(&mut *self.conn) {
            TransactionManagerStatus::Valid(status) => status.change_transaction_depth(change).store(),
            TransactionManagerStatus::InError => Err(classify(Error::BrokenTransactionManager)),
        }
    }

    /// Makes it lasting. After an error nobody knows: read again before acting on it.
    pub(crate) async fn commit(mut self) -> StoreResult<()> {
        if let Role::Reader(_) = self.role {
            self.leave();
            return Ok(());
        }
        match AnsiTransactionManager::commit_transaction(&mut *self.conn).await {
            Ok(()) => Ok(()),
            Err(error) => {
                drop(Object::take(self.conn));
                Err(classify(error))
            }
        }
    }

    /// Ends what changed nothing, and waits for no answer: whatever it is, it makes no difference. The connection's next
    /// statements are sent behind it.
    fn leave(mut self) {
        let mut sender: &AsyncPgConnection = &self.conn;
        let refused = matches!(sender.batch_execute("COMMIT").now_or_never(), Some(Err(_)));
        if refused || self.count(TransactionDepthChange::DecreaseDepth).is_err() {
            drop(Object::take(self.conn));
        }
    }

    /// Undoes it.
    pub(crate) async fn rollback(mut self) -> StoreResult<()> {
        self.undo().await
    }

    async fn undo(&mut self) -> StoreResult<()> {
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
    use futures::try_join;
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

    #[tokio::test]
    async fn a_transaction_whose_first_question_fails_is_not_opened_and_leaves_nothing_behind() {
        let (_database, store) = store().await;
        let failing =
            async |conn: &AsyncPgConnection| try_join!(ask(conn, "SELECT (1 / 0)::text AS said"), ask(conn, SAY[2]));
        assert!(store.open_asking(Role::Scheduler, Patience::Request, failing).await.is_err());
        let tx = store.open(Role::Scheduler, Patience::Request).await.unwrap();
        assert_eq!(ask(&tx, "SELECT current_user::text AS said").await.unwrap().as_deref(), Some("muster_scheduler"));
    }

    #[tokio::test]
    async fn a_reader_may_only_read_and_leaves_its_connection_to_the_next_as_it_was() {
        const STATE: &str = "SELECT format('%s, read only %s, tenant %s', current_user, current_setting('transaction_read_only'), \
            current_setting('app.tenant_no', true)) AS said";
        let (_database, store) = store().await;
        let reader = store.open(Role::Reader(TenantNo(7)), Patience::Request).await.unwrap();
        assert_eq!(ask(&reader, STATE).await.unwrap().unwrap(), "muster_app, read only on, tenant 7");
        let backend = ask(&reader, BACKEND).await.unwrap();
        reader.commit().await.unwrap();
        let tx = store.open(Role::App(TenantNo(8)), Patience::Request).await.unwrap();
        assert_eq!(ask(&tx, BACKEND).await.unwrap(), backend, "the connection is used again");
        assert_eq!(ask(&tx, STATE).await.unwrap().unwrap(), "muster_app, read only off, tenant 8");
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
