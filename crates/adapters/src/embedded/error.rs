//! Why the private database did not start, by what the operator does next.

use std::io;
use std::path::{Path, PathBuf};

/// Why the private database did not start.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddedError {
    /// No usable `PostgreSQL` on this machine: install it.
    #[error(
        "no PostgreSQL {oldest} or newer found (looked in {}){}; install it with: {install}",
        list(.searched),
        .download.as_ref().map(|why| format!(", and downloading it failed: {why}")).unwrap_or_default()
    )]
    NoBinaries {
        /// Where it was looked for.
        searched: Vec<PathBuf>,
        /// The oldest major version that will do.
        oldest: u32,
        /// Why the download failed, when one was tried.
        download: Option<String>,
        /// The one command that helps on this system.
        install: &'static str,
    },
    /// Another Muster works on this folder: stop that one, or choose another folder.
    #[error("{} is in use by another Muster{}", .folder.display(), .holder.as_ref().map(|pid| format!(" (process {pid})")).unwrap_or_default())]
    InUse {
        /// The state folder.
        folder: PathBuf,
        /// The process that holds it, as far as known.
        holder: Option<u32>,
    },
    /// The data was written by another major version: install that one.
    #[error("{} was written by PostgreSQL {wanted}, but only {} found: install PostgreSQL {wanted}", .folder.display(), versions(.found))]
    WrongVersion {
        /// The data folder.
        folder: PathBuf,
        /// The major version that wrote it.
        wanted: u32,
        /// The major versions on this machine.
        found: Vec<u32>,
    },
    /// The folder cannot serve: choose another one, or run as its owner.
    #[error("{} cannot hold the database: {reason}", .folder.display())]
    Folder {
        /// The folder in question.
        folder: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A program of `PostgreSQL` gave up: its own words follow.
    #[error("{program} failed: {output}")]
    Failed {
        /// `initdb` or `postgres`.
        program: &'static str,
        /// The end of what it said.
        output: String,
    },
    /// The operating system refused something.
    #[error("cannot {action}")]
    Io {
        /// What was tried.
        action: String,
        /// The refusal.
        #[source]
        source: io::Error,
    },
}

/// Says what was tried when the operating system refuses.
pub(super) trait Trying<T> {
    /// Adds the action and the path it was about.
    fn trying(self, action: &str, path: &Path) -> Result<T, EmbeddedError>;
}

impl<T> Trying<T> for io::Result<T> {
    fn trying(self, action: &str, path: &Path) -> Result<T, EmbeddedError> {
        self.map_err(|source| EmbeddedError::Io { action: format!("{action} {}", path.display()), source })
    }
}

fn list(paths: &[PathBuf]) -> String {
    if paths.is_empty() {
        return "no place".to_owned();
    }
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", ")
}

fn versions(found: &[u32]) -> String {
    let names: Vec<String> = found.iter().map(ToString::to_string).collect();
    if names.len() == 1 { format!("{} was", names.concat()) } else { format!("{} were", names.join(", ")) }
}
