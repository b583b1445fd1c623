//! A lent connection: reserve, confirm, abort, and back to the pool when it is still good.

use super::handshake::Connection;
use super::pool::Pool;
use super::sender::{Reserved, mail_from};
use super::transaction::{deliver, deliver_and_mail_from};
use super::verdict::Afterwards;
use async_trait::async_trait;
use muster_domain::model::delivery::{Attempt, SendOutcome};
use muster_domain::ports::transport::{DynJournal, MailSession, TransportError, WireMessage};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;

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

    async fn reserved(&mut self, reserved: Reserved) -> Result<(), TransportError> {
        match reserved {
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

fn unreserved() -> SendOutcome {
    SendOutcome::Retry { reason: "no sender was reserved".to_owned(), soft: false }
}

fn closed() -> TransportError {
    TransportError::Unavailable("the connection is closed".to_owned())
}

fn late() -> TransportError {
    TransportError::Unavailable("the message before took too long".to_owned())
}

#[async_trait]
impl MailSession for SmtpSession {
    async fn reserve(&mut self, message: &WireMessage) -> Result<(), TransportError> {
        if self.standing == Standing::Reserved {
            self.reset().await;
        }
        let connection = self.connection.as_mut().filter(|_| self.standing == Standing::Ready);
        let Some(connection) = connection else {
            return Err(closed());
        };
        self.standing = Standing::Unknown;
        let reserved = mail_from(connection, message, self.pool.limits()).await;
        self.reserved(reserved).await
    }

    async fn confirm(&mut self, attempt: Attempt, message: &WireMessage, journal: &DynJournal) -> SendOutcome {
        let connection = self.connection.as_mut().filter(|_| self.standing == Standing::Reserved);
        let Some(connection) = connection else {
            return unreserved();
        };
        self.standing = Standing::Unknown;
        let (outcome, afterwards) = deliver(connection, attempt, message, journal, self.pool.limits()).await;
        self.settle(afterwards).await;
        outcome
    }

    fn takes_another_behind(&self) -> bool {
        self.standing == Standing::Reserved && self.connection.as_ref().is_some_and(Connection::takes_another_behind)
    }

    async fn confirm_and_reserve(
        &mut self,
        attempt: Attempt,
        message: &WireMessage,
        journal: &DynJournal,
        next: &WireMessage,
        within: Duration,
    ) -> (SendOutcome, Result<(), TransportError>) {
        let by = Instant::now() + within;
        let Some(connection) = self.connection.as_mut().filter(|_| self.standing == Standing::Reserved) else {
            return (unreserved(), Err(closed()));
        };
        self.standing = Standing::Unknown;
        let limits = self.pool.limits();
        let ((outcome, afterwards), reserved) =
            deliver_and_mail_from(connection, attempt, message, journal, (next, by), limits).await;
        if let Some(reserved) = reserved {
            return (outcome, self.reserved(reserved).await);
        }
        self.settle(afterwards).await;
        let reserved = if Instant::now() < by { self.reserve(next).await } else { Err(late()) };
        (outcome, reserved)
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
