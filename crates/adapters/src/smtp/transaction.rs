//! One message over one connection: which phase failed and how decides what becomes of it.

use super::handshake::Connection;
use super::redact::shorten;
use super::reply::Reply;
use super::stuffing::stuff;
use super::timeouts::PhaseTimeouts;
use super::wire::{DotFault, Fault};
use muster_domain::model::bounce::{BounceClass, EnhancedStatus};
use muster_domain::model::delivery::{Attempt, SendOutcome};
use muster_domain::ports::transport::{DynJournal, Phase, TransportError, WireMessage};
use std::fmt::Display;
use std::time::Duration;
use tokio::time::Instant;

const DATA: &[&str] = &["DATA"];

fn rcpt_to(message: &WireMessage) -> [&str; 3] {
    ["RCPT TO:<", &message.envelope.to, ">"]
}

/// What the connection is good for after a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Afterwards {
    /// The next `MAIL FROM`.
    Ready,
    /// That, after a `RSET`.
    NeedsReset,
    /// Nothing.
    Close,
}

/// How a message fared, and what the connection is good for now.
pub(super) type Verdict = (SendOutcome, Afterwards);

/// `MAIL FROM`, and what follows it where that pays. On an error nothing is reserved.
pub(super) async fn mail_from(connection: &mut Connection, message: &WireMessage, limits: &PhaseTimeouts) -> Reserved {
    refuse_unwritable_sender(connection, message).map_err(|error| (error, Afterwards::Ready))?;
    connection.messages = connection.messages.saturating_add(1);
    let reply = ask_sender(connection, message, limits).await;
    sender_answered(connection, message, reply, limits).await
}

/// What the server is known not to take, or must not be told, is not named to it.
fn refuse_unwritable_sender(connection: &Connection, message: &WireMessage) -> Result<(), TransportError> {
    let from = &message.envelope.from;
    if !is_wire_safe(from) {
        return Err(TransportError::Rejected("MAIL: the sender is not an address".to_owned()));
    }
    if !from.is_ascii() && !connection.capabilities.smtputf8 {
        return Err(TransportError::Rejected("MAIL: the server takes no international addresses".to_owned()));
    }
    Ok(())
}

