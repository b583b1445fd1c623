//! Naming the sender of a message: with that it begins, and up to its end nothing is accepted.

use super::commands::{DATA, mail_from_to, rcpt_to, refuse_unsendable, refuse_unwritable_sender};
use super::handshake::Connection;
use super::redact::shorten;
use super::reply::Reply;
use super::timeouts::PhaseTimeouts;
use super::verdict::Afterwards;
use super::wire::Fault;
use muster_domain::ports::transport::{TransportError, WireMessage};
use std::time::Duration;
use tokio::time::Instant;

/// Whether a reservation came about, and if not, what the connection is good for.
pub(super) type Reserved = Result<(), (TransportError, Afterwards)>;

/// `MAIL FROM`, and what follows it where that pays. On an error nothing is reserved.
pub(super) async fn mail_from(connection: &mut Connection, message: &WireMessage, limits: &PhaseTimeouts) -> Reserved {
    refuse_unwritable_sender(connection, message).map_err(|error| (error, Afterwards::Ready))?;
    connection.messages = connection.messages.saturating_add(1);
    let reply = ask_sender(connection, message, limits).await;
    sender_answered(connection, message, reply, limits).await
}

/// What comes of a sender that was named behind the end of another message, with `RCPT` and `DATA` behind it.
pub(super) async fn named_behind(
    connection: &mut Connection,
    message: &WireMessage,
    limits: &PhaseTimeouts,
) -> Reserved {
    connection.messages = connection.messages.saturating_add(1);
    connection.ahead = Some(message.envelope.to.clone());
    connection.grouping.group_begins();
    let begun = Instant::now();
    let reply = connection.wire.reply(limits.reserve).await;
    if reply.is_ok() {
        connection.grouping.group_took(begun.elapsed());
    }
    sender_answered(connection, message, reply, limits).await
}

/// What the reply to `MAIL FROM` says. On an error nothing is reserved, and nothing more is to be read of what was written behind it.
async fn sender_answered(
    connection: &mut Connection,
    message: &WireMessage,
    reply: Result<Reply, Fault>,
    limits: &PhaseTimeouts,
) -> Reserved {
    let envelope = &message.envelope;
    let reply = reply.map_err(|fault| (TransportError::Unavailable(format!("MAIL: {fault}")), Afterwards::Close))?;
    let said = || format!("MAIL: {}", shorten(&reply, &[&envelope.from, &envelope.to]));
    let refusal = match reply.code {
        200..=299 => return Ok(()),
        // 530, 535 and 538 are about how we are logged in (RFC 4954 section 6), as at AUTH: no mail is to blame.
        421 | 530 | 535 | 538 => return Err((TransportError::Unavailable(said()), Afterwards::Close)),
        400..=499 => TransportError::Refused(said()),
        500..=599 => TransportError::Rejected(said()),
        _ => return Err((TransportError::Unavailable(said()), Afterwards::Close)),
    };
    let afterwards = match connection.ahead.take() {
        Some(_) => rest_refused_too(connection, 2, Afterwards::Ready, limits.reserve / 5).await,
        None => Afterwards::Ready,
    };
    Err((refusal, afterwards))
}

async fn ask_sender(
    connection: &mut Connection,
    message: &WireMessage,
    limits: &PhaseTimeouts,
) -> Result<Reply, Fault> {
    let mail: &[&str] = &mail_from_to(connection, message);
    let together = connection.capabilities.pipelining
        && connection.grouping.pays()
        && refuse_unsendable(connection, message).is_ok();
    let commands: &[&[&str]] = if together { &[mail, &rcpt_to(message), DATA] } else { &[mail] };
    if together {
        connection.grouping.group_begins();
    }
    let begun = Instant::now();
    let reply = connection.wire.commands(limits.reserve, commands).await?;
    if together {
        connection.ahead = Some(message.envelope.to.clone());
        connection.grouping.group_took(begun.elapsed());
    } else {
        connection.grouping.sender_took(begun.elapsed());
    }
    Ok(reply)
}

/// The replies to `count` commands, `DATA` the last of them, that were written before the server refused what they build upon. One
/// that wants a message all the same gets none: the connection is closed.
pub(super) async fn rest_refused_too(
    connection: &mut Connection,
    count: usize,
    otherwise: Afterwards,
    limit: Duration,
) -> Afterwards {
    // To a server these are errors more, and servers slow down who makes many, or hang up.
    connection.capabilities.pipelining = false;
    for _ in 0..count {
        match connection.wire.reply(limit).await {
            Ok(reply) if !reply.is_closing() && (reply.is_transient() || reply.is_permanent()) => {}
            Ok(_) | Err(_) => return Afterwards::Close,
        }
    }
    otherwise
}
