//! What turns a message into the bytes after `DATA`: line ends made whole, dots at the start of a line doubled.
//!
//! A bare CR or LF that reached the wire could be read by one server as a line end and by the next as text, which is
//! how one message is smuggled inside another; so none leaves here, whatever came in.

use memchr::memchr2;
use std::borrow::Cow;

/// `data` as it goes on the wire (RFC 5321 §4.5.2), ending in CRLF, without the final dot.
/// Borrows when nothing had to change, which is the rule for a composed message.
pub(super) fn stuff(data: &[u8]) -> Cow<'_, [u8]> {
    if is_clean(data) { Cow::Borrowed(data) } else { Cow::Owned(rewrite(data)) }
}

/// Every line ends in CRLF, no CR or LF stands alone, and no line begins with a dot.
fn is_clean(data: &[u8]) -> bool {
    let mut rest = data;
    while !rest.is_empty() {
        if rest[0] == b'.' {
            return false;
        }
        let Some(end) = memchr2(b'\r', b'\n', rest) else { return false };
        if !rest[end..].starts_with(b"\r\n") {
            return false;
        }
        rest = &rest[end + 2..];
    }
    true
}

fn rewrite(data: &[u8]) -> Vec<u8> {
    let mut wire = Vec::with_capacity(data.len() + data.len() / 16 + 16);
    let mut rest = data;
    while !rest.is_empty() {
        if rest[0] == b'.' {
            wire.push(b'.');
        }
        let end = memchr2(b'\r', b'\n', rest).unwrap_or(rest.len());
        wire.extend_from_slice(&rest[..end]);
        wire.extend_from_slice(b"\r\n");
        let line_end = match rest.get(end..) {
            Some([b'\r', b'\n', ..]) => 2,
            Some([_, ..]) => 1,
            _ => 0,
        };
        rest = &rest[end + line_end..];
    }
    wire
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_clean_message_is_not_copied() {
        assert!(matches!(stuff(b"Subject: x\r\n\r\nHello. You.\r\n"), Cow::Borrowed(_)));
    }

    #[test]
    fn dots_are_doubled_and_line_ends_made_whole() {
        for (from, to) in [
            (&b".\r\n"[..], &b"..\r\n"[..]),
            (b"a\n.\nb", b"a\r\n..\r\nb\r\n"),
            (b"a\r.\r\nb\r\n", b"a\r\n..\r\nb\r\n"),
            (b"a\n.\r\nb\r\n", b"a\r\n..\r\nb\r\n"),
            (b"a\r\r\n.\r\n", b"a\r\n\r\n..\r\n"),
            (b"a", b"a\r\n"),
        ] {
            assert_eq!(stuff(from).as_ref(), to, "{from:?}");
        }
    }

    proptest! {
        #[test]
        fn nothing_on_the_wire_can_be_taken_for_the_end(
            data in prop::collection::vec(prop::sample::select(b"\r\n.ab".to_vec()), 0..40),
        ) {
            let wire = stuff(&data).into_owned();
            prop_assert!(wire.is_empty() || wire.ends_with(b"\r\n"));
            for (i, &byte) in wire.iter().enumerate() {
                let after_cr = i > 0 && wire[i - 1] == b'\r';
                prop_assert!(byte != b'\n' || after_cr, "bare LF");
                prop_assert!(byte == b'\n' || !after_cr, "bare CR");
            }
            let lines: Vec<&[u8]> = wire.split(|&b| b == b'\n').collect();
            prop_assert!(!lines.contains(&&b".\r"[..]), "an end of data inside");
            // Taken off again, the dots give back the text.
            let plain: Vec<u8> = lines.iter().flat_map(|l| l.strip_prefix(b".").unwrap_or(l)).copied().filter(|b| *b != b'\r').collect();
            let before: Vec<u8> = data.iter().copied().filter(|b| !b"\r\n".contains(b)).collect();
            prop_assert_eq!(plain, before);
        }
    }
}