/// The command that names the sender of `message`.
fn mail_from_to<'m>(connection: &Connection, message: &'m WireMessage) -> [&'m str; 3] {
    let envelope = &message.envelope;
    let international = !envelope.from.is_ascii() || !envelope.to.is_ascii();
    let parameters = if international && connection.capabilities.smtputf8 { "> BODY=8BITMIME SMTPUTF8" } else { ">" };
    ["MAIL FROM:<", &envelope.from, parameters]
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

/// `RCPT TO` to the reply after the final dot, after [`mail_from`] succeeded.
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

/// Whether a reservation came about, and if not, what the connection is good for.
pub(super) type Reserved = Result<(), (TransportError, Afterwards)>;

/// [`deliver`], and behind the final dot [`mail_from`] of the `next`, if it comes to that before the time `by` which it has to, and the
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
    connection.messages = connection.messages.saturating_add(1);
    connection.ahead = Some(next.envelope.to.clone());
    connection.grouping.group_begins();
    let begun = Instant::now();
    let reply = connection.wire.reply(limits.reserve).await;
    if reply.is_ok() {
        connection.grouping.group_took(begun.elapsed());
    }
    let reserved = sender_answered(connection, next, reply, limits).await;
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
    journal.record(attempt, &Phase::Dot).map_err(|error| lost("journal", error.kind()))
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

/// The replies to `count` commands, `DATA` the last of them, that were written before the server refused what they build upon. One
/// that wants a message all the same gets none: the connection is closed.
async fn rest_refused_too(
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

fn recipient_refused(reply: &Reply, addresses: &[&str]) -> Verdict {
    let (mut outcome, afterwards) = refused("RCPT", reply, addresses, Afterwards::NeedsReset);
    match &mut outcome {
        SendOutcome::Failed { bounced, .. } => *bounced = class_of(reply),
        SendOutcome::Retry { soft, .. } => *soft = is_soft(reply),
        SendOutcome::Sent { .. } | SendOutcome::InDoubt { .. } => {}
    }
    (outcome, afterwards)
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

/// What the server is known not to take is not tried on it.
fn refuse_unsendable(connection: &Connection, message: &WireMessage) -> Result<(), Verdict> {
    let failed =
        |reason: &str| (SendOutcome::Failed { reason: reason.to_owned(), bounced: None }, Afterwards::NeedsReset);
    if !is_wire_safe(&message.envelope.to) {
        return Err(failed("RCPT: the recipient is not an address"));
    }
    if !message.envelope.to.is_ascii() && !connection.capabilities.smtputf8 {
        return Err(failed("RCPT: the server takes no international addresses"));
    }
    if connection.capabilities.size.is_some_and(|limit| message.data.len() > limit) {
        return Err(failed("the message is larger than the server takes"));
    }
    Ok(())
}

/// The server said no, or something that is no answer to the question.
fn refused(phase: &str, reply: &Reply, addresses: &[&str], otherwise: Afterwards) -> Verdict {
    let reason = format!("{phase}: {}", shorten(reply, addresses));
    if reply.is_closing() {
        (SendOutcome::Retry { reason, soft: false }, Afterwards::Close)
    } else if reply.is_transient() {
        (SendOutcome::Retry { reason, soft: false }, otherwise)
    } else if reply.is_permanent() {
        (SendOutcome::Failed { reason, bounced: None }, otherwise)
    } else {
        (SendOutcome::Retry { reason, soft: false }, Afterwards::Close)
    }
}

/// What a 4xx or 5xx to `RCPT TO` says of the recipient's address; `None` when it speaks of us, the message or the server itself.
///
/// The enhanced code decides where there is one (RFC 2034: at the beginning of the text), else the reply code.
fn class_of(reply: &Reply) -> Option<BounceClass> {
    let first = reply.text.split_whitespace().next().unwrap_or_default();
    let code = reply.code.to_string();
    Some(BounceClass::of(EnhancedStatus::parse(first), Some(&code))).filter(|class| *class != BounceClass::Blocked)
}

/// Whether a reply to `RCPT TO` refuses the recipient for now; 421 speaks of the server.
fn is_soft(reply: &Reply) -> bool {
    reply.is_transient() && !reply.is_closing() && class_of(reply).is_some()
}

/// Lost before the dot: nothing was accepted.
fn lost(phase: &str, why: impl Display) -> Verdict {
    (SendOutcome::Retry { reason: format!("{phase}: {why}"), soft: false }, Afterwards::Close)
}

/// The dot was not, or only perhaps, written.
fn dot_failed(failed: DotFault) -> Verdict {
    if failed.unwritten { lost("dot", failed.fault) } else { in_doubt(failed.fault) }
}

/// Lost after the dot: it may have been delivered.
fn in_doubt(why: impl Display) -> Verdict {
    (SendOutcome::InDoubt { reason: format!("after the final dot: {why}") }, Afterwards::Close)
}

/// Addresses arrive validated; this is the last fence before a command line (RFC 5321 §4.5.3.1.3 allows 254 octets).
fn is_wire_safe(address: &str) -> bool {
    !address.is_empty()
        && address.len() <= 254
        && address.contains('@')
        && !address.chars().any(|c| c.is_control() || c.is_whitespace() || matches!(c, '<' | '>'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_refusal_of_the_recipient_is_a_bounce() {
        use BounceClass::{Hard, Soft};
        for (code, text, expected) in [
            (550, "5.1.1 unknown", Some(Hard)),
            (550, "no such user", Some(Hard)),
            (550, "5.0.0 no", Some(Hard)),
            (550, "5.2.1 disabled", Some(Hard)),
            (552, "5.2.2 mailbox full", Some(Soft)),
            (552, "over quota", Some(Soft)),
            (553, "5.1.8 bad sender domain", None),
            (554, "host is listed", None),
            (554, "5.7.1 blocked by policy", None),
            (530, "5.7.0 authenticate first", None),
            (503, "bad sequence", None),
            (550, "5.4.4 no route", Some(Soft)),
            (550, "", Some(Hard)),
            (450, "4.2.0 mailbox is busy", Some(Soft)),
            (452, "4.2.2 mailbox full", Some(Soft)),
            (451, "try again later", Some(Soft)),
            (450, "4.7.1 greylisted", None),
            (451, "4.7.0 too many from your network", None),
        ] {
            assert_eq!(class_of(&Reply { code, text: text.into() }), expected, "{code} {text}");
        }
    }

    #[test]
    fn a_dot_of_which_nothing_left_is_tried_again_and_any_other_is_in_doubt() {
        for (written, encrypted, tried_again) in
            [(0, false, true), (1, false, false), (0, true, false), (3, true, false)]
        {
            let (outcome, afterwards) = dot_failed(DotFault::new(written, encrypted, Fault::TimedOut));
            assert_eq!(matches!(outcome, SendOutcome::Retry { .. }), tried_again, "{written} {encrypted}");
            assert_eq!(matches!(outcome, SendOutcome::InDoubt { .. }), !tried_again, "{written} {encrypted}");
            assert_eq!(afterwards, Afterwards::Close);
        }
    }

    #[test]
    fn an_address_cannot_carry_a_second_command() {
        for address in
            ["a@b>\r\nRCPT TO:<c@d", "a@b SIZE=1", "", "a", "a@b>", "a\u{0}@b", &format!("{}@b", "a".repeat(260))]
        {
            assert!(!is_wire_safe(address), "{address:?}");
        }
        assert!(is_wire_safe("a@b.test") && is_wire_safe("ü@b.test"));
    }
}
