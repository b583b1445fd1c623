//! Commands and their replies, each within its limit; and the two separate writes that end a message.

use super::reply::{Garbage, Reply, ReplyParser};
use super::stream::Stream;
use futures::FutureExt;
use std::io;
use std::pin::Pin;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

/// Bytes of a body handed to the kernel under one limit.
const CHUNK: usize = 64 * 1024;

/// The line that ends a message.
const DOT: &[u8] = b".\r\n";

/// The conversation broke: the connection is of no more use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    #[error("the server closed the connection")]
    Closed,
    #[error("the server did not answer in time")]
    TimedOut,
    #[error("the connection failed: {0}")]
    Io(io::ErrorKind),
    #[error(transparent)]
    Garbage(#[from] Garbage),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::Closed,
            kind => Self::Io(kind),
        }
    }
}

/// The final dot could not be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct DotFault {
    /// Not even its first byte was handed to the kernel: the server cannot have seen the end of the message.
    pub(super) unwritten: bool,
    pub(super) fault: Fault,
}

impl DotFault {
    /// `written` octets of the dot were taken. Under TLS a record may have left even though the write reported none.
    pub(super) fn new(written: usize, encrypted: bool, fault: Fault) -> Self {
        Self { unwritten: written == 0 && !encrypted, fault }
    }
}

/// A connection to a server, between commands.
#[derive(Debug)]
pub(super) struct Wire {
    stream: BufReader<Stream>,
    out: Vec<u8>,
}

impl Wire {
    pub(super) fn new(stream: Stream) -> Self {
        Self { stream: BufReader::with_capacity(4096, stream), out: Vec::with_capacity(512) }
    }

    pub(super) fn stream(&self) -> &Stream {
        self.stream.get_ref()
    }

    /// The TCP connection, to be encrypted. Refused when the server has already sent more than the reply to
    /// `STARTTLS`: those bytes came unprotected and would pass for protected ones.
    pub(super) fn into_plain(mut self) -> Result<TcpStream, Fault> {
        self.silent()?;
        match self.stream.into_inner() {
            Stream::Plain(tcp) => Ok(tcp),
            Stream::Tls(_) => Err(Garbage("encrypted already").into()),
        }
    }

    /// Writes the command made of `parts` and reads its reply, both within `limit`.
    pub(super) async fn command(&mut self, limit: Duration, parts: &[&str]) -> Result<Reply, Fault> {
        self.commands(limit, &[parts]).await
    }

    /// Writes several commands at once, each made of parts, and reads the reply to the first, all within `limit`. The replies
    /// to the others are what is to be read next (RFC 2920).
    pub(super) async fn commands(&mut self, limit: Duration, commands: &[&[&str]]) -> Result<Reply, Fault> {
        // A reply nobody asked for would be taken for the answer to this command, and the next for the next.
        self.silent()?;
        self.out.clear();
        self.put(commands)?;
        let exchange = async {
            self.stream.write_all(&self.out).await?;
            self.stream.flush().await?;
            read_reply(&mut self.stream).await
        };
        timeout(limit, exchange).await.unwrap_or(Err(Fault::TimedOut))
    }

    /// Puts commands behind what is to be written.
    fn put(&mut self, commands: &[&[&str]]) -> Result<(), Fault> {
        for parts in commands {
            for part in *parts {
                if part.contains(['\r', '\n']) {
                    return Err(Fault::Io(io::ErrorKind::InvalidInput));
                }
                self.out.extend_from_slice(part.as_bytes());
            }
            self.out.extend_from_slice(b"\r\n");
        }
        Ok(())
    }

    /// Reads a reply.
    pub(super) async fn reply(&mut self, limit: Duration) -> Result<Reply, Fault> {
        timeout(limit, read_reply(&mut self.stream)).await.unwrap_or(Err(Fault::TimedOut))
    }

    /// Fails when the server has closed the connection or said something unasked, as far as that has arrived.
    pub(super) fn silent(&mut self) -> Result<(), Fault> {
        match self.stream.fill_buf().now_or_never() {
            None => Ok(()),
            Some(Ok([])) => Err(Fault::Closed),
            Some(Ok(_)) => Err(Garbage("the server spoke unasked").into()),
            Some(Err(error)) => Err(error.into()),
        }
    }

    /// True when bytes of the server wait to be read.
    pub(super) fn has_spoken(&mut self) -> bool {
        matches!(self.stream.fill_buf().now_or_never(), Some(Ok(bytes)) if !bytes.is_empty())
    }

