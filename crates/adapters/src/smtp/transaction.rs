//! One message over one connection: which phase failed and how decides what becomes of it.

use super::commands::{DATA, mail_from_to, rcpt_to, refuse_unsendable, refuse_unwritable_sender};
use super::handshake::Connection;
use super::redact::shorten;
use super::sender::{Reserved, named_behind, rest_refused_too};
use super::stuffing::stuff;
use super::timeouts::PhaseTimeouts;
use super::verdict::{Afterwards, Verdict, dot_failed, in_doubt, lost, recipient_refused, refused};
use muster_domain::model::delivery::{Attempt, SendOutcome};
use muster_domain::ports::transport::{DynJournal, Phase, TransportError, WireMessage};
use tokio::time::Instant;

/// `RCPT TO` to the reply after the final dot, after its sender was named.
pub(super) async fn deliver(
    connection: &mut Connection,
    attempt: Attempt,
    message: &WireMessage,
    journal: &DynJournal,
    limits: &PhaseTimeouts,
) -> Verdict {
    match up_to_dot(connection, attempt, message, journal, limits).await {
        Ok(()) => after_dot(connection, attempt, message, journal, None, limits).await.0,
        Err(verdict) => verdict,
    }
}

/// [`deliver`], and behind the final dot the sender of the `next`, if it comes to that before the time `by` which it has to, and the
/// server takes it; else nothing of it is written.
pub(super) async fn deliver_and_mail_from(
    connection: &mut Connection,
    attempt: Attempt,
    message: &WireMessage,
    journal: &DynJournal,
    (next, by): (&WireMessage, Instant),
    limits: &PhaseTimeouts,
) -> (Verdict, Option<Reserved>) {
    if let Err(verdict) = up_to_dot(connection, attempt, message, journal, limits).await {
        return (verdict, None);
    }
    let behind = connection.takes_another_behind()
        && refuse_unwritable_sender(connection, next).is_ok()
        && refuse_unsendable(connection, next).is_ok()
        && connection.grouping.company_begins();
    if !behind {
        return (after_dot(connection, attempt, message, journal, None, limits).await.0, None);
    }
    let group: &[&[&str]] = &[&mail_from_to(connection, next), &rcpt_to(next), DATA];
    let (verdict, written) = after_dot(connection, attempt, message, journal, Some((group, by)), limits).await;
    if !written || (verdict.1 != Afterwards::Ready && !matches!(verdict.0, SendOutcome::InDoubt { .. })) {
        connection.grouping.company_ends();
    }
    if !written {
        return (verdict, None);
    }
    if verdict.1 != Afterwards::Ready {
        let closed = TransportError::Unavailable("MAIL: the connection was lost with the message before".to_owned());
        let afterwards = verdict.1;
        return (verdict, Some(Err((closed, afterwards))));
    }
    let reserved = named_behind(connection, next, limits).await;
    (verdict, Some(reserved))
}

/// Everything of which a loss leaves nothing accepted. The journal knows of the dot when this returns.
async fn up_to_dot(
    connection: &mut Connection,
    attempt: Attempt,
    message: &WireMessage,
    journal: &DynJournal,
    limits: &PhaseTimeouts,
) -> Result<(), Verdict> {
    if connection.ahead.as_ref().is_some_and(|recipient| *recipient != message.envelope.to) {
        return Err(lost("RCPT", "another recipient was named"));
    }
    refuse_unsendable(connection, message)?;
    open_body(connection, message, limits).await?;
    let addresses = [message.envelope.to.as_str(), message.envelope.from.as_str()];
    let wire = &mut connection.wire;
    let sent = wire.send_body(&stuff(&message.data), limits.body_chunk).await;
    if wire.has_spoken() {
        // A server that has had enough says so and hangs up without waiting for the dot.
        let reply = wire.reply(limits.housekeeping).await.map_err(|fault| lost("body", fault))?;
        return Err(refused("body", &reply, &addresses, Afterwards::Close));
    }
    sent.and_then(|()| wire.silent()).map_err(|fault| lost("body", fault))?;
    journal.record(attempt, &Phase::Dot).map_err(|error| lost("journal", error))
}

/// `RCPT TO` and `DATA`, to the reply after which the body follows. In one write where the server takes that (RFC 2920), unless
/// they were written already.
async fn open_body(connection: &mut Connection, message: &WireMessage, limits: &PhaseTimeouts) -> Result<(), Verdict> {
    let addresses = [message.envelope.to.as_str(), message.envelope.from.as_str()];
    let ahead = connection.ahead.take().is_some();
    let together = ahead || connection.capabilities.pipelining;
    let wire = &mut connection.wire;
    let rcpt: &[&str] = &rcpt_to(message);
    let commands: &[&[&str]] = if together { &[rcpt, DATA] } else { &[rcpt] };
    let begun = Instant::now();
    let reply = if ahead { wire.reply(limits.rcpt).await } else { wire.commands(limits.rcpt, commands).await };
    let reply = reply.map_err(|fault| lost("RCPT", fault))?;
    if !ahead {
        connection.grouping.recipient_took(begun.elapsed());
    }
    if !reply.is_positive() {
        let (outcome, mut afterwards) = recipient_refused(&reply, &addresses);
        if together && afterwards != Afterwards::Close {
            afterwards = rest_refused_too(connection, 1, Afterwards::NeedsReset, limits.data).await;
        }
        return Err((outcome, afterwards));
    }
    let wire = &mut connection.wire;
    let reply = if together { wire.reply(limits.data).await } else { wire.command(limits.data, DATA).await };
    let reply = reply.map_err(|fault| lost("DATA", fault))?;
    if reply.code == 354 { Ok(()) } else { Err(refused("DATA", &reply, &addresses, Afterwards::NeedsReset)) }
}

/// Commands that stand behind the end of a message, if that is written by then.
type Company<'c> = (&'c [&'c [&'c str]], Instant);

/// The dot, with its company, and its reply: from here on a loss leaves the message in doubt. Whether the company was written, or may
/// have been.
async fn after_dot(
    connection: &mut Connection,
    attempt: Attempt,
    message: &WireMessage,
    journal: &DynJournal,
    company: Option<Company<'_>>,
    limits: &PhaseTimeouts,
) -> (Verdict, bool) {
    let addresses = [message.envelope.to.as_str(), message.envelope.from.as_str()];
    let (commands, by) = company.unwrap_or_else(|| (&[], Instant::now()));
    let written = match connection.wire.send_dot(limits.dot, commands, by).await {
        Ok(written) => written,
        Err(failed) => return (dot_failed(failed), company.is_some()),
    };
    #[cfg(feature = "fault-injection")]
    crate::faults::point("C7");
    let ended = Instant::now();
    let reply = match connection.wire.reply(limits.dot).await {
        Ok(reply) => reply,
        Err(fault) => return (in_doubt(fault), written),
    };
    connection.grouping.message_took(ended.elapsed());
    let verdict = match reply.code {
        200..=299 => (SendOutcome::Sent { reply: shorten(&reply, &addresses) }, Afterwards::Ready),
        400..=599 => refused("dot", &reply, &addresses, Afterwards::Ready),
        _ => return (in_doubt(format_args!("the server answered {}", reply.code)), written),
    };
    if journal.record(attempt, &Phase::Replied { outcome: verdict.0.clone() }).is_err() {
        // The outcome is known and goes on to be recorded; only a kill before that would leave it in doubt.
        tracing::warn!("the journal could not take the reply to a final dot");
    }
    (verdict, written)
}
