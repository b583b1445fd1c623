//! One connection, from the greeting to its end.

use super::Shared;
use super::record::{Decision, Event, Verb, code, monotonic_ns};
use super::script::{Act, At};
use super::wire::{Octets, Wire};
use super::words::{path, recognise};
use std::fmt::Write as _;
use std::io;
use std::sync::Arc;
use tokio::net::TcpStream;

/// Whether the conversation goes on.
#[derive(PartialEq, Eq)]
pub(super) enum Next {
    GoOn,
    Hang,
    Encrypt,
}

/// What the phase's rule left to do.
pub(super) enum Scripted {
    /// Behave; then say the extra line, if any.
    Behave(Option<String>),
    /// It has been dealt with.
    Done(Next),
    /// Hang up.
    HangUp,
}

/// A connection and where it stands.
pub(super) struct Conversation {
    pub(super) wire: Wire,
    pub(super) number: u64,
    pub(super) shared: Arc<Shared>,
    pub(super) encrypted: bool,
    pub(super) from: Option<String>,
    pub(super) to: Option<String>,
    pub(super) eight_bit: bool,
    /// The last sender named was refused.
    unwelcome: bool,
    /// When the end of a message came that something stood behind.
    pub(super) behind: Option<u64>,
    /// The command that is looked at is a `MAIL`, and stood there.
    in_company: bool,
}

/// Holds the conversation until either side ends it.
pub(super) async fn hold(tcp: TcpStream, number: u64, shared: Arc<Shared>) {
    let _ = tcp.set_nodelay(true);
    let ended = run(tcp, number, &shared).await;
    let event = Event {
        at_ns: monotonic_ns(),
        connection: number,
        verb: Verb::Closed,
        detail: ended.err().map(|error| error.kind().to_string()).unwrap_or_default(),
        letter: None,
        decision: Decision::Accepted,
        replied: false,
        behind: false,
        code: None,
    };
    shared.log.event(event);
}

async fn run(tcp: TcpStream, number: u64, shared: &Arc<Shared>) -> io::Result<()> {
    let mut stream: Box<dyn Octets> = Box::new(tcp);
    let mut encrypted = false;
    if shared.script.implicit_tls {
        stream = encrypt(stream, shared).await?;
        encrypted = true;
    }
    let shared = Arc::clone(shared);
    let mut talk = Conversation {
        wire: Wire::new(stream),
        number,
        shared,
        encrypted,
        from: None,
        to: None,
        eight_bit: false,
        unwelcome: false,
        behind: None,
        in_company: false,
    };
    if talk.greet().await? != Next::GoOn {
        return Ok(());
    }
    loop {
        match talk.step().await? {
            Next::GoOn => {}
            Next::Hang => return Ok(()),
            Next::Encrypt => {
                let stream = encrypt(talk.wire.into_stream(), &talk.shared).await?;
                talk.wire = Wire::new(stream);
                (talk.encrypted, talk.from, talk.to) = (true, None, None);
            }
        }
    }
}

async fn encrypt(stream: Box<dyn Octets>, shared: &Shared) -> io::Result<Box<dyn Octets>> {
    let acceptor = shared.acceptor.as_ref().ok_or(io::ErrorKind::Unsupported)?;
    Ok(Box::new(acceptor.accept(stream).await?))
}

impl Conversation {
    async fn greet(&mut self) -> io::Result<Next> {
        let at_ns = monotonic_ns();
        match self.scripted(At::Connect, Verb::Connect, at_ns, "").await? {
            Scripted::Done(next) => Ok(next),
            Scripted::HangUp => Ok(Next::Hang),
            Scripted::Behave(extra) => {
                self.accept(Verb::Connect, at_ns, "");
                self.answer("220 sink.test ESMTP", extra).await
            }
        }
    }

