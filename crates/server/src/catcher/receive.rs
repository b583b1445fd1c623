//! Reads what follows `DATA`: finds the end, undoes dot-stuffing (RFC 5321, section 4.5.2), keeps a bounded beginning.

/// The largest message that is accepted, in bytes; announced with `SIZE` (RFC 1870).
pub(super) const SIZE_LIMIT: u64 = 32 * 1024 * 1024;

/// Where in a line the last byte left us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    LineStart,
    Dot,
    DotCr,
    Middle,
    MiddleCr,
}

/// A message under way. Memory is bounded by what is kept, however much is sent.
pub(super) struct Receiver {
    at: At,
    kept: Vec<u8>,
    keep: usize,
    size: u64,
}

impl Receiver {
    /// Keeps the first `keep` bytes of the message and counts the rest.
    pub(super) const fn new(keep: usize) -> Self {
        Self { at: At::LineStart, kept: Vec::new(), keep, size: 0 }
    }

    /// Takes a piece of the stream. `Some(n)` when the message ended: `n` bytes belonged to it, what follows are commands.
    ///
    /// Only CRLF.CRLF ends a message. A line feed alone is data: taking `LF . LF` for the end is what lets one
    /// message smuggle another past a server.
    pub(super) fn take(&mut self, piece: &[u8]) -> Option<usize> {
        let mut next = 0;
        while next < piece.len() {
            if self.at == At::Middle {
                let rest = &piece[next..];
                let plain = rest.iter().position(|&byte| byte == b'\r').unwrap_or(rest.len());
                self.keep(&rest[..plain]);
                next += plain;
                if plain == rest.len() {
                    break;
                }
            }
            let byte = piece[next];
            next += 1;
            if self.step(byte) {
                return Some(next);
            }
        }
        None
    }

    /// One byte; true when it was the last one of the message.
    fn step(&mut self, byte: u8) -> bool {
        self.at = match (self.at, byte) {
            (At::LineStart, b'.') => At::Dot,
            (At::Dot, b'\r') => At::DotCr,
            (At::DotCr, b'\n') => return true,
            (At::DotCr, _) => {
                self.keep(b"\r");
                self.at = At::MiddleCr;
                return self.step(byte);
            }
            (At::MiddleCr, b'\n') => {
                self.keep(b"\n");
                At::LineStart
            }
            (_, b'\r') => {
                self.keep(b"\r");
                At::MiddleCr
            }
            _ => {
                self.keep(&[byte]);
                At::Middle
            }
        };
        false
    }

    fn keep(&mut self, bytes: &[u8]) {
        self.size += bytes.len() as u64;
        let room = self.keep.saturating_sub(self.kept.len());
        self.kept.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    /// Whether more was sent than the server accepts.
    pub(super) const fn too_big(&self) -> bool {
        self.size > SIZE_LIMIT
    }

    /// Whether so much more was sent that reading to the end is a waste: a client that ignores `SIZE`.
    pub(super) const fn hopeless(&self) -> bool {
        self.size > 2 * SIZE_LIMIT
    }

    /// What was kept, and the size of the whole in bytes after unstuffing.
    pub(super) fn finish(self) -> (Box<[u8]>, u64) {
        (self.kept.into_boxed_slice(), self.size)
    }
}

#[cfg(test)]
mod tests {
    use super::Receiver;

    fn read(stream: &[u8], piece: usize) -> (Option<usize>, Vec<u8>, u64) {
        let mut receiver = Receiver::new(1 << 20);
        let mut before = 0;
        for chunk in stream.chunks(piece) {
            if let Some(used) = receiver.take(chunk) {
                let (kept, size) = receiver.finish();
                return (Some(before + used), kept.into_vec(), size);
            }
            before += chunk.len();
        }
        let (kept, size) = receiver.finish();
        (None, kept.into_vec(), size)
    }

    #[test]
    fn the_end_is_found_and_dots_are_unstuffed_however_the_stream_is_cut() {
        let stream = b"Subject: x\r\n\r\n..one\r\n...\r\n.two\r\na.b\r\n.\r\nQUIT\r\n";
        for piece in 1..stream.len() {
            let (end, kept, size) = read(stream, piece);
            assert_eq!(end, Some(stream.len() - 6), "pieces of {piece}");
            assert_eq!(kept, b"Subject: x\r\n\r\n.one\r\n..\r\ntwo\r\na.b\r\n");
            assert_eq!(size, kept.len() as u64);
        }
    }

    #[test]
    fn an_empty_message_ends_at_once() {
        assert_eq!(read(b".\r\n", 64), (Some(3), Vec::new(), 0));
    }

    #[test]
    fn only_crlf_dot_crlf_ends_a_message() {
        for stream in [&b"a\n.\n"[..], b"a\n.\r\n", b"a\r\n.\n", b"a\r.\r", b"a\r\n.\r\r"] {
            assert_eq!(read(stream, 64).0, None, "{stream:?}");
        }
        assert_eq!(read(b"a\r\n.\r\r\n.\r\n", 64).1, b"a\r\n\r\r\n");
    }

    #[test]
    fn no_more_is_kept_than_asked_for() {
        let mut receiver = Receiver::new(10);
        assert_eq!(receiver.take(&[b'x'; 5000]), None);
        assert!(!receiver.too_big());
        assert_eq!(receiver.take(b"\r\n.\r\n"), Some(5));
        let (kept, size) = receiver.finish();
        assert_eq!((kept.len(), size), (10, 5002));
    }
}
