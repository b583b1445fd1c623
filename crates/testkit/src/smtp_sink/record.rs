//! What a sink writes down.

use serde_json::json;
use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// What was said, or happened, on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each is the SMTP verb of its name")]
pub enum Verb {
    Connect,
    Ehlo,
    Helo,
    StartTls,
    Auth,
    Mail,
    Rcpt,
    Data,
    Dot,
    Rset,
    Noop,
    Quit,
    /// Anything that is no command.
    Unknown,
    /// The connection ended.
    Closed,
}

/// What the sink made of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Done as asked; at [`Verb::Dot`]: responsibility for the message was taken, answered or not.
    Accepted,
    /// Not done.
    Refused,
}

/// One thing that was said.
#[derive(Debug, Clone)]
pub struct Event {
    /// CLOCK_MONOTONIC in nanoseconds, when its first octets had been read.
    pub at_ns: u64,
    /// Number of the connection, from 1.
    pub connection: u64,
    /// What.
    pub verb: Verb,
    /// The argument of `MAIL`, `RCPT`, `EHLO` and `HELO`; the `Message-ID` at [`Verb::Dot`].
    pub detail: String,
    /// At [`Verb::Dot`]: the message.
    pub letter: Option<Letter>,
    /// What was decided.
    pub decision: Decision,
    /// Whether a reply was written. When it could not be, the connection ends with that error next.
    pub replied: bool,
    /// At [`Verb::Mail`]: whether it stood behind the end of a message, with which it came.
    pub behind: bool,
    /// The code of the reply, where it is a refusal.
    pub code: Option<u16>,
}

/// The code of a reply, if it has one.
pub(super) fn code(reply: &str) -> Option<u16> {
    reply.get(..3)?.parse().ok()
}

/// A message as it came, accepted or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// `MAIL FROM`.
    pub from: String,
    /// `RCPT TO`.
    pub to: String,
    /// `Subject`.
    pub subject: String,
    /// The address in `List-Unsubscribe`; empty when there is none.
    pub unsubscribe: String,
    /// SHA-256 of headers and body, dots unstuffed, in hex.
    pub sha256: String,
}

/// A message for which responsibility was taken.
#[derive(Debug, Clone)]
pub struct Message {
    /// Number of its connection.
    pub connection: u64,
    /// `MAIL FROM`, without brackets and parameters.
    pub from: String,
    /// `RCPT TO`, without brackets; the last one.
    pub to: String,
    /// `Message-ID` without angle brackets; empty when there is none.
    pub message_id: String,
    /// SHA-256 of `data` in hex.
    pub sha256: String,
    /// Headers and body with dots unstuffed; empty when the script does not keep them.
    pub data: Vec<u8>,
}

impl Message {
    /// Name and unfolded value of every header, in order.
    pub fn headers(&self) -> Vec<(String, String)> {
        headers(&self.data)
    }

    /// The value of the first header of this name.
    pub fn header(&self, name: &str) -> Option<String> {
        self.headers().into_iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// What follows the first empty line.
    pub fn body(&self) -> &[u8] {
        let end = self.data.windows(4).position(|w| w == b"\r\n\r\n");
        end.map_or(&[][..], |at| &self.data[at + 4..])
    }
}

/// Splits the header section of `data` at CRLF; a line without a name counts as a header with an empty name.
pub(super) fn headers(data: &[u8]) -> Vec<(String, String)> {
    let end = data.windows(4).position(|w| w == b"\r\n\r\n").unwrap_or(data.len());
    let section = String::from_utf8_lossy(&data[..end]).into_owned();
    let mut headers: Vec<(String, String)> = Vec::new();
    for line in section.split("\r\n") {
        if let Some((_, value)) = headers.last_mut().filter(|_| line.starts_with([' ', '\t'])) {
            value.push_str(line);
            continue;
        }
        let (name, value) = line.split_once(':').unwrap_or(("", line));
        headers.push((name.to_owned(), value.trim_start().to_owned()));
    }
    headers
}

/// How often clients did what RFC 5321 forbids.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Violations {
    /// CR without LF.
    pub bare_cr: u64,
    /// LF without CR.
    pub bare_lf: u64,
    /// NUL in a message.
    pub nul: u64,
    /// Lines of more than 1000 octets with their CRLF (§4.5.3.1.6).
    pub long_line: u64,
    /// Octets above 127 in a message that was not announced as 8BITMIME.
    pub eight_bit: u64,
    /// Octets sent before the reply to what came before, where RFC 2920 (§3.1) does not allow it, or PIPELINING is not offered.
    pub early: u64,
    /// Commands out of order, or none.
    pub order: u64,
}

