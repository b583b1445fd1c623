//! The one way to a connection: a transaction under a role that row-level security binds.

use super::error::{StoreErrorExt, classify};
use diesel_async::pooled_connection::deadpool::Object;
use diesel_async::{AnsiTransactionManager, AsyncPgConnection, TransactionManager};
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
pub(crate) struct PgTx {
    conn: Object<AsyncPgConnection>,
}

impl PgTx {
    /// Opens a transaction on `conn`; gives the connection back to nobody when that fails.
    pub(super) async fn begin(
        mut conn: Object<AsyncPgConnection>,
        role: Role,
        patience: Patience,
    ) -> Result<Self, muster_domain::ports::store::StoreError> {
        match AnsiTransactionManager::begin_transaction_sql(&mut *conn, &role.begin_sql(patience)).await {
            Ok(()) => Ok(Self { conn }),
            Err(error) => {
                drop(Object::take(conn));
                Err(classify(error))
            }
        }
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
