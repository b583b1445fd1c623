//! The pool, and opening transactions from it.

use super::sequences::SequenceCache;
use super::tx::{NotBegun, Patience, PgTx, Role, SESSION};
use super::unit::PgUnit;
use async_trait::async_trait;
use diesel::{ConnectionError, ConnectionResult};
use diesel_async::pooled_connection::deadpool::Pool;
use diesel_async::pooled_connection::{AsyncDieselConnectionManager, ManagerConfig, RecyclingMethod};
use diesel_async::{AsyncConnection, AsyncPgConnection, SimpleAsyncConnection};
use futures::FutureExt;
use muster_domain::ports::store::{Store, StoreError, StoreResult, Tx, Workspace};
use secrecy::{ExposeSecret, SecretString};
use std::sync::Arc;
use std::time::Duration;

/// How big a pool is and how long it makes a caller wait.
#[derive(Debug, Clone, Copy)]
pub struct PoolOptions {
    /// Connections at most.
    pub max_size: usize,
    /// How long a caller waits for one before it is told that storage is unavailable.
    pub wait: Duration,
}

impl Default for PoolOptions {
    fn default() -> Self {
        Self { max_size: 10, wait: Duration::from_secs(5) }
    }
}

/// Storage over one PostgreSQL. Cheap to clone; connects when first used.
#[derive(Clone)]
pub struct PgStore {
    pool: Pool<AsyncPgConnection>,
    sequences: Arc<SequenceCache>,
}

impl PgStore {
    /// Makes a pool. Nothing is connected yet, so that a program can start before its database.
    pub fn new(database_url: &SecretString, options: PoolOptions) -> StoreResult<Self> {
        #[cfg(feature = "fault-injection")]
        let options = PoolOptions { max_size: crate::faults::pool_size().unwrap_or(options.max_size), ..options };
        let mut config = ManagerConfig::default();
        // A connection that died while idle shows when its transaction begins, and is replaced there.
        config.recycling_method = RecyclingMethod::Fast;
        config.custom_setup = Box::new(|url| connect(url).boxed());
        let manager = AsyncDieselConnectionManager::new_with_config(database_url.expose_secret(), config);
        let pool = Pool::builder(manager)
            .max_size(options.max_size)
            .wait_timeout(Some(options.wait))
            .create_timeout(Some(options.wait))
            .runtime(deadpool::Runtime::Tokio1)
            .build()
            .map_err(super::internal)?;
        Ok(Self { pool, sequences: Arc::default() })
    }

    /// Opens a transaction.
    pub(crate) async fn open(&self, role: Role, patience: Patience) -> StoreResult<PgTx> {
        Ok(self.open_asking(role, patience, async |_: &AsyncPgConnection| Ok(())).await?.0)
    }

    /// Opens a transaction and asks `first` in the same flight. A connection that turns out dead is replaced by the next,
    /// until a fresh one fails; each is asked, for what `first` may do see [`PgTx::begin`].
    pub(crate) async fn open_asking<T>(
        &self,
        role: Role,
        patience: Patience,
        first: impl AsyncFnOnce(&AsyncPgConnection) -> StoreResult<T> + Clone,
    ) -> StoreResult<(PgTx, T)> {
        let mut tries = self.pool.status().max_size + 1;
        loop {
            let conn =
                self.pool.get().await.map_err(|error| StoreError::Unavailable(Box::new(Absent::from(&error))))?;
            let fresh = diesel_async::pooled_connection::deadpool::Object::metrics(&conn).recycle_count == 0;
            match PgTx::begin(conn, role, patience, first.clone()).await {
                Ok(begun) => return Ok(begun),
                Err(NotBegun::Lost(_)) if !fresh && tries > 0 => tries -= 1,
                Err(NotBegun::Lost(error) | NotBegun::Refused(error)) => return Err(error),
            }
        }
    }

    /// A transaction of the application for one tenant, with the patience of a request.
    pub(crate) async fn app(&self, tenant: muster_domain::model::ids::TenantNo) -> StoreResult<PgTx> {
        self.open(Role::App(tenant), Patience::Request).await
    }

    /// A transaction of the scheduler over all tenants.
    pub(crate) async fn scheduler(&self) -> StoreResult<PgTx> {
        self.open(Role::Scheduler, Patience::Request).await
    }

    /// Sequence versions read before.
    pub(crate) fn sequences(&self) -> &SequenceCache {
        &self.sequences
    }

    /// Connections in use and connections there are, for metrics.
    pub fn usage(&self) -> (usize, usize) {
        let status = self.pool.status();
        (status.size.saturating_sub(status.available), status.size)
    }
}

/// A new connection with the patience of requests.
async fn connect(url: &str) -> ConnectionResult<AsyncPgConnection> {
    let mut conn = AsyncPgConnection::establish(url).await?;
    conn.batch_execute(SESSION).await.map_err(ConnectionError::CouldntSetupConfiguration)?;
    Ok(conn)
}

/// Why no connection could be had; repeats nothing of the connection string.
#[derive(Debug, thiserror::Error)]
enum Absent {
    #[error("every connection was in use")]
    Exhausted,
    #[error("the database cannot be reached")]
    Unreachable,
}

impl From<&diesel_async::pooled_connection::deadpool::PoolError> for Absent {
    fn from(error: &diesel_async::pooled_connection::deadpool::PoolError) -> Self {
        match error {
            deadpool::managed::PoolError::Timeout(deadpool::managed::TimeoutType::Wait) => Absent::Exhausted,
            _ => Absent::Unreachable,
        }
    }
}

#[async_trait]
impl Store for PgStore {
    async fn begin(&self, of: Workspace) -> StoreResult<Tx> {
        Ok(Tx::new(of, Box::new(PgUnit::new(self.clone(), Role::App(of.tenant), of))))
    }

    async fn begin_read_only(&self, of: Workspace) -> StoreResult<Tx> {
        Ok(Tx::new(of, Box::new(PgUnit::new(self.clone(), Role::Reader(of.tenant), of))))
    }
}
