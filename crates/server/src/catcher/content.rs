//! What a message says: decoded headers (RFC 2047), its text and HTML parts (RFC 2045, 2046), its attachments.

use mail_parser::parsers::MessageStream;
use mail_parser::{HeaderValue, Message, MessageParser, MimeHeaders, PartType};
use std::sync::LazyLock;

static SUMMARY_PARSER: LazyLock<MessageParser> =
    LazyLock::new(|| MessageParser::new().header_text("Subject").header_id("Message-ID"));

/// What the list shows of a message.
pub(super) struct Summary {
    pub(super) subject: String,
    pub(super) message_id: Option<String>,
}

/// What a message's own page shows of it.
#[derive(Default)]
pub(super) struct Content {
    /// Every header in order, unfolded and decoded.
    pub(super) headers: Vec<(String, String)>,
    /// The first plain text part.
    pub(super) text: Option<String>,
    /// The first HTML part.
    pub(super) html: Option<String>,
    /// Everything else.
    pub(super) attachments: Vec<Attachment>,
}

/// A part that is neither the text nor the HTML of the message.
pub(super) struct Attachment {
    /// Its file name, or its media type when it has none.
    pub(super) name: String,
    /// Its decoded size in bytes.
    pub(super) size: usize,
}

/// Reads the two headers that the mailbox needs, without looking at the body.
pub(super) fn summary(source: &[u8]) -> Summary {
    let message = SUMMARY_PARSER.parse_headers(source);
    let message_id = message.as_ref().and_then(Message::message_id).map(str::to_owned);
    let subject = message.as_ref().and_then(Message::subject).unwrap_or_default().trim().to_owned();
    Summary { subject, message_id }
}

/// Reads the whole message. What cannot be read is left out: a catcher shows bad mail too.
pub(super) fn read(source: &[u8]) -> Content {
    let Some(message) = MessageParser::default().parse(source) else { return Content::default() };
    let headers = message
        .headers()
        .iter()
        .map(|header| {
            let raw = source.get(header.offset_start as usize..header.offset_end as usize).unwrap_or_default();
            (header.name.as_str().to_owned(), decode(raw))
        })
        .collect();
    let text = message.text_bodies().find_map(|part| match &part.body {
        PartType::Text(text) => Some(text.to_string()),
        _ => None,
    });
    let html = message.html_bodies().find_map(|part| match &part.body {
        PartType::Html(html) => Some(html.to_string()),
        _ => None,
    });
    let attachments = message
        .attachments()
        .map(|part| {
            let media_type = part.content_type().map(|kind| match kind.subtype() {
                Some(subtype) => format!("{}/{subtype}", kind.ctype()),
                None => kind.ctype().to_owned(),
            });
            let name = part.attachment_name().map(str::to_owned).or(media_type);
            Attachment { name: name.unwrap_or_else(|| "unnamed part".to_owned()), size: part.contents().len() }
        })
        .collect();
    Content { headers, text, html, attachments }
}

impl Content {
    /// The first header of this name, decoded.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The web address of `List-Unsubscribe` (RFC 2369), if it has one.
    pub(super) fn unsubscribe_link(&self) -> Option<&str> {
        let links = self.header("List-Unsubscribe")?;
        let link = |part: &str| part.starts_with("https://") || part.starts_with("http://");
        links.split(['<', '>', ',']).map(str::trim).find(|part| link(part))
    }
}

fn decode(raw: &[u8]) -> String {
    // The parser ends a value at a line end only.
    let mut line = raw.trim_ascii_end().to_vec();
    line.push(b'\n');
    match MessageStream::new(&line).parse_unstructured() {
        HeaderValue::Text(text) => text.trim().to_owned(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::{read, summary};

    const MAIL: &[u8] = b"From: =?utf-8?q?J=C3=BCrgen?= <juergen@example.test>\r\n\
        To: ada@example.test\r\n\
        Subject: =?utf-8?B?R3LDvMOfZQ==?=\r\n of the season\r\n\
        Message-ID: <abc.1@example.test>\r\n\
        List-Unsubscribe: <mailto:out@example.test>, <https://example.test/u/t0ken>\r\n\
        MIME-Version: 1.0\r\n\
        Content-Type: multipart/mixed; boundary=m\r\n\r\n\
        --m\r\nContent-Type: multipart/alternative; boundary=a\r\n\r\n\
        --a\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n\
        Caf=C3=A9 at 9=\r\n o'clock\r\n\
        --a\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\nPGI+Q2Fmw6k8L2I+\r\n\
        --a--\r\n\
        --m\r\nContent-Type: text/csv\r\nContent-Disposition: attachment; filename=list.csv\r\n\r\na,b\r\n--m--\r\n";

    #[test]
    fn the_summary_is_decoded() {
        let summary = summary(MAIL);
        assert_eq!(summary.subject, "Grüße of the season");
        assert_eq!(summary.message_id.as_deref(), Some("abc.1@example.test"));
    }

    #[test]
    fn parts_headers_and_attachments_are_found() {
        let content = read(MAIL);
        assert_eq!(content.header("from"), Some("Jürgen <juergen@example.test>"));
        assert_eq!(content.header("Subject"), Some("Grüße of the season"));
        assert_eq!(content.text.as_deref().map(str::trim_end), Some("Café at 9 o'clock"));
        assert_eq!(content.html.as_deref(), Some("<b>Café</b>"));
        assert_eq!(content.attachments.len(), 1);
        assert_eq!((content.attachments[0].name.as_str(), content.attachments[0].size), ("list.csv", 3));
        assert_eq!(content.unsubscribe_link(), Some("https://example.test/u/t0ken"));
    }

    #[test]
    fn a_plain_message_has_no_html() {
        let content = read(b"Subject: x\r\n\r\nhello\r\n");
        assert_eq!((content.text.as_deref(), content.html), (Some("hello\r\n"), None));
    }

    #[test]
    fn a_link_that_is_no_web_address_is_no_unsubscribe_link() {
        let content = read(b"List-Unsubscribe: <javascript:alert(1)>\r\n\r\nx");
        assert_eq!(content.unsubscribe_link(), None);
    }

    #[test]
    fn broken_mail_is_shown_as_far_as_it_can_be_read() {
        for broken in [
            &b""[..],
            b"\r\n",
            b"no header at all",
            b"Subject\r\n\r\n",
            &[0xff, 0xfe, 0x00],
            b"Content-Type: multipart/mixed\r\n\r\n--",
        ] {
            let _ = (summary(broken), read(broken));
        }
    }
}
