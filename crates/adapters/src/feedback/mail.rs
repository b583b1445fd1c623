//! What arrives as mail: bounces, complaints and replies, as an MTA's pipe or a provider's inbound route hands them over.

use super::fields::{self, Group};
use super::{complaint, names, reply, status};
use mail_parser::{Message, MessageParser, MimeHeaders};
use muster_domain::model::feedback::{Feedback, FeedbackKind, MailName};
use muster_domain::ports::feedback::{FeedbackFormat, Unreadable};
use std::sync::LazyLock;

/// Only what tells the parts of a message apart is understood; all else is looked at as it stands.
static PARSER: LazyLock<MessageParser> = LazyLock::new(|| MessageParser::new().with_mime_headers());

/// Whole messages (RFC 5322). Whatever is no report is read as reporting nothing: the mail server that hands a message
/// over cannot mend it, and would only try again.
#[derive(Debug, Clone, Copy, Default)]
pub struct MailReports;

impl FeedbackFormat for MailReports {
    fn provider(&self) -> &'static str {
        "mta"
    }

    fn media_type(&self) -> &'static str {
        "message/rfc822"
    }

    fn read(&self, body: &[u8]) -> Result<Vec<Feedback>, Unreadable> {
        // Parts nested as no program writes them break assertions of the parser; such a message reports nothing either.
        let read = std::panic::catch_unwind(|| PARSER.parse(without_envelope(body)).as_ref().and_then(of_report));
        // What names no mail is about none of ours.
        let reported = read.unwrap_or_default().filter(|(_, mail)| !mail.is_empty());
        Ok(reported.map(|(kind, mail)| Feedback { kind, mail, occurred_at: None }).into_iter().collect())
    }
}

/// The line `From sender date`, which some pipes put before a message.
fn without_envelope(body: &[u8]) -> &[u8] {
    if !body.starts_with(b"From ") {
        return body;
    }
    body.iter().position(|byte| *byte == b'\n').map_or(b"", |end| &body[end + 1..])
}

fn of_report(message: &Message<'_>) -> Option<(FeedbackKind, Vec<MailName>)> {
    let named = |kind: FeedbackKind, groups: &[Group]| (kind, names::of_report(message, groups));
    if let Some(groups) = groups_of(message, &["delivery-status", "global-delivery-status"]) {
        return status::read(&groups).map(|kind| named(kind, &groups));
    }
    if let Some(groups) = groups_of(message, &["feedback-report"]) {
        return complaint::read(&groups).map(|kind| named(kind, &groups));
    }
    if let Some(kind) = status::read_prose(message) {
        return Some(named(kind, &[]));
    }
    // Of the other kinds of multipart/report none is written by a person, such as the notice that a mail was read.
    if message.root_part().content_type().and_then(|kind| kind.subtype()) == Some("report") {
        return None;
    }
    reply::read(message).map(|kind| (kind, names::answered(message)))
}

/// The fields of the first part `message/…` of these kinds. Not of parts in mails that this one carries: those report to
/// somebody else.
fn groups_of(message: &Message<'_>, kinds: &[&str]) -> Option<Vec<Group>> {
    let part = message.parts.iter().find(|part| {
        let kind = part.content_type();
        kind.is_some_and(|kind| kind.ctype() == "message")
            && kind.and_then(|kind| kind.subtype()).is_some_and(|subtype| kinds.contains(&subtype))
    })?;
    Some(fields::groups(part.contents()))
}
