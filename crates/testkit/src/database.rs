//! A database of its own for every test, and a server of its own for tests of faults.
//!
//! Each test *process* starts one throwaway server on a copy of a cached, already migrated data folder
//! (a fraction of a second) and each test gets a copy of the migrated database (some ten milliseconds). The server
//! dies with its process, whatever that dies of. `MUSTER_PG_BIN` names the PostgreSQL to use, if not the usual one.

mod cluster;
mod template;

use cluster::Cluster;
use diesel_async::{AsyncConnection, AsyncPgConnection, SimpleAsyncConnection};
use muster_adapters::embedded::Shutdown;
use secrecy::{ExposeSecret, SecretString};
use std::sync::Arc;
use tokio::sync::OnceCell;

/// The server that the tests of this process share.
static SHARED: OnceCell<Arc<Cluster>> = OnceCell::const_new();

/// A database of its own; dropped, with whoever is connected, when this is.
#[derive(Debug)]
pub struct TestDatabase {
    name: String,
    url: SecretString,
    cluster: Arc<Cluster>,
}

impl TestDatabase {
    /// A migrated database on the server that the tests of this process share.
    ///
    /// # Panics
    /// When no server can be started, with the reason.
    pub async fn create() -> Self {
        Self::on(shared().await, Some(template::DATABASE)).await
    }

    /// A database without any migration, for tests of the migrations themselves.
    ///
    /// # Panics
    /// When no server can be started, with the reason.
    pub async fn create_empty() -> Self {
        Self::on(shared().await, None).await
    }

    async fn on(cluster: Arc<Cluster>, template: Option<&str>) -> Self {
        let (name, url) = or_panic(cluster.create_database(template).await);
        Self { name, url, cluster }
    }

    /// Where it is, for its superuser.
    pub fn url(&self) -> &SecretString {
        &self.url
    }

    /// A new connection as its superuser, for checks beside the code under test.
    ///
    /// # Panics
    /// When the server does not answer.
    pub async fn connect(&self) -> AsyncPgConnection {
        or_panic(AsyncPgConnection::establish(self.url.expose_secret()).await.map_err(Into::into))
    }

    /// Runs statements as its superuser, on a connection of their own.
    ///
    /// # Panics
    /// When one of them fails.
    pub async fn run_sql(&self, sql: &str) {
        or_panic(self.connect().await.batch_execute(sql).await.map_err(Into::into));
    }
}

impl TestDatabase {
    /// Runs statements as its superuser in a transaction that stays open, with the locks it took.
    ///
    /// # Panics
    /// When one of them fails.
    pub async fn hold(&self, sql: &str) -> HeldTransaction {
        let mut connection = self.connect().await;
        or_panic(connection.batch_execute(&format!("BEGIN; {sql}")).await.map_err(Into::into));
        HeldTransaction { connection }
    }

    /// Waits until so many sessions of this database wait for a lock; half a minute at most.
    ///
    /// # Panics
    /// When they do not come to wait.
    pub async fn until_locks_are_awaited(&self, sessions: usize) {
        let waiting = "SELECT count(DISTINCT pid) FROM pg_locks WHERE NOT granted AND pid IN \
            (SELECT pid FROM pg_stat_activity WHERE datname = current_database())";
        self.run_sql(&format!(
            "SET statement_timeout = '30s'; DO $$ BEGIN WHILE ({waiting}) < {sessions} LOOP \
             PERFORM pg_sleep(0.005), pg_stat_clear_snapshot(); END LOOP; END $$"
        ))
        .await;
    }
}

/// A transaction that holds what it took until it is released or dropped.
pub struct HeldTransaction {
    connection: AsyncPgConnection,
}

impl HeldTransaction {
    /// Takes or changes more.
    ///
    /// # Panics
    /// When it fails, as a lock does that somebody else holds, asked for with `NOWAIT`.
    pub async fn run(&mut self, sql: &str) {
        or_panic(self.connection.batch_execute(sql).await.map_err(Into::into));
    }

    /// Ends it.
    ///
    /// # Panics
    /// When the session is gone.
    pub async fn release(mut self) {
        or_panic(self.connection.batch_execute("COMMIT").await.map_err(Into::into));
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        self.cluster.drop_database(std::mem::take(&mut self.name));
    }
}

/// A server of its own, for tests that stop it, kill it or start it again. Stopped and removed when dropped.
#[derive(Debug)]
pub struct TestCluster {
    cluster: Arc<Cluster>,
}

impl TestCluster {
    /// Starts a server.
    ///
    /// # Panics
    /// When it cannot be started, with the reason.
    pub async fn start() -> Self {
        Self { cluster: Arc::new(or_panic(Cluster::start().await)) }
    }

    /// A migrated database on this server. Its url stays the same when the server is started again.
    ///
    /// # Panics
    /// When the server does not run.
    pub async fn database(&self) -> TestDatabase {
        TestDatabase::on(Arc::clone(&self.cluster), Some(template::DATABASE)).await
    }

    /// Stops the server at once, as a crash does, and starts it again. Every commit that was answered is there again.
    ///
    /// # Panics
    /// When it does not come back.
    pub async fn restart_immediate(&self) {
        self.stop(Shutdown::Immediate).await;
        self.start_again().await;
    }

    /// Stops the server and leaves it stopped.
    ///
    /// # Panics
    /// When it cannot be stopped.
    pub async fn stop(&self, how: Shutdown) {
        or_panic(self.cluster.stop(how).await);
    }

    /// Starts the server again after [`TestCluster::stop`].
    ///
    /// # Panics
    /// When it does not come back.
    pub async fn start_again(&self) {
        or_panic(self.cluster.start_again().await);
    }
}

async fn shared() -> Arc<Cluster> {
    let started = SHARED.get_or_try_init(|| async { Cluster::start().await.map(Arc::new) }).await;
    Arc::clone(or_panic(started))
}

/// Tests have nobody to hand an error to; the message has the whole chain.
fn or_panic<T>(result: anyhow::Result<T>) -> T {
    result.unwrap_or_else(|error| panic!("test database: {error:#}"))
}
