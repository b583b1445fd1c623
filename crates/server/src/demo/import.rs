//! The contacts of the demonstration, streamed to the API as they are read.

use super::client::Client;
use crate::progress::Stage;
use anyhow::Context;
use futures::stream;
use serde::Deserialize;
use std::io;
use std::path::Path;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncReadExt};

/// The contacts that come along.
const SHIPPED: &[u8] = include_bytes!("../../demo/contacts.csv");

/// How much is read and sent at a time.
const CHUNK: usize = 64 * 1024;

/// What became of the rows.
#[derive(Debug, Deserialize)]
pub(super) struct Imported {
    pub(super) created: u64,
    pub(super) updated: u64,
    pub(super) skipped: u64,
    errors: Vec<RowProblem>,
}

/// Why a row was left out.
#[derive(Debug, Deserialize)]
struct RowProblem {
    line: u64,
    detail: String,
}

impl Imported {
    /// The first row that was left out, for people.
    pub(super) fn first_problem(&self) -> Option<String> {
        self.errors.first().map(|problem| format!("line {}: {}", problem.line, problem.detail))
    }
}

/// Streams a file, or what comes along, into the workspace; `stage` counts lines.
pub(super) async fn import(client: &Client, file: Option<&Path>, stage: Arc<Stage>) -> anyhow::Result<Imported> {
    let Some(path) = file else {
        stage.set_total(lines(SHIPPED).saturating_sub(1));
        return send(client, "text/csv", SHIPPED, stage).await;
    };
    let is_ndjson = path.extension().is_some_and(|ending| ending == "ndjson" || ending == "jsonl");
    let media_type = if is_ndjson { "application/x-ndjson" } else { "text/csv" };
    let file = tokio::fs::File::open(path).await.with_context(|| format!("cannot read {}", path.display()))?;
    send(client, media_type, file, stage).await
}

async fn send(
    client: &Client,
    media_type: &str,
    from: impl AsyncRead + Send + Unpin + 'static,
    stage: Arc<Stage>,
) -> anyhow::Result<Imported> {
    let chunks = stream::try_unfold(from, move |mut from| {
        let stage = Arc::clone(&stage);
        async move {
            let mut chunk = vec![0; CHUNK];
            let length = from.read(&mut chunk).await?;
            chunk.truncate(length);
            stage.add(lines(&chunk));
            io::Result::Ok((length > 0).then_some((chunk, from)))
        }
    });
    client.stream("/contacts/import", media_type, reqwest::Body::wrap_stream(chunks)).await
}

fn lines(bytes: &[u8]) -> u64 {
    bytes.split(|byte| *byte == b'\n').skip(1).count() as u64
}
