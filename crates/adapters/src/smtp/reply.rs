//! Reading a server's replies (RFC 5321 §4.2) without trusting their length or form.

use std::fmt;

/// No line is longer. RFC 5321 §4.5.3.1.5 says 512 octets; servers that tell stories exceed it.
const LINE_AT_MOST: usize = 2048;
/// No reply has more lines.
const LINES_AT_MOST: usize = 100;

/// What came is not an SMTP reply; the connection is not worth keeping.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("garbage instead of a reply: {0}")]
pub struct Garbage(pub &'static str);

/// A complete reply.
#[derive(Clone, PartialEq, Eq)]
pub struct Reply {
    /// Three digits, 200 to 599.
    pub code: u16,
    /// The text of its lines, joined by `\n`, without codes. May hold addresses.
    pub text: String,
}

impl fmt::Debug for Reply {
    /// Shows the code alone: the text may name people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply").field("code", &self.code).finish_non_exhaustive()
    }
}

impl Reply {
    /// 2xx.
    pub fn is_positive(&self) -> bool {
        self.code / 100 == 2
    }

    /// 4xx.
    pub fn is_transient(&self) -> bool {
        self.code / 100 == 4
    }

    /// 5xx.
    pub fn is_permanent(&self) -> bool {
        self.code / 100 == 5
    }

    /// 421: the server is about to close the connection, whatever was asked.
    pub fn is_closing(&self) -> bool {
        self.code == 421
    }
}

/// Collects one reply from bytes as they come.
#[derive(Debug, Default)]
pub struct ReplyParser {
    line: Vec<u8>,
    code: Option<u16>,
    text: String,
    lines: usize,
}

impl ReplyParser {
    /// A parser at the beginning of a reply.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes bytes until the reply is complete; says how many were used and, if so, the reply.
    /// What follows a complete reply is left alone. After an error or a reply the parser is spent.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<(usize, Option<Reply>), Garbage> {
        let mut used = 0;
        while used < bytes.len() {
            let rest = &bytes[used..];
            let end = rest.iter().position(|&b| b == b'\n');
            let taken = end.map_or(rest.len(), |at| at + 1);
            if self.line.len() + taken > LINE_AT_MOST {
                return Err(Garbage("line too long"));
            }
            self.line.extend_from_slice(&rest[..taken]);
            used += taken;
            if end.is_some() && self.end_line()? {
                let code = self.code.take().ok_or(Garbage("no code"))?;
                return Ok((used, Some(Reply { code, text: std::mem::take(&mut self.text) })));
            }
        }
        Ok((used, None))
    }

    /// Takes the line in hand in; true when it was the last of the reply.
    fn end_line(&mut self) -> Result<bool, Garbage> {
        let line = self.line.strip_suffix(b"\n").unwrap_or(&self.line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let (digits, rest) = line.split_at_checked(3).ok_or(Garbage("line too short"))?;
        let code = match digits {
            [a @ b'2'..=b'5', b @ b'0'..=b'9', c @ b'0'..=b'9'] => {
                u16::from(a - b'0') * 100 + u16::from(b - b'0') * 10 + u16::from(c - b'0')
            }
            _ => return Err(Garbage("no reply code")),
        };
        if self.code.is_some_and(|first| first != code) {
            return Err(Garbage("codes differ within a reply"));
        }
        let (last, text) = match rest.split_first() {
            None => (true, rest),
            Some((b' ', text)) => (true, text),
            Some((b'-', text)) => (false, text),
            Some(_) => return Err(Garbage("no separator after the code")),
        };
        if self.lines > 0 {
            self.text.push('\n');
        }
        self.text.push_str(&String::from_utf8_lossy(text));
        self.code = Some(code);
        self.lines += 1;
        if !last && self.lines == LINES_AT_MOST {
            return Err(Garbage("too many lines"));
        }
        self.line.clear();
        Ok(last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn whole(bytes: &[u8]) -> Result<Option<Reply>, Garbage> {
        ReplyParser::new().feed(bytes).map(|(_, reply)| reply)
    }

    #[test]
    fn one_line_and_many_lines_are_read() {
        assert_eq!(whole(b"250 ok\r\n").unwrap().unwrap(), Reply { code: 250, text: "ok".into() });
        assert_eq!(whole(b"250\r\n").unwrap().unwrap(), Reply { code: 250, text: String::new() });
        let reply = whole(b"250-one\r\n250-two\r\n250 three\r\n").unwrap().unwrap();
        assert_eq!(reply.text, "one\ntwo\nthree");
    }

    #[test]
    fn what_follows_a_reply_is_not_taken() {
        let (used, reply) = ReplyParser::new().feed(b"220 go\r\n250 injected\r\n").unwrap();
        assert_eq!((used, reply.unwrap().code), (8, 220));
    }

    #[test]
    fn garbage_is_told_from_a_reply() {
        for bytes in [
            &b"hello\r\n"[..],
            b"2x0 ok\r\n",
            b"199 low\r\n",
            b"650 high\r\n",
            b"\r\n",
            b"25\r\n",
            b"250_ok\r\n",
            b"250-one\r\n251 two\r\n",
            b"\xff\xfe\xfd\r\n",
        ] {
            assert!(whole(bytes).is_err(), "{bytes:?}");
        }
        assert_eq!(whole(&[b'2'; 5000]), Err(Garbage("line too long")));
        assert_eq!(whole(&b"250-x\r\n".repeat(200)), Err(Garbage("too many lines")));
    }

    proptest! {
        #[test]
        fn any_bytes_end_in_a_reply_or_an_error_and_never_a_panic(bytes: Vec<u8>) {
            if let Ok((used, reply)) = ReplyParser::new().feed(&bytes) {
                prop_assert!(used <= bytes.len());
                prop_assert!(reply.is_none_or(|reply| (200..600).contains(&reply.code)));
            }
        }

        #[test]
        fn it_does_not_matter_how_the_bytes_are_cut(
            code in 200_u16..600,
            lines in prop::collection::vec("[ -~]{0,60}", 1..6),
            cut in 1_usize..20,
        ) {
            let mut bytes = String::new();
            for (i, line) in lines.iter().enumerate() {
                let separator = if i + 1 == lines.len() { " " } else { "-" };
                bytes += &[&code.to_string(), separator, line, "\r\n"].concat();
            }
            let mut parser = ReplyParser::new();
            let mut last = None;
            for chunk in bytes.as_bytes().chunks(cut) {
                last = parser.feed(chunk).unwrap().1;
            }
            prop_assert_eq!(last, Some(Reply { code, text: lines.join("\n") }));
        }
    }
}
