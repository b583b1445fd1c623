//! What goes into the parts, against what comes out as headers and bodies.

use super::*;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use chrono::{TimeZone, Utc};
use proptest::prelude::*;

fn parts() -> MessageParts {
    MessageParts {
        from_email: "news@sender.test".into(),
        from_name: "The News".into(),
        reply_to: Some("desk@sender.test".into()),
        to_email: "ada@x.test".into(),
        subject: "Hello Ada".into(),
        html: "<p>Hello <a href=\"https://x.test/a\">Ada</a>.</p>\n".into(),
        text: None,
        untracked_html: None,
        message_id: "01h8-3.7@sender.test".into(),
        date: Utc.with_ymd_and_hms(2026, 3, 1, 9, 5, 7).unwrap(),
        unsubscribe_url: Some("https://app.test/u/token".into()),
    }
}

fn compose(parts: &MessageParts) -> String {
    String::from_utf8(MimeComposer.compose(parts).unwrap().data).unwrap()
}

/// Name and unfolded value of every header.
fn headers(data: &str) -> Vec<(String, String)> {
    let section = data.split_once("\r\n\r\n").unwrap().0.replace("\r\n ", "\u{1}").replace("\r\n\t", "\u{1}");
    section
        .split("\r\n")
        .map(|line| line.split_once(": ").unwrap_or((line, "")))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

fn header(data: &str, name: &str) -> String {
    headers(data).into_iter().find(|(n, _)| n == name).unwrap().1
}

/// RFC 2047 and folding undone, as a reader does.
fn decoded(value: &str) -> String {
    if !value.starts_with("=?") {
        return value.replace('\u{1}', " ");
    }
    let words = value.split('\u{1}').map(|word| word.strip_prefix("=?utf-8?b?").unwrap().strip_suffix("?=").unwrap());
    words.map(|word| String::from_utf8(BASE64.decode(word).unwrap()).unwrap()).collect()
}

/// The decoded body of the part with this content type.
fn part(data: &str, content_type: &str) -> String {
    let boundary = data.split("boundary=\"").nth(1).unwrap().split('"').next().unwrap();
    let marker = format!("--{boundary}");
    let part =
        data.split(marker.as_str()).find(|part| part.contains(&format!("Content-Type: {content_type}"))).unwrap();
    let (head, body) = part.split_once("\r\n\r\n").unwrap();
    let body = body.strip_suffix("\r\n").unwrap();
    if head.contains("base64") {
        return String::from_utf8(BASE64.decode(body.replace("\r\n", "")).unwrap()).unwrap();
    }
    assert!(head.contains("quoted-printable"), "{head}");
    String::from_utf8(unquote(body)).unwrap()
}

fn unquote(body: &str) -> Vec<u8> {
    let joined = body.replace("=\r\n", "");
    let mut bytes = Vec::new();
    let mut rest = joined.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        if first == b'=' {
            bytes.push(u8::from_str_radix(std::str::from_utf8(&tail[..2]).unwrap(), 16).unwrap());
            rest = &tail[2..];
        } else {
            bytes.push(first);
            rest = tail;
        }
    }
    bytes
}

#[test]
fn a_message_has_the_headers_it_should_have() {
    let data = compose(&parts());
    let expected = [
        ("From", "The News <news@sender.test>"),
        ("Reply-To", "desk@sender.test"),
        ("To", "ada@x.test"),
        ("Subject", "Hello Ada"),
        ("Date", "Sun, 01 Mar 2026 09:05:07 +0000"),
        ("Message-ID", "<01h8-3.7@sender.test>"),
        ("List-Unsubscribe", "<https://app.test/u/token>"),
        ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
        ("MIME-Version", "1.0"),
    ];
    for (name, value) in expected {
        assert_eq!(header(&data, name), value, "{name}");
    }
    assert!(header(&data, "Content-Type").starts_with("multipart/alternative;"));
    assert_eq!(headers(&data).len(), expected.len() + 1);
    assert_eq!(part(&data, "text/plain"), "Hello Ada (https://x.test/a).\r\n");
    assert_eq!(part(&data, "text/html"), "<p>Hello <a href=\"https://x.test/a\">Ada</a>.</p>\r\n");
}

