//! A mail server and a journal in memory, which take what they are told to.

use super::A_MOMENT;
use async_trait::async_trait;
use muster_domain::model::delivery::{Attempt, SendOutcome};
use muster_domain::ports::transport::{
    DynJournal, Journal, MailSession, MailTransport, Phase, TransportError, WireMessage,
};
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::{Instant, sleep};

type Answer = Box<dyn Fn(usize) -> Result<(), TransportError> + Send + Sync>;

/// A mail server that greets everybody.
pub(super) struct Server {
    sessions: usize,
    /// How long it takes for an answer to `MAIL FROM`.
    far: Duration,
    /// Every `MAIL FROM`, and when.
    asked: Mutex<Vec<Instant>>,
    /// What it answers to each, by how many there were before; nothing at all where that is an error.
    answer: Answer,
}

impl Server {
    pub(super) fn of(
        sessions: usize,
        answer: impl Fn(usize) -> Result<(), TransportError> + Send + Sync + 'static,
    ) -> Arc<Self> {
        Self::far(sessions, A_MOMENT, answer)
    }

    /// The same; it takes so long for each answer to `MAIL FROM`.
    pub(super) fn far(
        sessions: usize,
        far: Duration,
        answer: impl Fn(usize) -> Result<(), TransportError> + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self { sessions, far, asked: Mutex::default(), answer: Box::new(answer) })
    }

    pub(super) fn asked(&self) -> Vec<Instant> {
        self.asked.lock().unwrap().clone()
    }
}

pub(super) struct Greeting(pub(super) Arc<Server>);

#[async_trait]
impl MailTransport for Greeting {
    async fn session(&self) -> Result<Box<dyn MailSession>, TransportError> {
        sleep(A_MOMENT).await;
        Ok(Box::new(Greeting(Arc::clone(&self.0))))
    }

    fn sessions_at_most(&self) -> usize {
        self.0.sessions
    }
}

#[async_trait]
impl MailSession for Greeting {
    async fn reserve(&mut self, _: &WireMessage) -> Result<(), TransportError> {
        let before = {
            let mut asked = self.0.asked.lock().unwrap();
            asked.push(Instant::now());
            asked.len() - 1
        };
        sleep(self.0.far).await;
        (self.0.answer)(before)
    }

    async fn confirm(&mut self, attempt: Attempt, _: &WireMessage, _: &DynJournal) -> SendOutcome {
        // Not all in the same time, as in life.
        sleep(A_MOMENT * u32::try_from(1 + attempt.key.contact.0 % 4).unwrap()).await;
        SendOutcome::Sent { reply: "250 ok".to_owned() }
    }

    async fn abort(&mut self) {}
}

/// A journal that can be written from a moment on.
pub(super) struct Diary(pub(super) Instant);

impl Journal for Diary {
    fn record(&self, _: Attempt, _: &Phase) -> io::Result<()> {
        if self.0 > Instant::now() { Err(io::Error::other("no space left")) } else { Ok(()) }
    }
}
