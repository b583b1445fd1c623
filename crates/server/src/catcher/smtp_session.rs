//! One SMTP conversation (RFC 5321, with PIPELINING, SIZE, 8BITMIME, SMTPUTF8, ENHANCEDSTATUSCODES).

use super::envelope;
use super::mailbox::Mailbox;
use super::receive::{Receiver, SIZE_LIMIT};
use std::io;
use std::time::{Duration, SystemTime};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// Bytes of a command line (RFC 5321 demands 512, and more with extensions).
const COMMAND_LINE: u64 = 2048;
/// Recipients of one message (RFC 5321 demands 100).
const RECIPIENTS: usize = 1000;
/// Wrong commands after which a connection is closed.
const MISTAKES: u32 = 20;
/// How long a client may be silent between commands (RFC 5321, section 4.5.3.2.7).
const COMMAND_TIMEOUT: Duration = Duration::from_mins(5);
/// How long a client may be silent within a message, and how long it may leave replies unread.
const BLOCK_TIMEOUT: Duration = Duration::from_mins(3);

/// Speaks with one client until it leaves, breaks off, or the server stops.
pub(super) async fn converse(stream: TcpStream, mailbox: &Mailbox, stop: &CancellationToken) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let (input, output) = stream.into_split();
    let mut session = Session {
        input: BufReader::with_capacity(16 * 1024, input),
        output,
        replies: Vec::with_capacity(256),
        mailbox,
        greeted: false,
        sender: None,
        recipients: Vec::new(),
        mistakes: 0,
    };
    session.reply("220 muster mail catcher ESMTP, delivers nothing");
    loop {
        let line = tokio::select! {
            // A command that has arrived is answered before the server closes.
            biased;
            line = session.command_line() => line,
            () = stop.cancelled() => Err(closing()),
        };
        let again = match line {
            Ok(Some(line)) => session.obey(line.trim_end_matches(['\r', '\n'])).await?,
            Ok(None) => false,
            Err(error) if error.kind() == io::ErrorKind::TimedOut => session.last_word("421 4.4.2 Silent for too long"),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => session.last_word("421 4.3.2 Shutting down"),
            Err(error) => return Err(error),
        };
        if !again {
            session.flush().await?;
            return session.output.shutdown().await;
        }
    }
}

/// The server stops. `Interrupted` never comes out of a tokio read, so it is free to say this.
fn closing() -> io::Error {
    io::ErrorKind::Interrupted.into()
}

struct Session<'a, R, W> {
    input: BufReader<R>,
    output: W,
    /// Replies not written yet: a pipelined group is answered in one packet (RFC 2920).
    replies: Vec<u8>,
    mailbox: &'a Mailbox,
    greeted: bool,
    sender: Option<String>,
    recipients: Vec<String>,
    mistakes: u32,
}

