//! The mail server: the points on both sides of `MAIL FROM`, and the bug that tries again after the dot.

use async_trait::async_trait;
use muster_adapters::faults::{Bug, point};
use muster_domain::model::delivery::{Attempt, SendOutcome};
use muster_domain::ports::transport::{DynJournal, MailSession, MailTransport, TransportError, WireMessage};
use std::sync::Arc;
use std::time::{Duration, Instant};

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

impl FaultySession {
    fn told(&self, outcome: SendOutcome) -> SendOutcome {
        match outcome {
            SendOutcome::InDoubt { reason } if self.bug == Some(Bug::RetryAfterDot) => {
                SendOutcome::Retry { reason, soft: false }
            }
            outcome => outcome,
        }
    }
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
        let outcome = self.inner.confirm(attempt, message, journal).await;
        self.told(outcome)
    }

    fn takes_another_behind(&self) -> bool {
        self.inner.takes_another_behind()
    }

    async fn confirm_and_reserve(
        &mut self,
        attempt: Attempt,
        message: &WireMessage,
        journal: &DynJournal,
        next: &WireMessage,
        within: Duration,
    ) -> (SendOutcome, Result<(), TransportError>) {
        let since = Instant::now();
        point("C2");
        let within = within.saturating_sub(since.elapsed());
        let (outcome, reserved) = self.inner.confirm_and_reserve(attempt, message, journal, next, within).await;
        if reserved.is_ok() {
            point("C3");
        }
        (self.told(outcome), reserved)
    }

    async fn abort(&mut self) {
        self.inner.abort().await;
    }
}
