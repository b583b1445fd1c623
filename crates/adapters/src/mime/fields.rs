//! What may stand in a header, and how.

use super::unfit;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use chrono::{DateTime, Datelike, Utc};
use lettre::address::Address;
use muster_domain::ports::templates::ComposeError;

/// Most characters of a subject or a name: what is left of a line of 998 octets.
const TEXT_AT_MOST: usize = 900;
/// Octets of text in one encoded word, which may be 75 long and stand after a header's name (RFC 2047 §2).
const WORD_OCTETS: usize = 39;
/// Where a line is folded (RFC 5322 §2.1.1 asks for at most 78).
const LINE: usize = 76;

/// Characters that end a header, hide in it, or turn its direction: C0, DEL, C1, the line and paragraph separators,
/// and the bidirectional overrides and isolates.
pub(crate) fn is_forbidden(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn check(field: &'static str, value: &str) -> Result<(), ComposeError> {
    if value.chars().any(is_forbidden) {
        return Err(unfit(field, "holds a control character"));
    }
    if value.chars().count() > TEXT_AT_MOST {
        return Err(unfit(field, "is too long for a header"));
    }
    Ok(())
}

/// An address that can stand in a header and in a command.
pub(super) fn address(field: &'static str, value: &str) -> Result<Address, ComposeError> {
    check(field, value)?;
    if value.len() > 254 || value.chars().any(|c| c.is_whitespace() || matches!(c, '<' | '>' | ',' | ';')) {
        return Err(unfit(field, "is not an address"));
    }
    value.parse().map_err(|_| unfit(field, "is not an address"))
}

/// `name <email>`; just the address without a name. `email` was checked.
pub(super) fn mailbox(field: &'static str, name: &str, email: &str) -> Result<String, ComposeError> {
    check(field, name)?;
    let name = name.trim();
    if name.is_empty() {
        return Ok(email.to_owned());
    }
    let atoms = |c: char| c.is_ascii_alphanumeric() || " !#$%&'*+-/=?^_`{|}~".contains(c);
    let phrase = if is_plain(name) && name.chars().all(atoms) {
        fold(name, "From: ".len())
    } else if is_plain(name) && name.len() <= 60 {
        format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""))
    } else {
        encoded_words(name)
    };
    let gap = if phrase.len() + email.len() > LINE - 10 { "\r\n " } else { " " };
    Ok(format!("{phrase}{gap}<{email}>"))
}

/// Unstructured text, for a header whose name and colon take `used` octets of the first line.
pub(super) fn text(field: &'static str, value: &str, used: usize) -> Result<String, ComposeError> {
    check(field, value)?;
    Ok(if is_plain(value) { fold(value, used) } else { encoded_words(value) })
}

/// The right side keeps what mailers make ids of; the whole is one line.
pub(super) fn message_id(value: &str) -> Result<&str, ComposeError> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(c);
    let sides = value.split_once('@');
    let whole = sides.is_some_and(|(left, right)| {
        !left.is_empty() && !right.is_empty() && left.chars().all(fits) && right.chars().all(fits)
    });
    if whole && value.len() <= 250 { Ok(value) } else { Err(unfit("messageId", "is not a message id")) }
}

/// An absolute web address that cannot end the brackets it stands in.
pub(super) fn url<'a>(field: &'static str, value: &'a str) -> Result<&'a str, ComposeError> {
    let web = value.starts_with("https://") || value.starts_with("http://");
    let fits = |c: char| c.is_ascii_graphic() && !matches!(c, '<' | '>' | '"' | '\\' | ',');
    if web && value.len() <= TEXT_AT_MOST && value.chars().all(fits) {
        Ok(value)
    } else {
        Err(unfit(field, "is not a web address"))
    }
}

/// RFC 5322 §3.3.
pub(super) fn date(value: DateTime<Utc>) -> Result<String, ComposeError> {
    // Outside of these lettre would put the date of the machine in its place.
    if !(1970..=9999).contains(&value.year()) {
        return Err(unfit("date", "is out of range"));
    }
    Ok(value.format("%a, %d %b %Y %H:%M:%S +0000").to_string())
}

/// Stands in a header as it is: printable ASCII in words of a line, with nothing a reader would decode or drop.
fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| (b' '..=b'~').contains(&byte))
        && !text.contains("=?")
        && !text.starts_with(' ')
        && !text.ends_with(' ')
        && !text.contains("  ")
        && text.split(' ').all(|word| word.len() <= 60)
}

/// Breaks a plain text before words that would go beyond the line.
fn fold(text: &str, used: usize) -> String {
    let mut folded = String::with_capacity(text.len() + text.len() / 20);
    let mut column = used;
    for (n, word) in text.split(' ').enumerate() {
        if n > 0 {
            let breaks = column + 1 + word.len() > LINE;
            folded.push_str(if breaks { "\r\n " } else { " " });
            column = if breaks { 1 } else { column + 1 };
        }
        folded.push_str(word);
        column += word.len();
    }
    folded
}

/// RFC 2047, each word on a line of its own; no character is cut in two.
fn encoded_words(text: &str) -> String {
    let mut words = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let mut end = rest.len().min(WORD_OCTETS);
        while !rest.is_char_boundary(end) {
            end -= 1;
        }
        words.push(format!("=?utf-8?b?{}?=", BASE64.encode(&rest[..end])));
        rest = &rest[end..];
    }
    words.join("\r\n ")
}