impl<R: AsyncRead + Unpin, W: AsyncWrite + Unpin> Session<'_, R, W> {
    /// The next line, or `None` when the client is gone. An over-long line is read to its end and comes back empty.
    async fn command_line(&mut self) -> io::Result<Option<String>> {
        if !self.input.buffer().contains(&b'\n') {
            self.flush().await?;
        }
        let mut line = Vec::with_capacity(128);
        let mut overlong = false;
        loop {
            let room = COMMAND_LINE - line.len() as u64;
            let mut bounded = (&mut self.input).take(room);
            let read = bounded.read_until(b'\n', &mut line);
            let read = timeout(COMMAND_TIMEOUT, read).await.map_err(|_| io::ErrorKind::TimedOut)??;
            if read == 0 {
                return Ok(None);
            }
            if line.ends_with(b"\n") {
                return Ok(Some(if overlong { String::new() } else { String::from_utf8_lossy(&line).into_owned() }));
            }
            if line.len() as u64 == COMMAND_LINE {
                overlong = true;
                line.clear();
            }
        }
    }

    /// Answers one command; false when the connection ends.
    async fn obey(&mut self, line: &str) -> io::Result<bool> {
        let (verb, argument) = line.split_once(' ').unwrap_or((line, ""));
        match verb.to_ascii_uppercase().as_str() {
            "EHLO" => self.greet(argument, true),
            "HELO" => self.greet(argument, false),
            "MAIL" => self.mail(argument),
            "RCPT" => self.rcpt(argument),
            "DATA" => return self.data(argument).await,
            "RSET" => {
                self.reset();
                self.reply("250 2.0.0 Forgotten");
            }
            "NOOP" => self.reply("250 2.0.0 OK"),
            "VRFY" => self.reply("252 2.1.5 Send some mail, it will be caught"),
            "HELP" => self.reply("214 2.0.0 EHLO HELO MAIL RCPT DATA RSET NOOP QUIT"),
            "QUIT" => return Ok(self.last_word("221 2.0.0 Bye")),
            "STARTTLS" | "AUTH" | "EXPN" | "BDAT" => self.mistake("502 5.5.1 Not offered here"),
            _ => self.mistake("500 5.5.2 Command not known"),
        }
        Ok(self.mistakes < MISTAKES || self.last_word("421 4.7.0 Too many wrong commands"))
    }

    fn greet(&mut self, argument: &str, extended: bool) {
        if argument.trim().is_empty() {
            return self.mistake("501 5.5.4 A name is missing");
        }
        self.reset();
        self.greeted = true;
        if extended {
            self.reply("250-muster");
            self.reply("250-PIPELINING");
            self.reply(&format!("250-SIZE {SIZE_LIMIT}"));
            self.reply("250-8BITMIME");
            self.reply("250-SMTPUTF8");
            self.reply("250 ENHANCEDSTATUSCODES");
        } else {
            self.reply("250 muster");
        }
    }

    fn mail(&mut self, argument: &str) {
        if !self.greeted {
            return self.mistake("503 5.5.1 EHLO comes first");
        }
        if self.sender.is_some() {
            return self.mistake("503 5.5.1 A sender is already given");
        }
        match envelope::sender(argument) {
            Ok(sender) => {
                self.sender = Some(sender);
                self.reply("250 2.1.0 OK");
            }
            Err(refusal) => self.mistake(refusal),
        }
    }

    fn rcpt(&mut self, argument: &str) {
        if self.sender.is_none() {
            return self.mistake("503 5.5.1 MAIL comes first");
        }
        if self.recipients.len() >= RECIPIENTS {
            return self.reply("452 4.5.3 Too many recipients");
        }
        match envelope::recipient(argument) {
            Ok(recipient) => {
                self.recipients.push(recipient);
                self.reply("250 2.1.5 OK");
            }
            Err(refusal) => self.mistake(refusal),
        }
    }

    async fn data(&mut self, argument: &str) -> io::Result<bool> {
        if !argument.trim().is_empty() {
            self.mistake("501 5.5.4 DATA takes no argument");
            return Ok(true);
        }
        if self.recipients.is_empty() {
            let reply =
                if self.sender.is_some() { "554 5.5.1 No valid recipients" } else { "503 5.5.1 MAIL comes first" };
            self.mistake(reply);
            return Ok(true);
        }
        self.reply("354 End with a dot on a line of its own");
        self.flush().await?;

        let mut receiver = Receiver::new(self.mailbox.limits().bytes_of_one);
        loop {
            let piece = match timeout(BLOCK_TIMEOUT, self.input.fill_buf()).await {
                Ok(piece) => piece?,
                Err(_) => return Ok(self.last_word("421 4.4.2 Silent for too long")),
            };
            if piece.is_empty() {
                // Gone before the final dot: nothing was accepted.
                return Ok(false);
            }
            let ended = receiver.take(piece);
            let used = ended.unwrap_or(piece.len());
            self.input.consume(used);
            if ended.is_some() {
                break;
            }
            if receiver.hopeless() {
                return Ok(self.last_word("552 5.3.4 Message too big"));
            }
        }
        let sender = self.sender.take().unwrap_or_default();
        let recipients = std::mem::take(&mut self.recipients);
        if receiver.too_big() {
            self.reply("552 5.3.4 Message too big");
            return Ok(true);
        }
        let (source, size) = receiver.finish();
        let number = self.mailbox.store(SystemTime::now(), sender, recipients, source, size);
        self.reply(&format!("250 2.0.0 Caught as {number}"));
        Ok(true)
    }

    fn reset(&mut self) {
        self.sender = None;
        self.recipients.clear();
    }

    fn reply(&mut self, reply: &str) {
        self.replies.extend_from_slice(reply.as_bytes());
        self.replies.extend_from_slice(b"\r\n");
    }

    fn mistake(&mut self, reply: &str) {
        self.mistakes += 1;
        self.reply(reply);
    }

    /// A reply after which the connection ends.
    fn last_word(&mut self, reply: &str) -> bool {
        self.reply(reply);
        false
    }

    async fn flush(&mut self) -> io::Result<()> {
        if !self.replies.is_empty() {
            timeout(BLOCK_TIMEOUT, self.output.write_all(&self.replies))
                .await
                .map_err(|_| io::ErrorKind::TimedOut)??;
            self.replies.clear();
        }
        Ok(())
    }
}