#[test]
fn what_is_not_given_is_not_there() {
    let mut parts = parts();
    (parts.reply_to, parts.unsubscribe_url, parts.from_name) = (None, None, String::new());
    parts.text = Some("My own text".into());
    let data = compose(&parts);
    assert_eq!(header(&data, "From"), "news@sender.test");
    assert!(!data.contains("List-Unsubscribe") && !data.contains("Reply-To"));
    assert_eq!(part(&data, "text/plain"), "My own text");
}

#[test]
fn the_same_parts_give_the_same_bytes() {
    assert_eq!(compose(&parts()), compose(&parts()));
    let mut other = parts();
    other.message_id = "other@sender.test".into();
    assert_ne!(boundary(&parts().message_id), boundary(&other.message_id));
}

/// Puts a text into a field.
type Spoil = fn(&mut MessageParts, &str);

#[test]
fn control_characters_and_broken_addresses_are_refused_by_field() {
    let spoil: [(&str, Spoil); 7] = [
        ("from", |parts, text| parts.from_email = format!("a{text}@x.test")),
        ("from", |parts, text| parts.from_name = format!("a{text}b")),
        ("replyTo", |parts, text| parts.reply_to = Some(format!("a{text}@x.test"))),
        ("to", |parts, text| parts.to_email = format!("a{text}@x.test")),
        ("subject", |parts, text| parts.subject = format!("a{text}b")),
        ("messageId", |parts, text| parts.message_id = format!("a{text}@b")),
        ("unsubscribeUrl", |parts, text| parts.unsubscribe_url = Some(format!("https://x.test/{text}"))),
    ];
    for text in [
        "\r",
        "\n",
        "\r\nBcc: b@x.test",
        "\0",
        "\u{1b}",
        "\u{7f}",
        "\u{85}",
        "\u{2028}",
        "\u{2029}",
        "\u{202e}",
        "\u{2066}",
    ] {
        for (field, spoil) in spoil {
            let mut parts = parts();
            spoil(&mut parts, text);
            let error = MimeComposer.compose(&parts).unwrap_err();
            assert_eq!(error.field, field, "{text:?}");
            assert!(!error.to_string().contains("Bcc"), "{error}");
        }
    }
    let broken: [fn(&mut MessageParts); 9] = [
        |parts| parts.to_email = String::new(),
        |parts| parts.to_email = "nobody".into(),
        |parts| parts.to_email = "a@x.test, b@x.test".into(),
        |parts| parts.to_email = "A <a@x.test>".into(),
        |parts| parts.message_id = "no-at".into(),
        |parts| parts.unsubscribe_url = Some("javascript:alert(1)".into()),
        |parts| parts.unsubscribe_url = Some("https://x.test/>, <mailto:b@x.test".into()),
        |parts| parts.subject = "x".repeat(1000),
        |parts| parts.date = Utc.with_ymd_and_hms(12_026, 1, 1, 0, 0, 0).unwrap(),
    ];
    for (n, spoil) in broken.into_iter().enumerate() {
        let mut parts = parts();
        spoil(&mut parts);
        assert!(MimeComposer.compose(&parts).is_err(), "{n}");
    }
}

#[test]
fn long_and_foreign_headers_are_folded_and_read_back() {
    for subject in [
        "Grüße aus Köln 🎉 mit einem wirklich langen Betreff, der nicht auf eine Zeile passt",
        "An English subject that is so long that it has to be folded at a space to stay within the line, twice even",
        "=?utf-8?b?cHJldGVuZGVk?=",
        "two  spaces and a trailing one ",
        &"x".repeat(900),
        "",
    ] {
        let mut parts = parts();
        parts.subject = subject.into();
        parts.from_name = subject.chars().take(80).collect();
        let data = compose(&parts);
        assert_eq!(decoded(&header(&data, "Subject")), subject);
        assert!(data.split("\r\n").all(|line| line.len() <= 78), "{data}");
    }
}

