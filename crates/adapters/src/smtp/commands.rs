//! The commands of a message, and what is not said to a server.

use super::handshake::Connection;
use super::verdict::{Afterwards, Verdict};
use muster_domain::model::delivery::SendOutcome;
use muster_domain::ports::transport::{TransportError, WireMessage};

pub(super) const DATA: &[&str] = &["DATA"];

pub(super) fn rcpt_to(message: &WireMessage) -> [&str; 3] {
    ["RCPT TO:<", &message.envelope.to, ">"]
}

/// The command that names the sender of `message`.
pub(super) fn mail_from_to<'m>(connection: &Connection, message: &'m WireMessage) -> [&'m str; 3] {
    let envelope = &message.envelope;
    let international = !envelope.from.is_ascii() || !envelope.to.is_ascii();
    let parameters = if international && connection.capabilities.smtputf8 { "> BODY=8BITMIME SMTPUTF8" } else { ">" };
    ["MAIL FROM:<", &envelope.from, parameters]
}

/// What the server is known not to take, or must not be told, is not named to it.
pub(super) fn refuse_unwritable_sender(connection: &Connection, message: &WireMessage) -> Result<(), TransportError> {
    let from = &message.envelope.from;
    if !is_wire_safe(from) {
        return Err(TransportError::Rejected("MAIL: the sender is not an address".to_owned()));
    }
    if !from.is_ascii() && !connection.capabilities.smtputf8 {
        return Err(TransportError::Rejected("MAIL: the server takes no international addresses".to_owned()));
    }
    Ok(())
}

/// What the server is known not to take is not tried on it.
pub(super) fn refuse_unsendable(connection: &Connection, message: &WireMessage) -> Result<(), Verdict> {
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
    fn an_address_cannot_carry_a_second_command() {
        for address in
            ["a@b>\r\nRCPT TO:<c@d", "a@b SIZE=1", "", "a", "a@b>", "a\u{0}@b", &format!("{}@b", "a".repeat(260))]
        {
            assert!(!is_wire_safe(address), "{address:?}");
        }
        assert!(is_wire_safe("a@b.test") && is_wire_safe("ü@b.test"));
    }
}
