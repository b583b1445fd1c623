//! A mail server and a journal in memory, which take what they are told to.

use super::A_MOMENT;
use async_trait::async_trait;
use muster_domain::model::delivery::{Attempt, SendOutcome};
use muster_domain::ports::transport::{
    DynJournal, Journal, MailSession, MailTransport, Phase, TransportError, WireMessage,
};
use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::{Instant, sleep};

type Takes = Box<dyn Fn(Attempt) -> Duration + Send + Sync>;
type Answer = Box<dyn Fn(usize) -> Result<(), TransportError> + Send + Sync>;

/// A mail server that greets everybody.
pub(super) struct Server {
    sessions: usize,
    /// How long it takes for an answer to `MAIL FROM`.
    far: Duration,
    /// How long it takes for a message, where others may be named behind one.
    takes: Option<Takes>,
    loses_what_is_behind: bool,
    /// Every `MAIL FROM`, and when.
    asked: Mutex<Vec<Instant>>,
    /// Every message that was accepted.
    accepted: Mutex<Vec<Attempt>>,
    /// So many were named behind another.
    behind: AtomicUsize,
    /// So many were taken back.
    aborted: AtomicUsize,
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
        Arc::new(Self::new(sessions, far, None, Box::new(answer)))
    }

    /// One that takes others behind a message, and so long for each message.
    pub(super) fn with_others_behind(
        sessions: usize,
        takes: impl Fn(Attempt) -> Duration + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self::new(sessions, A_MOMENT, Some(Box::new(takes)), Box::new(|_| Ok(()))))
    }

    /// One that ends every connection on which another is named behind a message.
    pub(super) fn that_loses_what_is_behind(sessions: usize) -> Arc<Self> {
        let server = Self::new(sessions, A_MOMENT, Some(Box::new(|_| A_MOMENT)), Box::new(|_| Ok(())));
        Arc::new(Self { loses_what_is_behind: true, ..server })
    }

    fn new(sessions: usize, far: Duration, takes: Option<Takes>, answer: Answer) -> Self {
        let (asked, accepted) = (Mutex::default(), Mutex::default());
        let (behind, aborted) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Self { sessions, far, takes, loses_what_is_behind: false, asked, accepted, behind, aborted, answer }
    }

    /// How often each message was accepted, by the number of its contact, in that order.
    pub(super) fn accepted(&self) -> BTreeMap<i64, usize> {
        let mut counts = BTreeMap::new();
        for attempt in self.accepted.lock().unwrap().iter() {
            *counts.entry(attempt.key.contact.0).or_default() += 1;
        }
        counts
    }

    /// How many were named behind another message.
    pub(super) fn behind(&self) -> usize {
        self.behind.load(Ordering::Relaxed)
    }

    /// How many were taken back.
    pub(super) fn aborted(&self) -> usize {
        self.aborted.load(Ordering::Relaxed)
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

    async fn confirm(&mut self, attempt: Attempt, _: &WireMessage, journal: &DynJournal) -> SendOutcome {
        // Not all in the same time, as in life.
        let some_time = A_MOMENT * u32::try_from(1 + attempt.key.contact.0 % 4).unwrap();
        sleep(self.0.takes.as_ref().map_or(some_time, |takes| takes(attempt))).await;
        if let Err(error) = journal.record(attempt, &Phase::Dot) {
            return SendOutcome::Retry { reason: error.to_string(), soft: false };
        }
        self.0.accepted.lock().unwrap().push(attempt);
        SendOutcome::Sent { reply: "250 ok".to_owned() }
    }

    async fn confirm_and_reserve(
        &mut self,
        attempt: Attempt,
        message: &WireMessage,
        journal: &DynJournal,
        next: &WireMessage,
        within: Duration,
    ) -> (SendOutcome, Result<(), TransportError>) {
        let outcome = self.confirm(attempt, message, journal).await;
        if within.is_zero() {
            return (outcome, Err(TransportError::Unavailable("too late".to_owned())));
        }
        self.0.behind.fetch_add(1, Ordering::Relaxed);
        if self.0.loses_what_is_behind {
            return (outcome, Err(TransportError::Unavailable("lost with the message before".to_owned())));
        }
        (outcome, self.reserve(next).await)
    }

    fn takes_another_behind(&self) -> bool {
        self.0.takes.is_some()
    }

    async fn abort(&mut self) {
        self.0.aborted.fetch_add(1, Ordering::Relaxed);
    }
}

/// A journal that can be written from a moment on.
pub(super) struct Diary(pub(super) Instant);

impl Journal for Diary {
    fn record(&self, _: Attempt, _: &Phase) -> io::Result<()> {
        if self.0 > Instant::now() { Err(io::Error::other("no space left")) } else { Ok(()) }
    }
}
