//! Sending one message, and a journal that remembers.

use muster_adapters::smtp::{PhaseTimeouts, SmtpConfig, SmtpTransport};
use muster_domain::model::delivery::{Attempt, DeliveryKey, Epoch, SendOutcome};
use muster_domain::model::ids::{CampaignNo, ContactNo, Pass, StepNo, TenantNo};
use muster_domain::ports::transport::{
    DynJournal, Envelope, Journal, MailTransport, Phase, TransportError, WireMessage,
};
use muster_testkit::smtp_sink::SmtpSink;
use secrecy::SecretString;
use std::io;
use std::sync::Mutex;
use std::time::Duration;

/// Long enough for a busy machine, short enough to wait for.
pub(crate) const LIMIT: Duration = Duration::from_secs(1);

pub(crate) fn short_limits() -> PhaseTimeouts {
    PhaseTimeouts {
        connect: LIMIT,
        greeting: LIMIT,
        ehlo: LIMIT,
        reserve: LIMIT,
        rcpt: LIMIT,
        data: LIMIT,
        body_chunk: LIMIT,
        dot: LIMIT,
        housekeeping: LIMIT,
        idle: Duration::from_mins(1),
    }
}

pub(crate) fn transport_to(url: &str, limits: PhaseTimeouts) -> SmtpTransport {
    SmtpTransport::with_timeouts(SmtpConfig::parse(&SecretString::from(url)).unwrap(), limits).unwrap()
}

/// With the default limits, so that nothing on a busy machine times out by itself.
pub(crate) fn transport(sink: &SmtpSink) -> SmtpTransport {
    transport_to(&sink.url(), PhaseTimeouts { reserve: Duration::from_secs(10), ..PhaseTimeouts::default() })
}

pub(crate) fn attempt(contact: i64) -> Attempt {
    let key = DeliveryKey {
        tenant: TenantNo(1),
        campaign: CampaignNo(2),
        contact: ContactNo(contact),
        step: StepNo(1),
        pass: Pass(1),
    };
    Attempt { key, epoch: Epoch(1) }
}

pub(crate) fn message(to: &str, body: &[u8]) -> WireMessage {
    let mut data = format!("Message-ID: <{to}>\r\nSubject: Hello\r\n\r\n").into_bytes();
    data.extend_from_slice(body);
    WireMessage { envelope: Envelope { from: "news@sender.test".into(), to: to.into() }, data }
}

/// Session, reserve, confirm.
pub(crate) async fn send(
    transport: &SmtpTransport,
    message: &WireMessage,
    journal: &DynJournal,
) -> Result<SendOutcome, TransportError> {
    let mut session = transport.session().await?;
    session.reserve(message).await?;
    Ok(session.confirm(attempt(1), message, journal).await)
}

/// Remembers every phase.
#[derive(Debug, Default)]
pub(crate) struct Remembering(Mutex<Vec<Phase>>);

impl Remembering {
    pub(crate) fn phases(&self) -> Vec<Phase> {
        self.0.lock().unwrap().clone()
    }
}

impl Journal for Remembering {
    fn record(&self, _: Attempt, phase: &Phase) -> io::Result<()> {
        self.0.lock().unwrap().push(phase.clone());
        Ok(())
    }
}