/// The memory of a sink.
#[derive(Debug)]
pub(super) struct Log {
    kept: Mutex<Kept>,
    keep_data: bool,
    file: Option<Mutex<File>>,
    pub(super) body_octets: AtomicU64,
    pub(super) changed: Notify,
}

#[derive(Debug, Default)]
struct Kept {
    events: Vec<Event>,
    counts: HashMap<Verb, usize>,
    messages: Vec<Message>,
    violations: Violations,
}

impl Log {
    pub(super) fn open(file: Option<&Path>, keep_data: bool) -> std::io::Result<Self> {
        let file = file.map(|path| OpenOptions::new().create(true).append(true).open(path)).transpose()?;
        Ok(Self {
            kept: Mutex::default(),
            keep_data,
            file: file.map(Mutex::new),
            body_octets: AtomicU64::new(0),
            changed: Notify::new(),
        })
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Before the reply is written, so that whoever has read the reply finds the event.
    pub(super) fn event(&self, event: Event) {
        self.append(|| log_line(&event));
        let mut kept = self.kept();
        *kept.counts.entry(event.verb).or_default() += 1;
        kept.events.push(event);
        drop(kept);
        self.changed.notify_waiters();
    }

    /// One `write(2)` for each line: whatever kills the sink, what it has answered is in the log.
    fn append(&self, line: impl FnOnce() -> String) {
        let Some(file) = &self.file else { return };
        let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
        let written = file.write_all(line().as_bytes());
        assert!(written.is_ok(), "the sink's log cannot be written: nothing it says could be trusted");
    }

    pub(super) fn message(&self, mut message: Message) {
        if !self.keep_data {
            message.data = Vec::new();
        }
        self.kept().messages.push(message);
    }

    pub(super) fn violation(&self, add: impl FnOnce(&mut Violations)) {
        let mut kept = self.kept();
        add(&mut kept.violations);
        let so_far = format!("{:?}", kept.violations);
        drop(kept);
        self.append(|| format!("{}\n", json!({"at": monotonic_ns(), "verb": "Violation", "detail": so_far})));
    }

    pub(super) fn body_came(&self, octets: usize) {
        self.body_octets.fetch_add(octets as u64, Ordering::SeqCst);
        self.changed.notify_waiters();
    }

    pub(super) fn messages(&self) -> Vec<Message> {
        self.kept().messages.clone()
    }

    pub(super) fn accepted(&self) -> usize {
        self.kept().messages.len()
    }

    pub(super) fn events(&self) -> Vec<Event> {
        self.kept().events.clone()
    }

    pub(super) fn count(&self, verb: Verb) -> usize {
        self.kept().counts.get(&verb).copied().unwrap_or(0)
    }

    pub(super) fn violations(&self) -> Violations {
        self.kept().violations
    }
}

/// An event as a line of the log: a JSON object and a line feed.
///
/// `at` is CLOCK_MONOTONIC in nanoseconds when it came, `written` when it was decided, right before any reply; `connection` counts from 1, `verb` is the name of a [`Verb`], `accepted` the
/// decision, `replied` whether a reply was written, `code` that of a refusal, `behind` that a `Mail` came with the end of a message. A `Dot` has the message besides: `messageId`, `delivery` (its local
/// part), `from`, `to`, `subject`, `unsubscribe` and `sha256`; every other verb has `detail`. Between them stand lines with
/// the verb `Violation`, whose `detail` counts what clients did so far that RFC 5321 forbids.
pub fn log_line(event: &Event) -> String {
    let mut line = json!({
        "at": event.at_ns, "written": monotonic_ns(), "connection": event.connection,
        "verb": format!("{:?}", event.verb), "replied": event.replied, "accepted": event.decision == Decision::Accepted,
    });
    if let Some(code) = event.code {
        line["code"] = json!(code);
    }
    if event.behind {
        line["behind"] = json!(true);
    }
    if let Some(letter) = &event.letter {
        line["messageId"] = json!(event.detail);
        line["delivery"] = json!(event.detail.split('@').next());
        line["from"] = json!(letter.from);
        line["to"] = json!(letter.to);
        line["subject"] = json!(letter.subject);
        line["unsubscribe"] = json!(letter.unsubscribe);
        line["sha256"] = json!(letter.sha256);
    } else {
        line["detail"] = json!(event.detail);
    }
    format!("{line}\n")
}

/// CLOCK_MONOTONIC in nanoseconds: the same clock in every process of the machine.
pub fn monotonic_ns() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    #[expect(unsafe_code, reason = "clock_gettime only writes the timespec it is given")]
    unsafe {
        libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now);
    }
    u64::try_from(now.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(now.tv_nsec).unwrap_or(0)
}