    /// Writes a body that is already stuffed, in chunks of which each has `limit`, until the kernel has all of it. The kernel may
    /// keep the end of it for what is written next, which is the dot: so both go out together.
    pub(super) async fn send_body(&mut self, body: &[u8], limit: Duration) -> Result<(), Fault> {
        for chunk in body.chunks(CHUNK) {
            let write = self.stream.get_mut().write_with_more_to_come(chunk);
            timeout(limit, write).await.map_err(|_| Fault::TimedOut)??;
            #[cfg(feature = "fault-injection")]
            crate::faults::point("C5");
        }
        Ok(())
    }

    /// Writes the line that ends a message, and `commands` behind it if that goes before the time `by` which it has to; whether they
    /// are written. The body before it ended in CRLF and was flushed.
    pub(super) async fn send_dot(
        &mut self,
        limit: Duration,
        commands: &[&[&str]],
        by: Instant,
    ) -> Result<bool, DotFault> {
        let encrypted = self.stream.get_ref().is_encrypted();
        let mut written = 0;
        self.out.clear();
        self.out.extend_from_slice(DOT);
        self.put(commands).map_err(|fault| DotFault::new(written, encrypted, fault))?;
        let mut all = self.out.len();
        let write = async {
            while written < all {
                let taken = std::future::poll_fn(|cx| {
                    // What the server has kept waiting until then goes without.
                    if written == 0 && Instant::now() >= by {
                        all = DOT.len();
                    }
                    Pin::new(&mut self.stream).poll_write(cx, &self.out[written..all])
                });
                let taken = taken.await?;
                if taken == 0 {
                    return Err(Fault::Closed);
                }
                written += taken;
            }
            self.stream.flush().await.map_err(Fault::from)
        };
        let outcome = timeout(limit, write).await.unwrap_or(Err(Fault::TimedOut));
        outcome.map(|()| written > DOT.len()).map_err(|fault| DotFault::new(written, encrypted, fault))
    }
}

async fn read_reply(stream: &mut BufReader<Stream>) -> Result<Reply, Fault> {
    let mut parser = ReplyParser::new();
    loop {
        let bytes = stream.fill_buf().await?;
        if bytes.is_empty() {
            return Err(Fault::Closed);
        }
        let (used, reply) = parser.feed(bytes)?;
        stream.consume(used);
        if let Some(reply) = reply {
            return Ok(reply);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt;
    use tokio::net::TcpListener;

    /// Both ends of a connection.
    async fn connected() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let tcp = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (tcp, listener.accept().await.unwrap().0)
    }

    /// Writes until nothing more is taken, and that for a while.
    async fn fill(tcp: &TcpStream) {
        while let Ok(ready) = timeout(Duration::from_millis(50), tcp.writable()).await {
            ready.unwrap();
            // Refused by a socket that seemed to have room: asked again.
            let _ = tcp.try_write(&[b'x'; 4_096]);
        }
    }

    #[tokio::test]
    async fn what_the_server_has_no_room_for_in_time_ends_without_company() {
        let (tcp, mut peer) = connected().await;
        fill(&tcp).await;
        let reading = tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(200)).await;
            let mut read = Vec::new();
            peer.read_to_end(&mut read).await.unwrap();
            read
        });
        let mut wire = Wire::new(Stream::Plain(tcp));
        let by = Instant::now() + Duration::from_millis(50);
        let written = wire.send_dot(Duration::from_secs(30), &[&["MAIL FROM:<", "a@x.test", ">"]], by).await.unwrap();
        drop(wire);
        let read = reading.await.unwrap();
        let end = read.iter().rposition(|octet| *octet == b'x').unwrap() + 1;
        assert_eq!((&read[end..], written), (b".\r\n".as_slice(), false));
    }

    #[tokio::test]
    async fn what_is_written_in_time_has_company() {
        let (tcp, mut peer) = connected().await;
        let mut wire = Wire::new(Stream::Plain(tcp));
        let by = Instant::now() + Duration::from_secs(30);
        assert!(wire.send_dot(Duration::from_secs(30), &[&["DATA"]], by).await.unwrap());
        drop(wire);
        let mut read = Vec::new();
        peer.read_to_end(&mut read).await.unwrap();
        assert_eq!(read, b".\r\nDATA\r\n");
    }
}
