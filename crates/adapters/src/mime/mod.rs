//! Composing the bytes of a message: RFC 5322 headers, a text part and an HTML part.
//!
//! lettre puts the parts together; what may stand in a header, and how it is encoded there, is decided here, because a
//! message is only as safe as the least trusted field in its headers.

mod entities;
mod fields;
mod plain_text;

pub(crate) use fields::is_forbidden as is_forbidden_in_header;
pub use plain_text::html_to_text;

use lettre::address::Address;
use lettre::message::header::{ContentTransferEncoding, HeaderName, HeaderValue};
use lettre::message::{Body, Message, MessageBuilder, MultiPart, SinglePart};
use memchr::memchr2;
use muster_domain::ports::templates::{ComposeError, Composer, MessageParts};
use muster_domain::ports::transport::{Envelope, WireMessage};
use sha2::{Digest, Sha256};
use std::fmt::Write;

/// Composes multipart messages. The same parts give the same bytes, so that a resend is the message that was sent.
#[derive(Debug, Clone, Copy, Default)]
pub struct MimeComposer;

impl Composer for MimeComposer {
    fn compose(&self, parts: &MessageParts) -> Result<WireMessage, ComposeError> {
        let from = fields::address("from", &parts.from_email)?;
        let to = fields::address("to", &parts.to_email)?;
        let envelope = lettre::address::Envelope::new(Some(from), vec![to]).map_err(|_| unfit("to", "no recipient"))?;

        let mut message = Message::builder().envelope(envelope);
        message =
            raw(message, "From", &parts.from_email, fields::mailbox("from", &parts.from_name, &parts.from_email)?);
        if let Some(reply_to) = &parts.reply_to {
            let _: Address = fields::address("replyTo", reply_to)?;
            message = raw(message, "Reply-To", reply_to, reply_to.clone());
        }
        message = raw(message, "To", &parts.to_email, parts.to_email.clone());
        message = raw(message, "Subject", "", fields::text("subject", &parts.subject, "Subject: ".len())?);
        let date = fields::date(parts.date)?;
        message = raw(message, "Date", &date, date.clone());
        message = raw(message, "Message-ID", "", format!("<{}>", fields::message_id(&parts.message_id)?));
        if let Some(url) = &parts.unsubscribe_url {
            message = raw(message, "List-Unsubscribe", "", format!("<{}>", fields::url("unsubscribeUrl", url)?));
            message = raw(message, "List-Unsubscribe-Post", "", "List-Unsubscribe=One-Click".to_owned());
        }

        let text =
            parts.text.clone().unwrap_or_else(|| html_to_text(parts.untracked_html.as_ref().unwrap_or(&parts.html)));
        let body = MultiPart::alternative()
            .boundary(boundary(&parts.message_id))
            .singlepart(SinglePart::plain(encoded("text", &text)?))
            .singlepart(SinglePart::html(encoded("html", &parts.html)?));
        let message = message.multipart(body).map_err(|_| unfit("from", "cannot be composed"))?;
        Ok(WireMessage {
            envelope: Envelope { from: parts.from_email.clone(), to: parts.to_email.clone() },
            data: message.formatted(),
        })
    }
}

fn unfit(field: &'static str, reason: &str) -> ComposeError {
    ComposeError { field, reason: reason.to_owned() }
}

/// A header whose value is already checked, encoded and folded; `meaning` is what lettre reads back where it has to.
fn raw(message: MessageBuilder, name: &'static str, meaning: &str, value: String) -> MessageBuilder {
    let name = HeaderName::new_from_ascii_str(name);
    message.raw_header(HeaderValue::dangerous_new_pre_encoded(name, meaning.to_owned(), value))
}

/// Always quoted-printable or base64: no line is too long, no octet is above 127, and no CR or LF stands alone.
fn encoded(field: &'static str, text: &str) -> Result<Body, ComposeError> {
    let text = whole_lines(text);
    let foreign = text.bytes().filter(|byte| !byte.is_ascii()).count();
    if foreign * 4 > text.len() {
        let encoded = Body::new_with_encoding(text.into_bytes(), ContentTransferEncoding::Base64);
        return encoded.map_err(|_| unfit(field, "cannot be encoded"));
    }
    // As lettre would, which first looks for line ends once more, and for encodings that might do instead.
    let encoded = quoted_printable::encode(text);
    Ok(Body::dangerous_pre_encoded(encoded, ContentTransferEncoding::QuotedPrintable))
}

/// CRLF at the end of every line. (lettre does it by moving the rest of the text once a line.)
fn whole_lines(text: &str) -> String {
    let mut whole = String::with_capacity(text.len() + text.len() / 32 + 2);
    let mut rest = text;
    while let Some(end) = memchr2(b'\r', b'\n', rest.as_bytes()) {
        whole.push_str(&rest[..end]);
        whole.push_str("\r\n");
        rest = &rest[end + if rest[end..].starts_with("\r\n") { 2 } else { 1 }..];
    }
    whole.push_str(rest);
    whole
}

/// `=_` stands in no quoted-printable and no base64 text, and the rest in no other message.
fn boundary(message_id: &str) -> String {
    let digest = Sha256::digest(message_id.as_bytes());
    digest.iter().take(16).fold("=_".to_owned(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests;
