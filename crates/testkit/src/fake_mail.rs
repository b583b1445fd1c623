//! A mail server in memory, for tests of what begins when: it notes the moment of every `MAIL FROM` and every acceptance.

use async_trait::async_trait;
use muster_adapters::tracking::HtmlTracker;
use muster_domain::model::delivery::{Attempt, DeliveryKey, SendOutcome};
use muster_domain::ports::templates::{ComposeError, Composer, MessageParts, TemplateError, TemplateKind, Templates};
use muster_domain::ports::tokens::{TokenPurpose, Tokens, TrackedLink};
use muster_domain::ports::transport::{
    DynJournal, Envelope, Journal, MailSession, MailTransport, Phase, TransportError, WireMessage,
};
use muster_domain::usecases::write_letter::Desk;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// One thing that happened on a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MailEvent {
    /// `MAIL FROM` was written.
    Begin,
    /// It is about to be, behind the end of another message.
    Behind,
    /// The message was accepted.
    Accepted,
    /// A reservation was taken back.
    Aborted,
}

/// What happened, when and to which recipient.
#[derive(Debug, Clone)]
pub struct MailEntry {
    /// What.
    pub event: MailEvent,
    /// When.
    pub at: Instant,
    /// To whom.
    pub recipient: String,
    /// The bytes handed over, for [`MailEvent::Accepted`].
    pub data: Vec<u8>,
}

type Answer<T> = Box<dyn Fn(&Envelope, usize) -> T + Send + Sync>;

/// How it behaves. Functions get the envelope and how often that recipient was asked before.
pub struct FakeBehaviour {
    /// Sessions at once.
    pub sessions: usize,
    /// How long a session takes to open; or why there is none.
    pub connect: Box<dyn Fn() -> Result<(), TransportError> + Send + Sync>,
    /// The answer to `MAIL FROM`.
    pub reserve: Answer<Result<(), TransportError>>,
    /// The answer after the dot; accepted means [`SendOutcome::Sent`] or [`SendOutcome::InDoubt`].
    pub confirm: Answer<SendOutcome>,
    /// How long `MAIL FROM` and the rest take, each.
    pub delay: Duration,
    /// How much longer the rest takes.
    pub message: Duration,
    /// For whom it says nothing more after `MAIL FROM`, ever.
    pub stalls: Box<dyn Fn(&Envelope) -> bool + Send + Sync>,
}

impl Default for FakeBehaviour {
    fn default() -> Self {
        Self {
            sessions: 16,
            connect: Box::new(|| Ok(())),
            reserve: Box::new(|_, _| Ok(())),
            confirm: Box::new(|_, _| SendOutcome::Sent { reply: "250 ok".to_owned() }),
            delay: Duration::ZERO,
            message: Duration::ZERO,
            stalls: Box::new(|_| false),
        }
    }
}

#[derive(Default)]
struct Log {
    entries: Vec<MailEntry>,
    counts: HashMap<(MailEvent, String), usize>,
    totals: HashMap<MailEvent, usize>,
}

/// A mail server in memory.
pub struct FakeMail {
    behaviour: FakeBehaviour,
    log: Mutex<Log>,
    open: AtomicUsize,
    most_open: AtomicUsize,
}

impl FakeMail {
    /// One that behaves so.
    pub fn new(behaviour: FakeBehaviour) -> Arc<Self> {
        let (open, most_open) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Arc::new(Self { behaviour, log: Mutex::default(), open, most_open })
    }

    /// All that happened so far.
    pub fn log(&self) -> Vec<MailEntry> {
        self.locked().entries.clone()
    }

    /// Recipients of everything that was accepted.
    pub fn accepted(&self) -> Vec<String> {
        self.recipients(MailEvent::Accepted)
    }

    /// Recipients to which that happened, in order.
    pub fn recipients(&self, event: MailEvent) -> Vec<String> {
        let log = self.locked();
        log.entries.iter().filter(|entry| entry.event == event).map(|entry| entry.recipient.clone()).collect()
    }

    /// How often that happened so far.
    pub fn count(&self, event: MailEvent) -> usize {
        self.locked().totals.get(&event).copied().unwrap_or(0)
    }

    /// How many sessions there may be at once.
    pub fn sessions(&self) -> usize {
        self.behaviour.sessions
    }

    /// How many sessions were lent at once, at most.
    pub fn most_sessions(&self) -> usize {
        self.most_open.load(Ordering::SeqCst)
    }

    /// How often that had happened before.
    fn note(&self, event: MailEvent, recipient: &str, data: &[u8]) -> usize {
        let entry = MailEntry { event, at: Instant::now(), recipient: recipient.to_owned(), data: data.to_vec() };
        let mut log = self.locked();
        log.entries.push(entry);
        *log.totals.entry(event).or_default() += 1;
        let count = log.counts.entry((event, recipient.to_owned())).or_default();
        *count += 1;
        *count - 1
    }

    fn asked(&self, event: MailEvent, recipient: &str) -> usize {
        self.locked().counts.get(&(event, recipient.to_owned())).copied().unwrap_or(0)
    }

