//! Programs that others wrote, at the settings that their own documentation recommends for speed.

use super::database::Database;
use super::stage::Place;
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Job queues over PostgreSQL, and the script that drives each.
pub(crate) const QUEUES: [(&str, &str); 2] =
    [("graphile-worker 0.18", "graphile_worker.mjs"), ("pg-boss 12", "pg_boss.mjs")];

/// Jobs a second that a queue takes through, when the jobs do nothing.
pub(crate) async fn queue(place: &Place, database: &Database, script: &str, jobs: u64) -> Result<f64> {
    let folder = installed(place)?;
    let name = database.text("current_database()").await?;
    let socket = place.socket_folder();
    let (script, jobs) = (script.to_owned(), jobs.to_string());
    let said = tokio::task::spawn_blocking(move || {
        Command::new("node")
            .arg(&script)
            .args([&socket, &name, &jobs])
            .current_dir(folder)
            .stderr(Stdio::inherit())
            .output()
    })
    .await??;
    anyhow::ensure!(said.status.success(), "it failed");
    let text = String::from_utf8(said.stdout)?;
    text.lines().last().and_then(|line| line.trim().parse().ok()).with_context(|| format!("no rate in {text:?}"))
}

/// The scripts beside their libraries, at the versions that the lock file names.
fn installed(place: &Place) -> Result<PathBuf> {
    let folder = place.folder().join("peers");
    if folder.join("node_modules").exists() {
        return Ok(folder);
    }
    std::fs::create_dir_all(&folder)?;
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers");
    for entry in std::fs::read_dir(scripts)? {
        let entry = entry?;
        std::fs::copy(entry.path(), folder.join(entry.file_name()))?;
    }
    let said = Command::new("npm").args(["ci", "--no-audit", "--no-fund", "--silent"]).current_dir(&folder).status();
    anyhow::ensure!(said.context("npm is not there")?.success(), "npm could not install it");
    Ok(folder)
}

/// The versions of what the peers come from and run on; what is not there is left out.
pub(crate) fn versions() -> Vec<String> {
    let said = |command: &mut Command| {
        let said = command.output().ok().filter(|said| said.status.success())?;
        Some(String::from_utf8(said.stdout).ok()?.trim().to_owned())
    };
    let postconf = postfix("postconf").ok();
    let postfix = postconf.and_then(|postconf| said(Command::new(postconf).args(["-h", "mail_version"])));
    let node = said(Command::new("node").arg("--version"));
    let named = [postfix.map(|version| format!("Postfix {version}")), node.map(|version| format!("Node {version}"))];
    named.into_iter().flatten().collect()
}

/// One of Postfix's tools, wherever it lies.
pub(crate) fn postfix(tool: &str) -> Result<PathBuf> {
    let path = std::env::var("PATH").unwrap_or_default();
    path.split(':')
        .chain(["/usr/sbin", "/usr/lib/postfix/sbin"])
        .map(|folder| Path::new(folder).join(tool))
        .find(|file| file.exists())
        .with_context(|| format!("there is no {tool}: apt-get install postfix (nothing of it needs to run)"))
}