    async fn step(&mut self) -> io::Result<Next> {
        let Some(line) = self.wire.line(&self.shared.log).await? else { return Ok(Next::Hang) };
        let read_ns = monotonic_ns();
        let line = String::from_utf8_lossy(&line).into_owned();
        let (verb, at, argument) = recognise(&line);
        let came_ns = self.behind.take().filter(|_| verb == Verb::Mail);
        self.in_company = came_ns.is_some();
        let at_ns = came_ns.unwrap_or(read_ns);
        let within_a_group = self.shared.script.pipelining && matches!(verb, Verb::Mail | Verb::Rcpt | Verb::Rset);
        if self.wire.has_ahead() && !within_a_group {
            self.shared.log.violation(|v| v.early += 1);
        }
        let Some(at) = at else {
            self.shared.log.violation(|v| v.order += 1);
            let reply = "500 5.5.2 what?";
            self.refuse(Verb::Unknown, at_ns, &line, Some(reply));
            return self.answer(reply, None).await;
        };
        if verb == Verb::Rcpt {
            self.to = path(argument);
        }
        if matches!(verb, Verb::Mail | Verb::Rset) {
            self.unwelcome = false;
        }
        let telling = matches!(verb, Verb::Mail | Verb::Rcpt | Verb::Ehlo | Verb::Helo);
        let detail = if telling { argument } else { "" };
        let extra = match self.scripted(at, verb, at_ns, detail).await? {
            Scripted::Done(next) => {
                if verb == Verb::Rcpt {
                    self.to = None;
                }
                self.unwelcome |= verb == Verb::Mail;
                return Ok(next);
            }
            Scripted::HangUp => return Ok(Next::Hang),
            Scripted::Behave(extra) => extra,
        };
        match self.refusal(verb, argument) {
            Some(reply) => {
                if verb == Verb::Rcpt {
                    self.to = None;
                }
                self.refuse(verb, at_ns, detail, Some(reply));
                self.answer(reply, extra).await
            }
            None => self.comply(verb, argument, at_ns, detail, extra).await,
        }
    }

