//! What becomes of a message, and what its connection is good for afterwards.

use super::redact::shorten;
use super::reply::Reply;
use super::wire::DotFault;
use muster_domain::model::bounce::{BounceClass, EnhancedStatus};
use muster_domain::model::delivery::SendOutcome;
use std::fmt::Display;

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

pub(super) fn recipient_refused(reply: &Reply, addresses: &[&str]) -> Verdict {
    let (mut outcome, afterwards) = refused("RCPT", reply, addresses, Afterwards::NeedsReset);
    match &mut outcome {
        SendOutcome::Failed { bounced, .. } => *bounced = class_of(reply),
        SendOutcome::Retry { soft, .. } => *soft = is_soft(reply),
        SendOutcome::Sent { .. } | SendOutcome::InDoubt { .. } => {}
    }
    (outcome, afterwards)
}

/// The server said no, or something that is no answer to the question.
pub(super) fn refused(phase: &str, reply: &Reply, addresses: &[&str], otherwise: Afterwards) -> Verdict {
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
pub(super) fn lost(phase: &str, why: impl Display) -> Verdict {
    (SendOutcome::Retry { reason: format!("{phase}: {why}"), soft: false }, Afterwards::Close)
}

/// The dot was not, or only perhaps, written.
pub(super) fn dot_failed(failed: DotFault) -> Verdict {
    if failed.unwritten { lost("dot", failed.fault) } else { in_doubt(failed.fault) }
}

/// Lost after the dot: it may have been delivered.
pub(super) fn in_doubt(why: impl Display) -> Verdict {
    (SendOutcome::InDoubt { reason: format!("after the final dot: {why}") }, Afterwards::Close)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::smtp::wire::Fault;

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
}