    fn locked(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The port over a [`FakeMail`].
#[derive(Clone)]
pub struct FakeTransport(pub Arc<FakeMail>);

struct FakeSession {
    mail: Arc<FakeMail>,
    reserved: Option<String>,
}

#[async_trait]
impl MailTransport for FakeTransport {
    async fn session(&self) -> Result<Box<dyn MailSession>, TransportError> {
        (self.0.behaviour.connect)()?;
        let open = self.0.open.fetch_add(1, Ordering::SeqCst) + 1;
        self.0.most_open.fetch_max(open, Ordering::SeqCst);
        Ok(Box::new(FakeSession { mail: Arc::clone(&self.0), reserved: None }))
    }

    fn sessions_at_most(&self) -> usize {
        self.0.behaviour.sessions
    }
}

#[async_trait]
impl MailSession for FakeSession {
    async fn reserve(&mut self, message: &WireMessage) -> Result<(), TransportError> {
        let envelope = &message.envelope;
        let before = self.mail.note(MailEvent::Begin, &envelope.to, &[]);
        tokio::time::sleep(self.mail.behaviour.delay).await;
        (self.mail.behaviour.reserve)(envelope, before)?;
        self.reserved = Some(envelope.to.clone());
        Ok(())
    }

    async fn confirm(&mut self, attempt: Attempt, message: &WireMessage, journal: &DynJournal) -> SendOutcome {
        if self.reserved.take().as_deref() != Some(message.envelope.to.as_str()) {
            return SendOutcome::Failed { reason: "confirmed without a reservation".to_owned(), bounced: None };
        }
        tokio::time::sleep(self.mail.behaviour.delay + self.mail.behaviour.message).await;
        if (self.mail.behaviour.stalls)(&message.envelope) {
            std::future::pending::<()>().await;
        }
        if journal.record(attempt, &Phase::Dot).is_err() {
            return SendOutcome::Retry { reason: "no journal".to_owned(), soft: false };
        }
        let before = self.mail.asked(MailEvent::Accepted, &message.envelope.to);
        let outcome = (self.mail.behaviour.confirm)(&message.envelope, before);
        if matches!(outcome, SendOutcome::Sent { .. } | SendOutcome::InDoubt { .. }) {
            self.mail.note(MailEvent::Accepted, &message.envelope.to, &message.data);
        }
        let _ = journal.record(attempt, &Phase::Replied { outcome: outcome.clone() });
        outcome
    }

    fn takes_another_behind(&self) -> bool {
        self.reserved.is_some()
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
        let outcome = self.confirm(attempt, message, journal).await;
        if since.elapsed() >= within {
            return (outcome, Err(TransportError::Unavailable("too late".to_owned())));
        }
        self.mail.note(MailEvent::Behind, &next.envelope.to, &[]);
        (outcome, self.reserve(next).await)
    }

    async fn abort(&mut self) {
        let recipient = self.reserved.take().unwrap_or_default();
        self.mail.note(MailEvent::Aborted, &recipient, &[]);
    }
}

impl Drop for FakeSession {
    fn drop(&mut self) {
        self.mail.open.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A journal in memory.
#[derive(Default)]
pub struct FakeJournal(Mutex<Vec<(Attempt, Phase)>>);

impl FakeJournal {
    /// All phases of one attempt, in order.
    pub fn phases(&self, attempt: Attempt) -> Vec<Phase> {
        let entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        entries.iter().filter(|(of, _)| *of == attempt).map(|(_, phase)| phase.clone()).collect()
    }
}

impl Journal for FakeJournal {
    fn record(&self, attempt: Attempt, phase: &Phase) -> std::io::Result<()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((attempt, phase.clone()));
        Ok(())
    }
}

/// A desk whose letters hold their Message-ID, subject and HTML as they are. A contact named `panic` makes it panic,
/// one named `fail` makes it fail.
pub fn plain_desk() -> Desk {
    Desk {
        templates: Arc::new(PlainTemplates),
        composer: Arc::new(PlainComposer),
        tokens: Arc::new(PlainTokens),
        tracker: Arc::new(HtmlTracker::default()),
        public_url: "http://localhost".to_owned(),
        bounce_domain: None,
    }
}

struct PlainTemplates;

impl Templates for PlainTemplates {
    fn check(&self, _: TemplateKind, _: &str) -> Result<(), TemplateError> {
        Ok(())
    }

    fn render(&self, _: TemplateKind, source: &str, values: &Value) -> Result<String, TemplateError> {
        let name = values["firstName"].as_str().unwrap_or_default();
        assert!(name != "panic", "a template engine with a bug");
        if name == "fail" {
            return Err(TemplateError { code: "template_failed", detail: "does not fit".to_owned() });
        }
        Ok(source.replace("{{ firstName }}", name))
    }
}

struct PlainComposer;

impl Composer for PlainComposer {
    fn compose(&self, parts: &MessageParts) -> Result<WireMessage, ComposeError> {
        let MessageParts { message_id, date, subject, html, .. } = parts;
        let envelope = Envelope { from: parts.from_email.clone(), to: parts.to_email.clone() };
        let data = format!(
            "Message-ID: <{message_id}>\r\nDate: {}\r\nSubject: {subject}\r\n\r\n{html}\r\n",
            date.to_rfc2822()
        );
        Ok(WireMessage { envelope, data: data.into_bytes() })
    }
}

struct PlainTokens;

impl Tokens for PlainTokens {
    fn seal(&self, purpose: TokenPurpose, key: DeliveryKey) -> String {
        format!("{purpose:?}-{}-{}-{}", key.contact.0, key.step.0, key.pass.0)
    }

    fn open(&self, _: TokenPurpose, _: &str) -> Option<DeliveryKey> {
        None
    }

    fn seal_link(&self, link: &TrackedLink) -> String {
        format!("link-{}-{}", link.delivery.contact.0, link.link.no.0)
    }

    fn open_link(&self, _: &str) -> Option<TrackedLink> {
        None
    }
}
