//! Where a report may name the mail that it is about.

use super::fields::{self, Group};
use mail_parser::{Message, MessagePart, MimeHeaders};
use muster_domain::model::feedback::MailName;

/// No more names are looked at: each costs a check of its seal.
const NAMES_AT_MOST: usize = 32;

/// Headers that say where the report itself was sent, which is the return path of the mail it is about.
const ADDRESSED: [&str; 6] = ["Delivered-To", "X-Original-To", "Envelope-To", "X-Envelope-To", "To", "Cc"];

/// The names in a report, the surest first: where the report was sent, the mail or the headers that it returns, its own
/// fields, and what it says it answers.
pub(super) fn of_report(message: &Message<'_>, groups: &[Group]) -> Vec<MailName> {
    let mut names = Vec::new();
    for header in ADDRESSED {
        names.extend(values(message, header).flat_map(addresses).map(MailName::return_path));
    }
    for part in &message.parts {
        names.extend(returned(part));
    }
    for group in groups {
        let paths = ["original-mail-from", "x-original-mail-from"].into_iter().flat_map(|name| group.values(name));
        names.extend(paths.flat_map(|value| addresses(fields::untyped(value))).map(MailName::return_path));
        let ids = ["original-message-id", "x-original-message-id"].into_iter().flat_map(|name| group.values(name));
        names.extend(ids.flat_map(ids_in).map(MailName::message_id));
    }
    names.extend(answered(message));
    names.truncate(NAMES_AT_MOST);
    names
}

/// The mails that a message says it answers.
pub(super) fn answered(message: &Message<'_>) -> Vec<MailName> {
    let of = |header| values(message, header).flat_map(ids_in).map(MailName::message_id);
    // References grow at their end, where the mail that is answered stands.
    let mut older: Vec<_> = of("References").collect();
    older.reverse();
    of("In-Reply-To").chain(older).take(NAMES_AT_MOST).collect()
}

/// The names of a mail that a report returns, whole or its headers alone.
fn returned(part: &MessagePart<'_>) -> Vec<MailName> {
    if let Some(mail) = part.message() {
        let ids = values(mail, "Message-ID").flat_map(ids_in).map(MailName::message_id);
        return values(mail, "Return-Path").flat_map(addresses).map(MailName::return_path).chain(ids).collect();
    }
    let kind = part.content_type();
    let is_headers = kind.and_then(|kind| kind.subtype()).is_some_and(|subtype| {
        ["rfc822-headers", "global-headers", "rfc822", "global"].iter().any(|known| subtype.eq_ignore_ascii_case(known))
    });
    if !is_headers {
        return Vec::new();
    }
    let groups = fields::groups(part.contents());
    let ids = groups.iter().take(1).flat_map(|group| group.values("message-id"));
    ids.flat_map(ids_in).map(MailName::message_id).collect()
}

/// The values of a message's headers of that name.
pub(super) fn values<'m>(message: &'m Message<'_>, name: &'m str) -> impl Iterator<Item = &'m str> {
    message.headers_raw().filter(move |(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}

/// The addresses in a header: in angle brackets, or bare words with an `@`.
fn addresses(value: &str) -> impl Iterator<Item = &str> {
    value
        .split(|c: char| c.is_whitespace() || matches!(c, ',' | ';' | '<' | '>' | '"'))
        .filter(|word| word.contains('@'))
        .take(NAMES_AT_MOST)
}

/// The ids in a header: in angle brackets, or bare words with an `@`.
fn ids_in(value: &str) -> impl Iterator<Item = &str> {
    addresses(value)
}
