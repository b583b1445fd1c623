//! The mail server: the points on both sides of `MAIL FROM`, and the bug that tries again after the dot.

use async_trait::async_trait;
use muster_adapters::faults::{Bug, point};
use muster_domain::model::delivery::{Attempt, SendOutcome};
use muster_domain::ports::transport::{DynJournal, MailSession, MailTransport, TransportError, WireMessage};
use std::sync::Arc;

pub(super) struct FaultyTransport {
    pub(super) inner: Arc<dyn MailTransport>,
    pub(super) bug: Option<Bug>,
}

#[async_trait]
impl MailTransport for FaultyTransport {
    async fn session(&self) -> Result<Box<dyn MailSession>, TransportError> {
        Ok(Box::new(FaultySession { inner: self.inner.session().await?, bug: self.bug }))
    }

    fn sessions_at_most(&self) -> usize {
        self.inner.sessions_at_most()
    }
}

struct FaultySession {
    inner: Box<dyn MailSession>,
    bug: Option<Bug>,
}

#[async_trait]
impl MailSession for FaultySession {
    async fn reserve(&mut self, message: &WireMessage) -> Result<(), TransportError> {
        point("C2");
        self.inner.reserve(message).await?;
        point("C3");
        Ok(())
    }

    async fn confirm(&mut self, attempt: Attempt, message: &WireMessage, journal: &DynJournal) -> SendOutcome {
        match self.inner.confirm(attempt, message, journal).await {
            SendOutcome::InDoubt { reason } if self.bug == Some(Bug::RetryAfterDot) => {
                SendOutcome::Retry { reason, soft: false }
            }
            outcome => outcome,
        }
    }

    async fn abort(&mut self) {
        self.inner.abort().await;
    }
}