#[test]
fn names_that_need_quotes_get_them() {
    for (name, expected) in [
        ("Ada Lovelace", "Ada Lovelace <news@sender.test>"),
        ("Lovelace, Ada", "\"Lovelace, Ada\" <news@sender.test>"),
        ("A \"B\" \\ C", "\"A \\\"B\\\" \\\\ C\" <news@sender.test>"),
        ("x@y.test", "\"x@y.test\" <news@sender.test>"),
        ("Zoë", "=?utf-8?b?Wm/Dqw==?= <news@sender.test>"),
        ("   ", "news@sender.test"),
    ] {
        let mut parts = parts();
        parts.from_name = name.into();
        assert_eq!(header(&compose(&parts), "From"), expected);
    }
}

#[test]
fn bodies_arrive_as_they_were_written() {
    for body in [
        "",
        ".\n..\n.",
        "bare \r and \n and \r\n",
        "trailing space \nand tab\t\n",
        &"long ".repeat(2000),
        &"日本語の本文。".repeat(200),
        "=3D =20\u{0}",
    ] {
        let mut parts = parts();
        parts.text = Some(body.into());
        parts.html = body.into();
        let data = compose(&parts);
        let expected = whole_lines(body);
        assert_eq!(part(&data, "text/plain"), expected, "{body:?}");
        assert_eq!(part(&data, "text/html"), expected, "{body:?}");
        assert!(data.is_ascii() && data.split("\r\n").all(|line| line.len() <= 78 && !line.contains(['\r', '\n'])));
    }
}

/// Anything at all, with what breaks things more often than chance would have it.
fn anything() -> impl Strategy<Value = String> {
    let nasty = prop::sample::select(vec![
        "\r\n", "\n", "\r", ": ", "\0", "=?", "?=", "\"", "\\", "<", ">", ",", ";", "@", " ", "é", "🎉",
    ]);
    prop::collection::vec(
        prop_oneof![2 => nasty.prop_map(str::to_owned), 3 => "[a-zA-Z0-9 .]{0,12}", 1 => "\\PC{0,30}"],
        0..8,
    )
    .prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn a_text_is_encoded_as_lettre_would_do_it(text in anything(), more in "[a-zé=. \\t\\n]{0,200}") {
        let text = text + &more;
        let encoded = encoded("text", &text).unwrap();
        let expected = Body::new_with_encoding(whole_lines(&text), encoded.encoding()).unwrap();
        prop_assert_eq!(encoded.as_ref(), expected.as_ref());
        prop_assert!(encoded.as_ref().split(|byte| *byte == b'\n').all(|line| !line.ends_with(b" \r") && !line.ends_with(b"\t\r")));
    }

    #[test]
    fn nothing_in_a_field_adds_removes_or_breaks_a_header(
        from_name in anything(), subject in anything(), from in anything(), to in anything(), reply_to in anything(),
        id in anything(), url in anything(), html in anything(), text in anything(), spoil in 0_u8..64,
    ) {
        let mut parts = parts();
        (parts.subject, parts.from_name, parts.html, parts.text) = (subject.clone(), from_name, html, Some(text));
        let chosen = |bit: u8| spoil & (1 << bit) == 0 && spoil != 0;
        if chosen(0) { parts.from_email = format!("{from}@x.test"); }
        if chosen(1) { parts.to_email = format!("{to}@x.test"); }
        if chosen(2) { parts.reply_to = Some(format!("{reply_to}@x.test")); }
        if chosen(3) { parts.message_id = format!("{id}@x.test"); }
        if chosen(4) { parts.unsubscribe_url = Some(format!("https://x.test/{url}")); }
        if let Ok(wire) = MimeComposer.compose(&parts) {
            let data = String::from_utf8(wire.data).unwrap();
            let names: Vec<String> = headers(&data).into_iter().map(|(name, _)| name).collect();
            prop_assert_eq!(names, [
                "From", "Reply-To", "To", "Subject", "Date", "Message-ID", "List-Unsubscribe", "List-Unsubscribe-Post",
                "MIME-Version", "Content-Type",
            ]);
            prop_assert_eq!(decoded(&header(&data, "Subject")), subject);
            prop_assert!(data.split("\r\n").all(|line| line.len() <= 998 && !line.contains(['\r', '\n'])));
        }
    }
}
