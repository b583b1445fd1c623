//! A lent connection: reserve, confirm, abort, and back to the pool when it is still good.

use super::handshake::Connection;
use super::pool::Pool;
use super::transaction::{Afterwards, deliver, mail_from};
use async_trait::async_trait;
use muster_domain::model::delivery::{Attempt, SendOutcome};
use muster_domain::ports::transport::{DynJournal, MailSession, TransportError, WireMessage};
use std::sync::Arc;
use tokio::sync::OwnedSemaphorePermit;

/// Where the conversation stands. Set to [`Standing::Unknown`] before every exchange, so that a future dropped in the
/// middle of one leaves a connection that is closed, not one that answers the wrong question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Ready,
    Reserved,
    Unknown,
}

/// One lent connection.
#[derive(Debug)]
pub(super) struct SmtpSession {
    connection: Option<Connection>,
    standing: Standing,
    pool: Arc<Pool>,
    /// Given back after the connection, so that there are never more connections than sessions.
    permit: Option<OwnedSemaphorePermit>,
}

impl SmtpSession {
    pub(super) fn new(connection: Connection, pool: Arc<Pool>, permit: OwnedSemaphorePermit) -> Self {
        Self { connection: Some(connection), standing: Standing::Ready, pool, permit: Some(permit) }
    }

    async fn settle(&mut self, afterwards: Afterwards) {
        match afterwards {
            Afterwards::Ready => self.standing = Standing::Ready,
            Afterwards::NeedsReset => self.reset().await,
            Afterwards::Close => self.connection = None,
        }
    }

    /// `RSET`; a connection that does not take even that is closed, and so is one whose server waits for a message.
    async fn reset(&mut self) {
        self.standing = Standing::Unknown;
        self.connection.take_if(|connection| connection.ahead.is_some());
        let Some(connection) = self.connection.as_mut() else { return };
        match connection.wire.command(self.pool.limits().housekeeping, &["RSET"]).await {
            Ok(reply) if reply.is_positive() => self.standing = Standing::Ready,
            _ => self.connection = None,
        }
    }
}

#[async_trait]
impl MailSession for SmtpSession {
    async fn reserve(&mut self, message: &WireMessage) -> Result<(), TransportError> {
        if self.standing == Standing::Reserved {
            self.reset().await;
        }
        let connection = self.connection.as_mut().filter(|_| self.standing == Standing::Ready);
        let Some(connection) = connection else {
            return Err(TransportError::Unavailable("the connection is closed".to_owned()));
        };
        self.standing = Standing::Unknown;
        match mail_from(connection, message, self.pool.limits()).await {
            Ok(()) => {
                self.standing = Standing::Reserved;
                Ok(())
            }
            Err((error, afterwards)) => {
                self.settle(afterwards).await;
                Err(error)
            }
        }
    }

    async fn confirm(&mut self, attempt: Attempt, message: &WireMessage, journal: &DynJournal) -> SendOutcome {
        let connection = self.connection.as_mut().filter(|_| self.standing == Standing::Reserved);
        let Some(connection) = connection else {
            return SendOutcome::Retry { reason: "no sender was reserved".to_owned(), soft: false };
        };
        self.standing = Standing::Unknown;
        let (outcome, afterwards) = deliver(connection, attempt, message, journal, self.pool.limits()).await;
        self.settle(afterwards).await;
        outcome
    }

    async fn abort(&mut self) {
        match self.standing {
            Standing::Ready => {}
            Standing::Reserved => self.reset().await,
            Standing::Unknown => self.connection = None,
        }
    }
}

impl Drop for SmtpSession {
    fn drop(&mut self) {
        let ready = self.connection.take().filter(|_| self.standing == Standing::Ready);
        if let (Some(connection), Some(permit)) = (ready, self.permit.take()) {
            self.pool.give_back(connection, permit);
        }
    }
}
