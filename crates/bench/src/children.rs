//! Processes of the program, and a client for its API.

use anyhow::{Context, Result};
use serde_json::Value;
use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Longer than this nothing is waited for that should come at once.
const PATIENCE: Duration = Duration::from_mins(1);

/// A process; killed when dropped.
pub(crate) struct Child {
    process: std::process::Child,
    port: u16,
    log: PathBuf,
}

impl Child {
    pub(crate) fn start(mut command: Command, port: u16, log: &Path) -> Result<Self> {
        let file = File::create(log)?;
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        let process = command.spawn().with_context(|| format!("{command:?}"))?;
        Ok(Self { process, port, log: log.to_owned() })
    }

    pub(crate) fn api(&self, key: &str) -> Api {
        Api { client: reqwest::Client::new(), base: format!("http://127.0.0.1:{}", self.port), key: key.to_owned() }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Waits until `/readyz` says yes.
    pub(crate) async fn wait_until_ready(&self) -> Result<()> {
        let begun = Instant::now();
        let url = format!("http://127.0.0.1:{}/readyz", self.port);
        while !reqwest::get(&url).await.is_ok_and(|answer| answer.status().is_success()) {
            let said = || std::fs::read_to_string(&self.log).unwrap_or_default();
            anyhow::ensure!(begun.elapsed() < PATIENCE, "the server does not come up: {}", said());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// The most memory it ever had, in MiB.
    pub(crate) fn peak_memory(&self) -> Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("the process is gone")?;
        let kib: f64 = line.trim().trim_end_matches(" kB").parse()?;
        Ok(kib / 1024.0)
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // Both fail only when it has ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A port that nobody listens on.
pub(crate) fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// A caller with a key.
#[derive(Clone)]
pub(crate) struct Api {
    client: reqwest::Client,
    base: String,
    key: String,
}

impl Api {
    pub(crate) async fn post(&self, path: &str, body: &Value) -> Result<Value> {
        self.send(self.client.post(format!("{}{path}", self.base)), body).await
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> Result<Value> {
        self.send(self.client.put(format!("{}{path}", self.base)), body).await
    }

    pub(crate) async fn get(&self, path: &str) -> Result<Value> {
        self.send(self.client.get(format!("{}{path}", self.base)), &Value::Null).await
    }

    async fn send(&self, mut request: reqwest::RequestBuilder, body: &Value) -> Result<Value> {
        if !body.is_null() {
            request = request.json(body);
        }
        answer(request.bearer_auth(&self.key)).await
    }

    /// A body that is already written.
    pub(crate) async fn upload(&self, path: &str, media_type: &str, body: reqwest::Body) -> Result<Value> {
        let request = self.client.post(format!("{}{path}", self.base)).bearer_auth(&self.key);
        answer(request.header("Content-Type", media_type).body(body)).await
    }
}

async fn answer(request: reqwest::RequestBuilder) -> Result<Value> {
    let answer = request.send().await?;
    let status = answer.status();
    let text = answer.text().await?;
    anyhow::ensure!(status.is_success(), "{status}: {text}");
    Ok(if text.is_empty() { Value::Null } else { serde_json::from_str(&text)? })
}