    /// Why `verb` cannot be done now, as a reply.
    fn refusal(&self, verb: Verb, argument: &str) -> Option<&'static str> {
        let script = &self.shared.script;
        let order = Some("503 5.5.1 out of order");
        let refusal = match verb {
            Verb::Ehlo if !script.ehlo => return Some("500 5.5.1 what?"),
            Verb::StartTls if self.encrypted || !script.starttls => return Some("502 5.5.1 not offered"),
            Verb::Auth if script.auth.is_none() => return Some("502 5.5.1 not offered"),
            Verb::Mail if self.from.is_some() || path(argument).is_none() => order,
            // Sent together with a sender who was refused since.
            Verb::Rcpt | Verb::Data if self.unwelcome && script.pipelining => return Some("503 5.5.1 no valid sender"),
            Verb::Rcpt if self.from.is_none() || path(argument).is_none() => order,
            // Sent together with a recipient who was refused since.
            Verb::Data if self.to.is_none() && self.from.is_some() && script.pipelining => {
                return Some("554 5.5.1 no valid recipients");
            }
            Verb::Data if self.to.is_none() => order,
            _ => return None,
        };
        self.shared.log.violation(|v| v.order += 1);
        refusal
    }

    async fn comply(
        &mut self,
        verb: Verb,
        argument: &str,
        at_ns: u64,
        detail: &str,
        extra: Option<String>,
    ) -> io::Result<Next> {
        if verb == Verb::Auth {
            return self.auth(argument, at_ns, extra).await;
        }
        self.accept(verb, at_ns, detail);
        match verb {
            Verb::Ehlo => {
                (self.from, self.to) = (None, None);
                let offer = self.offer();
                self.answer(&offer, extra).await
            }
            Verb::StartTls => {
                self.answer("220 2.0.0 go ahead", extra).await?;
                Ok(Next::Encrypt)
            }
            Verb::Mail => {
                self.from = path(argument);
                self.eight_bit = argument.to_ascii_uppercase().contains("BODY=8BITMIME");
                self.answer("250 2.1.0 sender ok", extra).await
            }
            Verb::Rcpt => self.answer("250 2.1.5 recipient ok", extra).await,
            Verb::Data => {
                self.answer("354 end with a dot", extra).await?;
                self.receive().await
            }
            Verb::Quit => {
                self.answer("221 2.0.0 bye", extra).await?;
                Ok(Next::Hang)
            }
            _ => {
                if matches!(verb, Verb::Rset | Verb::Helo) {
                    (self.from, self.to) = (None, None);
                }
                self.answer("250 2.0.0 ok", extra).await
            }
        }
    }

    fn offer(&self) -> String {
        let script = &self.shared.script;
        let mut offer = String::from("250-sink.test\r\n250-8BITMIME\r\n");
        if script.starttls && !self.encrypted {
            offer.push_str("250-STARTTLS\r\n");
        }
        if let Some(mechanisms) = script.auth {
            let _ = write!(offer, "250-AUTH {mechanisms}\r\n");
        }
        if let Some(size) = script.size {
            let _ = write!(offer, "250-SIZE {size}\r\n");
        }
        if script.pipelining {
            offer.push_str("250-PIPELINING\r\n");
        }
        if script.smtputf8 {
            offer.push_str("250-SMTPUTF8\r\n");
        }
        offer + "250 ENHANCEDSTATUSCODES"
    }

    /// Asks the script what to do and does it, if it is not to behave.
    pub(super) async fn scripted(&mut self, at: At, verb: Verb, at_ns: u64, detail: &str) -> io::Result<Scripted> {
        let recipient = self.to.clone().unwrap_or_default();
        match self.shared.rules.consult(at, &recipient) {
            // A body is dropped in its middle; anything else there lets the rest of it in.
            Some(Act::Drop) if at == At::Body => {
                self.refuse(verb, at_ns, detail, None);
                Ok(Scripted::HangUp)
            }
            None => Ok(Scripted::Behave(None)),
            Some(Act::Extra(line)) => Ok(Scripted::Behave(Some(line))),
            Some(Act::Delay(time)) => {
                tokio::time::sleep(time).await;
                Ok(Scripted::Behave(None))
            }
            Some(Act::AcceptThenDrop) => Ok(Scripted::HangUp),
            Some(act) => {
                let reply = match &act {
                    Act::Drop | Act::Stall | Act::StallFor(_) => None,
                    Act::Reply(line) => Some(line.as_str()),
                    _ => Some("no reply that anybody could read"),
                };
                self.refuse(verb, at_ns, detail, reply);
                Ok(Scripted::Done(self.misbehave(&act).await?))
            }
        }
    }

    pub(super) async fn misbehave(&mut self, act: &Act) -> io::Result<Next> {
        match act {
            Act::Reply(line) => {
                let next = self.answer(line, None).await?;
                return Ok(if line.starts_with("421") { Next::Hang } else { next });
            }
            Act::Garbage => self.wire.say(b"\x00\xff\x16 lorem ipsum\r\n").await?,
            Act::LongLine => {
                let mut line = b"250 ".to_vec();
                line.resize(64 * 1024, b'a');
                line.extend_from_slice(b"\r\n");
                self.wire.say(&line).await?;
            }
            // Nothing is read any more, so that a client that goes on writing stalls, too.
            Act::Stall => std::future::pending().await,
            Act::StallFor(time) => {
                tokio::time::sleep(*time).await;
                return Ok(Next::Hang);
            }
            Act::Drop | Act::AcceptThenDrop | Act::Delay(_) | Act::Extra(_) => return Ok(Next::Hang),
        }
        self.wire.until_closed().await;
        Ok(Next::Hang)
    }

    pub(super) async fn answer(&mut self, line: &str, extra: Option<String>) -> io::Result<Next> {
        let extra = extra.map(|line| format!("{line}\r\n")).unwrap_or_default();
        self.wire.say(format!("{line}\r\n{extra}").as_bytes()).await?;
        Ok(if line.starts_with("421") { Next::Hang } else { Next::GoOn })
    }

    pub(super) fn accept(&self, verb: Verb, at_ns: u64, detail: &str) {
        self.note(verb, at_ns, detail, Decision::Accepted, Some("2"));
    }

    /// `reply` is what it is refused with, or nothing where there is no reply.
    pub(super) fn refuse(&self, verb: Verb, at_ns: u64, detail: &str, reply: Option<&str>) {
        self.note(verb, at_ns, detail, Decision::Refused, reply);
    }

    fn note(&self, verb: Verb, at_ns: u64, detail: &str, decision: Decision, reply: Option<&str>) {
        self.shared.log.event(Event {
            at_ns,
            connection: self.number,
            verb,
            detail: detail.to_owned(),
            letter: None,
            decision,
            replied: reply.is_some(),
            behind: self.in_company,
            code: reply.and_then(code),
        });
    }
}
