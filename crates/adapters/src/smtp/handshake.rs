//! From nothing to a session that may send: connect, greeting, `EHLO`, `STARTTLS`, `AUTH`.

use super::config::{Credentials, Encryption, SmtpConfig};
use super::grouping::{Grouping, Known};
use super::pool::MESSAGES_AT_MOST;
use super::redact::shorten;
use super::reply::Reply;
use super::stream::Stream;
use super::timeouts::PhaseTimeouts;
use super::wire::{Fault, Wire};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use muster_domain::ports::transport::TransportError;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use secrecy::ExposeSecret;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;

/// What the server said it can do, in its answer to `EHLO` (RFC 5321 §4.1.1.1).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Capabilities {
    pub(super) starttls: bool,
    pub(super) auth_plain: bool,
    pub(super) auth_login: bool,
    /// RFC 2920: commands may be written before the replies to those before them were read.
    pub(super) pipelining: bool,
    /// RFC 6531, which includes 8BITMIME.
    pub(super) smtputf8: bool,
    /// RFC 1870: the largest message it takes, in octets.
    pub(super) size: Option<usize>,
}

impl Capabilities {
    fn parse(reply: &Reply) -> Self {
        let mut known = Self::default();
        for line in reply.text.lines().skip(1) {
            // Some servers still write the obsolete "AUTH=PLAIN".
            let mut words = line.split([' ', '=']).filter(|word| !word.is_empty()).map(str::to_ascii_uppercase);
            match words.next().as_deref() {
                Some("STARTTLS") => known.starttls = true,
                Some("PIPELINING") => known.pipelining = true,
                Some("SMTPUTF8") => known.smtputf8 = true,
                Some("SIZE") => known.size = words.next().and_then(|n| n.parse().ok()).filter(|n| *n > 0),
                Some("AUTH") => {
                    for mechanism in words {
                        known.auth_plain |= mechanism == "PLAIN";
                        known.auth_login |= mechanism == "LOGIN";
                    }
                }
                _ => {}
            }
        }
        known
    }
}

/// A connection that is ready for `MAIL FROM`.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) wire: Wire,
    pub(super) capabilities: Capabilities,
    /// Whether `MAIL FROM` takes company.
    pub(super) grouping: Grouping,
    /// The recipient that `RCPT` and `DATA` were written for already; their replies are what is to be read next.
    pub(super) ahead: Option<String>,
    /// Messages begun on it.
    pub(super) messages: u32,
    /// When it was last put aside.
    pub(super) idle_since: Instant,
}

impl Connection {
    /// Whether the next message may be named behind the end of the one that is under way. Servers count messages, and the last that they
    /// take is nobody's predecessor.
    pub(super) fn takes_another_behind(&self) -> bool {
        self.capabilities.pipelining && self.messages < MESSAGES_AT_MOST && self.grouping.pays_behind_a_message()
    }

    pub(super) async fn open(
        config: &SmtpConfig,
        tls: &Arc<ClientConfig>,
        limits: &PhaseTimeouts,
        known: Known,
    ) -> Result<Self, TransportError> {
        let tcp = connect(config, limits).await?;
        let (local, peer) = addresses(&tcp)?;
        let mut stream = Stream::Plain(tcp);
        if config.encryption == Encryption::Implicit {
            stream = encrypt(stream, config, tls, limits).await?;
        }
        let mut wire = Wire::new(stream);
        let greeting = wire.reply(limits.greeting).await.map_err(|fault| unavailable("greeting", fault))?;
        if greeting.code != 220 {
            return Err(TransportError::Unavailable(format!("greeting: {}", shorten(&greeting, &[]))));
        }
        let name = config.helo.clone().unwrap_or_else(|| address_literal(local));
        let mut capabilities = hello(&mut wire, &name, limits).await?;
        if wants_starttls(config.encryption, peer, capabilities.starttls)? {
            wire = starttls(wire, config, tls, limits).await?;
            // Whatever was said before the handshake may have been said by somebody else (RFC 3207 §4.2).
            capabilities = hello(&mut wire, &name, limits).await?;
        }
        if let Some(credentials) = &config.credentials {
            may_authenticate(wire.stream().is_encrypted(), peer)?;
            authenticate(&mut wire, credentials, capabilities, limits).await?;
        }
        let grouping = Grouping::of(known);
        Ok(Self { wire, capabilities, grouping, ahead: None, messages: 0, idle_since: Instant::now() })
    }

