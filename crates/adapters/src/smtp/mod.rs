//! Mail over SMTP (RFC 5321), with every phase of a transaction under its own timeout.
//!
//! The client is our own because what happens around the final dot decides whether a message is retried, counted
//! as sent or held as in doubt; no client at hand says which side of the dot a connection was lost on.
//! One command, one reply, and whatever a server says unasked breaks the connection. Where the server offers PIPELINING (RFC 2920)
//! `RCPT` and `DATA` are written together, and with `MAIL FROM` where that pays (`grouping.rs`); each has its reply.

mod commands;
mod config;
mod grouping;
mod handshake;
mod pool;
mod redact;
mod reply;
mod sender;
mod session;
mod stream;
mod stuffing;
mod timeouts;
mod tls;
mod transaction;
mod verdict;
mod wire;

pub use config::{Encryption, SmtpConfig, SmtpConfigError};
pub use pool::SmtpTransport;
pub use reply::{Garbage, Reply, ReplyParser};
pub use timeouts::PhaseTimeouts;
