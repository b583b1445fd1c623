//! A scripted SMTP server: it judges what was sent, so it is simple, strict and writes everything down.
//!
//! It misbehaves on demand in any phase ([`Rule`]), keeps what it accepted ([`Message`]) and one [`Event`] for each
//! thing that was said, stamped with the monotonic clock that every process of the machine shares.

mod authenticating;
mod conversation;
mod receiving;
mod record;
mod script;
mod tls;
mod wire;
mod words;

pub use record::{Decision, Event, Letter, Message, Verb, Violations, log_line, monotonic_ns};
pub use script::{Act, At, Rule, Script};

use anyhow::Context;
use record::Log;
use script::Rules;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

/// What every conversation of one sink shares.
struct Shared {
    script: Script,
    rules: Rules,
    log: Log,
    acceptor: Option<TlsAcceptor>,
}

/// A running sink; stops when dropped.
pub struct SmtpSink {
    address: SocketAddr,
    shared: Arc<Shared>,
    refusing: mpsc::UnboundedSender<Duration>,
    listening: JoinHandle<()>,
}

impl SmtpSink {
    /// Listens on a free port of 127.0.0.1.
    pub async fn start(script: Script) -> anyhow::Result<Self> {
        Self::start_at(SocketAddr::from(([127, 0, 0, 1], 0)), script).await
    }

    /// Listens there.
    pub async fn start_at(address: SocketAddr, script: Script) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(address).await.context("no port for the SMTP sink")?;
        let address = listener.local_addr()?;
        let acceptor = script.needs_tls().then(|| tls::acceptor(script.self_signed)).transpose()?;
        let log = Log::open(script.log_file.as_deref(), script.keep_data)?;
        let shared = Arc::new(Shared { rules: Rules::new(script.rules.clone(), script.seed), script, log, acceptor });
        let (refusing, refusals) = mpsc::unbounded_channel();
        let listening = tokio::spawn(listen(listener, address, refusals, Arc::clone(&shared)));
        Ok(Self { address, shared, refusing, listening })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `smtp://127.0.0.1:port`.
    pub fn url(&self) -> String {
        format!("smtp://{}", self.address)
    }

    /// The certificate authority that signed its certificate.
    pub fn ca_file() -> PathBuf {
        tls::fixture("ca.pem")
    }

    /// The certificate it shows under [`Script::self_signed`]; its name is not ours.
    pub fn self_signed_file() -> PathBuf {
        tls::fixture("selfsigned.pem")
    }

    /// From now on misbehaves by `rules` instead; counting starts anew.
    pub fn set_rules(&self, rules: Vec<Rule>) {
        self.shared.rules.replace(rules);
    }

    /// What was accepted, in order, whether or not the reply reached the client.
    pub fn messages(&self) -> Vec<Message> {
        self.shared.log.messages()
    }

    /// How many messages were accepted.
    pub fn accepted(&self) -> usize {
        self.shared.log.accepted()
    }

    /// Everything that happened, in order.
    pub fn events(&self) -> Vec<Event> {
        self.shared.log.events()
    }

    /// How many events of this kind there are.
    pub fn count(&self, verb: Verb) -> usize {
        self.shared.log.count(verb)
    }

    /// Octets that came after `DATA` on all connections so far, final dots included.
    pub fn body_octets(&self) -> u64 {
        self.shared.log.body_octets.load(Ordering::SeqCst)
    }

    /// What clients did that RFC 5321 forbids.
    pub fn violations(&self) -> Violations {
        self.shared.log.violations()
    }

    /// Waits until `reached` holds; an error when it does not within `limit`.
    pub async fn until(&self, limit: Duration, reached: impl Fn(&Self) -> bool) -> anyhow::Result<()> {
        let waiting = async {
            loop {
                let changed = self.shared.log.changed.notified();
                if reached(self) {
                    return;
                }
                changed.await;
            }
        };
        tokio::time::timeout(limit, waiting).await.context("the SMTP sink did not come to it in time")
    }

    /// Refuses new connections for this long, as a server that is being started again; those there are stay.
    pub fn refuse_for(&self, time: Duration) {
        // Whoever listens ends with the sink.
        let _ = self.refusing.send(time);
    }

    /// Stops listening and cuts every connection.
    pub async fn stop(mut self) {
        self.listening.abort();
        let _ = (&mut self.listening).await;
    }
}

impl Drop for SmtpSink {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

/// Accepts until aborted; the set cuts its conversations when it is dropped.
async fn listen(
    mut listener: TcpListener,
    address: SocketAddr,
    mut refusals: mpsc::UnboundedReceiver<Duration>,
    shared: Arc<Shared>,
) {
    let mut conversations = JoinSet::new();
    let mut number = 0;
    loop {
        tokio::select! {
            Some(time) = refusals.recv() => {
                drop(listener);
                tokio::time::sleep(time).await;
                listener = loop {
                    match TcpListener::bind(address).await {
                        Ok(again) => break again,
                        Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
                    }
                };
            }
            accepted = listener.accept() => {
                if let Ok((tcp, _)) = accepted {
                    number += 1;
                    conversations.spawn(conversation::hold(tcp, number, Arc::clone(&shared)));
                }
            }
            Some(_) = conversations.join_next(), if !conversations.is_empty() => {}
        }
    }
}
