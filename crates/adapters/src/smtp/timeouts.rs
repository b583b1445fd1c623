//! How long each phase of a conversation with a mail server may take.

use std::time::Duration;

/// One limit a phase. RFC 5321 §4.5.3.2 names minutes; these are shorter, because a stalled server holds a sending
/// slot and, during [`PhaseTimeouts::reserve`], a database transaction. One that has its locks before its sessions waits for the phases
/// before that only for moments, whatever is said here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PhaseTimeouts {
    /// Waiting for a free session, and name resolution and TCP connect, each.
    pub connect: Duration,
    /// TCP connected to the 220 greeting.
    pub greeting: Duration,
    /// `EHLO`, `STARTTLS` with its handshake, and each step of `AUTH`.
    pub ehlo: Duration,
    /// `MAIL FROM` and its reply.
    pub reserve: Duration,
    /// `RCPT TO` and its reply.
    pub rcpt: Duration,
    /// `DATA` and its 354.
    pub data: Duration,
    /// Each chunk of the body (64 KiB) until the kernel took it.
    pub body_chunk: Duration,
    /// Writing the final dot, and the reply to it, each.
    pub dot: Duration,
    /// `RSET`, `NOOP` and `QUIT`, where nothing hangs on the answer.
    pub housekeeping: Duration,
    /// How long a connection may wait for its next message before it is closed; after a twelfth of that the server is
    /// asked whether it is still there before the connection is lent.
    pub idle: Duration,
}

impl Default for PhaseTimeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            greeting: Duration::from_secs(30),
            ehlo: Duration::from_secs(30),
            reserve: Duration::from_secs(1),
            rcpt: Duration::from_mins(1),
            data: Duration::from_mins(1),
            body_chunk: Duration::from_mins(1),
            dot: Duration::from_mins(2),
            housekeeping: Duration::from_secs(5),
            idle: Duration::from_mins(1),
        }
    }
}