    /// Says good-bye and closes.
    pub(super) async fn quit(mut self, limits: PhaseTimeouts) {
        let _ = self.wire.command(limits.housekeeping, &["QUIT"]).await;
    }
}

async fn connect(config: &SmtpConfig, limits: &PhaseTimeouts) -> Result<TcpStream, TransportError> {
    let connecting = TcpStream::connect((config.host.as_str(), config.port));
    let tcp = match timeout(limits.connect, connecting).await {
        Ok(Ok(tcp)) => tcp,
        Ok(Err(error)) => return Err(TransportError::Unavailable(format!("connect: {}", error.kind()))),
        Err(_) => return Err(unavailable("connect", Fault::TimedOut)),
    };
    // Commands are small and wait for their replies: with Nagle each mail costs 40 ms.
    tcp.set_nodelay(true).map_err(|error| unavailable("connect", error.into()))?;
    Ok(tcp)
}

fn addresses(tcp: &TcpStream) -> Result<(SocketAddr, SocketAddr), TransportError> {
    let both = tcp.local_addr().and_then(|local| Ok((local, tcp.peer_addr()?)));
    both.map_err(|error| unavailable("connect", error.into()))
}

fn is_loopback(peer: SocketAddr) -> bool {
    peer.ip().to_canonical().is_loopback()
}

/// RFC 5321 §4.1.3: what a client without a name of its own calls itself.
fn address_literal(local: SocketAddr) -> String {
    match local.ip().to_canonical() {
        std::net::IpAddr::V4(address) => format!("[{address}]"),
        std::net::IpAddr::V6(address) => format!("[IPv6:{address}]"),
    }
}

/// `EHLO`, or `HELO` for a server that does not know it.
async fn hello(wire: &mut Wire, name: &str, limits: &PhaseTimeouts) -> Result<Capabilities, TransportError> {
    let reply = wire.command(limits.ehlo, &["EHLO ", name]).await.map_err(|fault| unavailable("EHLO", fault))?;
    if reply.is_positive() {
        return Ok(Capabilities::parse(&reply));
    }
    if !reply.is_permanent() {
        return Err(TransportError::Unavailable(format!("EHLO: {}", shorten(&reply, &[]))));
    }
    let reply = wire.command(limits.ehlo, &["HELO ", name]).await.map_err(|fault| unavailable("HELO", fault))?;
    if reply.is_positive() {
        return Ok(Capabilities::default());
    }
    Err(TransportError::Unavailable(format!("HELO: {}", shorten(&reply, &[]))))
}

fn wants_starttls(encryption: Encryption, peer: SocketAddr, offered: bool) -> Result<bool, TransportError> {
    match encryption {
        Encryption::Implicit | Encryption::Never => Ok(false),
        Encryption::Offered => Ok(offered),
        Encryption::OfferedOffHost => Ok(offered && !is_loopback(peer)),
        Encryption::Required if offered => Ok(true),
        Encryption::Required => {
            Err(TransportError::Unavailable("STARTTLS: required, but the server does not offer it".to_owned()))
        }
    }
}

async fn starttls(
    mut wire: Wire,
    config: &SmtpConfig,
    tls: &Arc<ClientConfig>,
    limits: &PhaseTimeouts,
) -> Result<Wire, TransportError> {
    let reply = wire.command(limits.ehlo, &["STARTTLS"]).await.map_err(|fault| unavailable("STARTTLS", fault))?;
    if reply.code != 220 {
        return Err(TransportError::Unavailable(format!("STARTTLS: {}", shorten(&reply, &[]))));
    }
    let plain = Stream::Plain(wire.into_plain().map_err(|fault| unavailable("STARTTLS", fault))?);
    Ok(Wire::new(encrypt(plain, config, tls, limits).await?))
}

async fn encrypt(
    stream: Stream,
    config: &SmtpConfig,
    tls: &Arc<ClientConfig>,
    limits: &PhaseTimeouts,
) -> Result<Stream, TransportError> {
    let Stream::Plain(tcp) = stream else { return Ok(stream) };
    let name = ServerName::try_from(config.host.clone())
        .map_err(|_| TransportError::Unavailable("TLS: the server's name is not a host name".to_owned()))?;
    match timeout(limits.ehlo, TlsConnector::from(Arc::clone(tls)).connect(name, tcp)).await {
        Ok(Ok(encrypted)) => Ok(Stream::Tls(Box::new(encrypted))),
        Ok(Err(error)) => Err(TransportError::Unavailable(format!("TLS: {error}"))),
        Err(_) => Err(unavailable("TLS", Fault::TimedOut)),
    }
}

