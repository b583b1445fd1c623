//! Taking a command line apart.

use super::record::Verb;
use super::script::At;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use std::fmt::Write as _;

pub(super) fn recognise(line: &str) -> (Verb, Option<At>, &str) {
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    let (verb, at) = match word.to_ascii_uppercase().as_str() {
        "EHLO" => (Verb::Ehlo, At::Ehlo),
        "HELO" => (Verb::Helo, At::Ehlo),
        "STARTTLS" => (Verb::StartTls, At::StartTls),
        "AUTH" => (Verb::Auth, At::Auth),
        "MAIL" => (Verb::Mail, At::Mail),
        "RCPT" => (Verb::Rcpt, At::Rcpt),
        "DATA" => (Verb::Data, At::Data),
        "RSET" => (Verb::Rset, At::Rset),
        "NOOP" => (Verb::Noop, At::Noop),
        "QUIT" => (Verb::Quit, At::Quit),
        _ => return (Verb::Unknown, None, rest),
    };
    (verb, Some(at), rest)
}

/// The address in `FROM:<…>` or `TO:<…>`.
pub(super) fn path(argument: &str) -> Option<String> {
    let (_, rest) = argument.split_once(":<")?;
    rest.split_once('>').map(|(address, _)| address.to_owned())
}

pub(super) fn decode(token: &[u8]) -> String {
    String::from_utf8_lossy(&BASE64.decode(token).unwrap_or_default()).into_owned()
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(64), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
