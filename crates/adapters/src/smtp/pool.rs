//! Connections kept open between messages: at most as many as sessions, none older than the server's patience.

use super::config::{SmtpConfig, SmtpConfigError};
use super::grouping::Known;
use super::handshake::Connection;
use super::session::SmtpSession;
use super::timeouts::PhaseTimeouts;
use super::tls;
use async_trait::async_trait;
use muster_domain::ports::transport::{MailSession, MailTransport, TransportError};
use rustls::ClientConfig;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

/// After this many messages a connection is closed: servers count, and some refuse the next.
pub(super) const MESSAGES_AT_MOST: u32 = 500;

/// Sends through one mail server; clones share its connections.
#[derive(Debug, Clone)]
pub struct SmtpTransport {
    pool: Arc<Pool>,
}

impl SmtpTransport {
    /// A transport with the default timeouts. Opens no connection yet; reads the `tlsCa` file.
    pub fn new(config: SmtpConfig) -> Result<Self, SmtpConfigError> {
        Self::with_timeouts(config, PhaseTimeouts::default())
    }

    /// A transport with its own limits for every phase.
    pub fn with_timeouts(config: SmtpConfig, limits: PhaseTimeouts) -> Result<Self, SmtpConfigError> {
        let tls = tls::client_config(config.tls_ca.as_deref())?;
        let permits = Arc::new(Semaphore::new(config.sessions));
        let idle = Mutex::new(Idle { connections: Vec::with_capacity(config.sessions), swept: false });
        Ok(Self { pool: Arc::new(Pool { config, limits, tls, permits, idle, known: Known::default() }) })
    }

    /// Says good-bye on every idle connection. Sessions still lent are not touched.
    pub async fn close_idle(&self) {
        let connections = std::mem::take(&mut self.pool.idle().connections);
        futures::future::join_all(connections.into_iter().map(|connection| connection.quit(self.pool.limits))).await;
    }
}

#[async_trait]
impl MailTransport for SmtpTransport {
    async fn session(&self) -> Result<Box<dyn MailSession>, TransportError> {
        let pool = &self.pool;
        let waiting = Arc::clone(&pool.permits).acquire_owned();
        let Ok(Ok(permit)) = timeout(pool.limits.connect, waiting).await else {
            return Err(TransportError::Unavailable("all sessions are in use".to_owned()));
        };
        let connection = match pool.take_idle().await {
            Some(connection) => connection,
            None => Connection::open(&pool.config, &pool.tls, &pool.limits, pool.known.clone()).await?,
        };
        Ok(Box::new(SmtpSession::new(connection, Arc::clone(pool), permit)))
    }

    fn sessions_at_most(&self) -> usize {
        self.pool.config.sessions
    }
}

/// The idle connections of one transport.
#[derive(Debug)]
pub(super) struct Pool {
    config: SmtpConfig,
    limits: PhaseTimeouts,
    tls: Arc<ClientConfig>,
    permits: Arc<Semaphore>,
    idle: Mutex<Idle>,
    known: Known,
}

#[derive(Debug)]
struct Idle {
    /// The most recently used is last, and lent first: the others grow old and are closed.
    connections: Vec<Connection>,
    /// A task is under way that closes the old ones.
    swept: bool,
}

impl Pool {
    pub(super) fn limits(&self) -> &PhaseTimeouts {
        &self.limits
    }

    fn idle(&self) -> MutexGuard<'_, Idle> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The youngest idle connection that is alive.
    async fn take_idle(&self) -> Option<Connection> {
        loop {
            let mut connection = self.idle().connections.pop()?;
            let age = connection.idle_since.elapsed();
            if age > self.limits.idle || connection.wire.silent().is_err() {
                continue;
            }
            if age < self.limits.idle / 12 {
                return Some(connection);
            }
            // Asked here, where mostly no transaction waits for it, and not in `reserve`, where one always does.
            if connection.wire.command(self.limits.housekeeping, &["NOOP"]).await.is_ok_and(|reply| reply.is_positive())
            {
                return Some(connection);
            }
        }
    }

    /// Takes back a connection that is ready for its next message, and then the right to have one: that goes to nobody else
    /// while the server still counts this one.
    pub(super) fn give_back(self: &Arc<Self>, mut connection: Connection, permit: OwnedSemaphorePermit) {
        let Ok(runtime) = Handle::try_current() else { return };
        if connection.messages >= MESSAGES_AT_MOST {
            runtime.spawn(quit(connection, self.limits, permit));
            return;
        }
        connection.idle_since = Instant::now();
        let mut idle = self.idle();
        idle.connections.push(connection);
        if !std::mem::replace(&mut idle.swept, true) {
            runtime.spawn(sweep(Arc::downgrade(self), self.limits.idle / 4));
        }
    }

    /// Takes out what has been idle for too long; the second value says whether any is left.
    fn take_old(&self) -> (Vec<Connection>, bool) {
        let mut idle = self.idle();
        let (old, young): (Vec<_>, Vec<_>) =
            idle.connections.drain(..).partition(|connection| connection.idle_since.elapsed() >= self.limits.idle);
        idle.connections = young;
        idle.swept = !idle.connections.is_empty();
        (old, idle.swept)
    }
}

/// Says good-bye; the right to have a connection comes free after it.
async fn quit(connection: Connection, limits: PhaseTimeouts, permit: OwnedSemaphorePermit) {
    connection.quit(limits).await;
    drop(permit);
}

/// Closes connections as they grow old; ends with the last of them, or with the pool.
async fn sweep(pool: Weak<Pool>, every: Duration) {
    loop {
        tokio::time::sleep(every).await;
        let Some(pool) = pool.upgrade() else { return };
        let (old, more) = pool.take_old();
        for connection in old {
            // When all sessions are lent meanwhile there is no time for a good-bye: it is closed.
            if let Ok(permit) = Arc::clone(&pool.permits).try_acquire_owned() {
                quit(connection, pool.limits, permit).await;
            }
        }
        if !more {
            return;
        }
    }
}
