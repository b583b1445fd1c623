//! A client that costs next to nothing, so that what is measured is the server: written requests over kept connections.

use anyhow::{Context, Result};
use futures::future::try_join_all;
use serde_json::Value;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const CONNECTIONS: usize = 16;

/// A request as its bytes.
pub(crate) struct Request(Vec<u8>);

impl Request {
    pub(crate) fn get(path: &str, key: &str) -> Self {
        Self(format!("GET {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {key}\r\n\r\n").into_bytes())
    }

    pub(crate) fn post(path: &str, key: &str, body: &Value) -> Self {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let kind = if body.is_empty() { "" } else { "Content-Type: application/json\r\n" };
        let length = body.len();
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {key}\r\n{kind}Content-Length: {length}\r\n\r\n"
        );
        Self((head + &body).into_bytes())
    }
}

/// Sends what `next` gives for each number, one after the other on each connection, until the time is over or nothing
/// is left; requests a second. Every answer has to be a success.
pub(crate) async fn load(port: u16, time: Duration, next: impl Fn(usize) -> Option<Request>) -> Result<f64> {
    let (turn, done) = (AtomicUsize::new(0), AtomicU64::new(0));
    let begun = Instant::now();
    let connections = (0..CONNECTIONS).map(|_| async {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.set_nodelay(true)?;
        let mut buffer = Vec::with_capacity(64 * 1024);
        while begun.elapsed() < time {
            let Some(Request(bytes)) = next(turn.fetch_add(1, Ordering::Relaxed)) else { break };
            stream.write_all(&bytes).await?;
            answer(&mut stream, &mut buffer).await?;
            done.fetch_add(1, Ordering::Relaxed);
        }
        anyhow::Ok(())
    });
    try_join_all(connections).await?;
    Ok(super::super::enroll::rate(done.into_inner(), begun))
}

/// Reads one answer to its end.
async fn answer(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Result<()> {
    buffer.clear();
    let head = loop {
        anyhow::ensure!(stream.read_buf(buffer).await? > 0, "the connection ended");
        if let Some(end) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
    };
    let text = std::str::from_utf8(&buffer[..head])?.to_ascii_lowercase();
    anyhow::ensure!(text.starts_with("http/1.1 2"), "{}", String::from_utf8_lossy(buffer));
    let length =
        text.lines().find_map(|line| line.strip_prefix("content-length:")).context("an answer has a length")?;
    let whole = head + length.trim().parse::<usize>()?;
    while buffer.len() < whole {
        anyhow::ensure!(stream.read_buf(buffer).await? > 0, "the connection ended");
    }
    Ok(())
}