/// Credentials go over an encrypted connection, or do not leave this machine.
fn may_authenticate(encrypted: bool, peer: SocketAddr) -> Result<(), TransportError> {
    if encrypted || is_loopback(peer) {
        return Ok(());
    }
    let why = "AUTH: the connection is not encrypted, so the credentials are not sent";
    Err(TransportError::Rejected(why.to_owned()))
}

/// `AUTH PLAIN` (RFC 4616), else `AUTH LOGIN`.
async fn authenticate(
    wire: &mut Wire,
    credentials: &Credentials,
    capabilities: Capabilities,
    limits: &PhaseTimeouts,
) -> Result<(), TransportError> {
    let broken = |fault| unavailable("AUTH", fault);
    let user = credentials.user.expose_secret();
    let password = credentials.password.expose_secret();
    let reply = if capabilities.auth_plain {
        let token = BASE64.encode(format!("\0{user}\0{password}"));
        wire.command(limits.ehlo, &["AUTH PLAIN ", &token]).await.map_err(broken)?
    } else if capabilities.auth_login {
        let mut reply = wire.command(limits.ehlo, &["AUTH LOGIN"]).await.map_err(broken)?;
        for answer in [user, password] {
            if reply.code == 334 {
                reply = wire.command(limits.ehlo, &[&BASE64.encode(answer)]).await.map_err(broken)?;
            }
        }
        reply
    } else {
        return Err(TransportError::Rejected("AUTH: the server offers neither PLAIN nor LOGIN".to_owned()));
    };
    let said = || format!("AUTH: {}", shorten(&reply, &[user]));
    match reply.code {
        235 => Ok(()),
        421 => Err(TransportError::Unavailable(said())),
        400..=499 => Err(TransportError::Refused(said())),
        500..=599 => Err(TransportError::Rejected(said())),
        _ => Err(TransportError::Unavailable(said())),
    }
}

fn unavailable(phase: &str, fault: Fault) -> TransportError {
    TransportError::Unavailable(format!("{phase}: {fault}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_are_read_whatever_their_case_and_form() {
        let text = "mx.test greets you\nPIPELINING\nsize 10240000\nAUTH=LOGIN\nauth PLAIN CRAM-MD5\nSmtpUtf8";
        let known = Capabilities::parse(&Reply { code: 250, text: text.into() });
        assert_eq!(
            known,
            Capabilities {
                starttls: false,
                auth_plain: true,
                auth_login: true,
                pipelining: true,
                smtputf8: true,
                size: Some(10_240_000)
            }
        );
    }

    #[test]
    fn a_greeting_line_cannot_pass_for_a_capability() {
        let known = Capabilities::parse(&Reply { code: 250, text: "STARTTLS".into() });
        assert!(!known.starttls);
    }

    #[test]
    fn mapped_addresses_count_as_loopback() {
        for (peer, expected) in
            [("127.0.0.9:25", true), ("[::1]:25", true), ("[::ffff:127.0.0.1]:25", true), ("192.0.2.1:25", false)]
        {
            assert_eq!(is_loopback(peer.parse().unwrap()), expected, "{peer}");
        }
    }

    #[test]
    fn credentials_do_not_leave_the_machine_in_the_clear() {
        let far = "192.0.2.1:25".parse().unwrap();
        assert!(matches!(may_authenticate(false, far), Err(TransportError::Rejected(_))));
        assert_eq!(may_authenticate(true, far), Ok(()));
        assert_eq!(may_authenticate(false, "127.0.0.1:25".parse().unwrap()), Ok(()));
    }

    #[test]
    fn encryption_that_is_required_and_not_offered_is_refused() {
        let far = "192.0.2.1:25".parse().unwrap();
        let near = "127.0.0.1:25".parse().unwrap();
        assert!(wants_starttls(Encryption::Required, far, false).is_err());
        assert_eq!(wants_starttls(Encryption::Required, near, true), Ok(true));
        assert_eq!(wants_starttls(Encryption::OfferedOffHost, near, true), Ok(false));
        assert_eq!(wants_starttls(Encryption::OfferedOffHost, far, true), Ok(true));
        assert_eq!(wants_starttls(Encryption::Offered, near, true), Ok(true));
        assert_eq!(wants_starttls(Encryption::Never, far, true), Ok(false));
    }
}
