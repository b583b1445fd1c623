//! Octets in, lines and bodies out, by the letter of RFC 5321: a line ends in CRLF and nothing else.

use super::record::Log;
use futures::FutureExt;
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// What a conversation runs over.
pub(super) trait Octets: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Octets for T {}

/// A body as it came, dots taken off.
#[derive(Debug, Default)]
pub(super) struct Body {
    pub(super) data: Vec<u8>,
}

/// One side of a connection, with what was read ahead.
pub(super) struct Wire {
    stream: Box<dyn Octets>,
    ahead: Vec<u8>,
}

impl Wire {
    pub(super) fn new(stream: Box<dyn Octets>) -> Self {
        Self { stream, ahead: Vec::with_capacity(16 * 1024) }
    }

    /// The stream itself, to be encrypted; what was read ahead is thrown away (RFC 3207 §4.2).
    pub(super) fn into_stream(self) -> Box<dyn Octets> {
        self.stream
    }

    /// True when the client did not wait.
    pub(super) fn has_ahead(&self) -> bool {
        !self.ahead.is_empty()
    }

    /// Reads what has come, without waiting for anything.
    pub(super) fn look(&mut self) {
        while let Some(Ok(1..)) = self.stream.read_buf(&mut self.ahead).now_or_never() {}
    }

    pub(super) async fn say(&mut self, line: &[u8]) -> io::Result<()> {
        self.stream.write_all(line).await?;
        self.stream.flush().await
    }

    /// Reads more; false at the end of the connection.
    async fn more(&mut self) -> io::Result<bool> {
        Ok(self.stream.read_buf(&mut self.ahead).await? > 0)
    }

    /// Waits until anything has come.
    pub(super) async fn anything(&mut self) -> io::Result<bool> {
        Ok(self.has_ahead() || self.more().await?)
    }

    /// The next line without its CRLF; `None` at the end. Bare CR and LF count as violations and do not end it.
    pub(super) async fn line(&mut self, log: &Log) -> io::Result<Option<Vec<u8>>> {
        let mut searched: usize = 0;
        loop {
            let from = searched.saturating_sub(1);
            if let Some(at) = self.ahead[from..].windows(2).position(|w| w == b"\r\n") {
                let line: Vec<u8> = self.ahead.drain(..from + at + 2).take(from + at).collect();
                count_bare(&line, log);
                return Ok(Some(line));
            }
            searched = self.ahead.len();
            if searched > 64 * 1024 || !self.more().await? {
                return Ok(None);
            }
        }
    }

    /// Reads to the final dot; `None` when the connection ends before it.
    pub(super) async fn body(&mut self, log: &Log) -> io::Result<Option<Body>> {
        log.body_came(self.ahead.len());
        let mut body = Body::default();
        let mut at_line_start = true;
        loop {
            // Whole lines only; a CR at the very end may still find its LF.
            let mut used = 0;
            while let Some(end) = find_crlf(&self.ahead[used..]) {
                let line = &self.ahead[used..used + end + 2];
                used += line.len();
                if at_line_start && line == b".\r\n" {
                    self.ahead.drain(..used);
                    check(&body.data, log);
                    return Ok(Some(body));
                }
                let line = if at_line_start { line.strip_prefix(b".").unwrap_or(line) } else { line };
                body.data.extend_from_slice(line);
                at_line_start = true;
            }
            self.ahead.drain(..used);
            let before = self.ahead.len();
            if !self.more().await? {
                return Ok(None);
            }
            log.body_came(self.ahead.len() - before);
        }
    }

    /// Reads and throws away until the client hangs up.
    pub(super) async fn until_closed(&mut self) {
        loop {
            self.ahead.clear();
            if !matches!(self.more().await, Ok(true)) {
                return;
            }
        }
    }
}

fn find_crlf(bytes: &[u8]) -> Option<usize> {
    let mut from = 0;
    loop {
        let at = from + bytes[from..].iter().position(|&b| b == b'\n')?;
        if at > 0 && bytes[at - 1] == b'\r' {
            return Some(at - 1);
        }
        from = at + 1;
    }
}

/// Lines are split at CRLF only, so a CR or LF inside of one is bare.
fn count_bare(line: &[u8], log: &Log) {
    for &byte in line {
        match byte {
            b'\r' => log.violation(|v| v.bare_cr += 1),
            b'\n' => log.violation(|v| v.bare_lf += 1),
            _ => {}
        }
    }
}

fn check(data: &[u8], log: &Log) {
    let mut rest = data;
    while let Some(end) = find_crlf(rest) {
        count_bare(&rest[..end], log);
        if end + 2 > 1000 {
            log.violation(|v| v.long_line += 1);
        }
        rest = &rest[end + 2..];
    }
    if data.contains(&0) {
        log.violation(|v| v.nul += 1);
    }
}
