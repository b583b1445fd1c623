//! A private `PostgreSQL` server, started by this process and gone with it: no container, no account, no port.
//!
//! It uses an installed `PostgreSQL` (or downloads one), keeps its data in one folder, listens on a Unix socket in a
//! folder closed to others, works as root and as any user, and starts again after anything, kill -9 included.

mod account;
mod binaries;
mod error;
mod fetch;
mod folder;
mod initdb;
mod orphans;
mod process;
mod server;
mod settings;
mod sys;

pub use error::EmbeddedError;

use binaries::Places;
use folder::StateFolder;
use secrecy::SecretString;
use server::Server;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// What the data must survive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Everything, the death of the machine included.
    Durable,
    /// The death of any process, but not of the machine: for tests.
    Throwaway,
}

/// How a server is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shutdown {
    /// Sessions are cut and the data is written out; harder means follow when that hangs.
    Fast,
    /// Everything stops at once; the next start recovers. For tests of faults.
    Immediate,
    /// Like kill -9. For tests of faults.
    Kill,
}

/// How to run a private server.
#[derive(Debug, Clone)]
pub struct EmbeddedOptions {
    /// The state folder: data, socket, log and lock. Made if it is not there.
    pub state_dir: PathBuf,
    /// What the data must survive.
    pub durability: Durability,
    /// The folder with `initdb` and `postgres`; searched for when not given.
    pub bin_dir: Option<PathBuf>,
    /// Whether to download `PostgreSQL` when none is installed.
    pub download: bool,
}

/// A running private server; stopped when dropped, and by the kernel when this process is killed (on Linux).
#[derive(Debug)]
pub struct EmbeddedPostgres {
    // Dropped in this order: the folder is given up only when the server is gone.
    server: Server,
    folder: StateFolder,
}

impl EmbeddedPostgres {
    /// Starts the server, making its database first if the folder is new.
    ///
    /// Takes about a second for a new folder and 50 ms for an old one; after a crash as long as the recovery.
    pub async fn start(options: EmbeddedOptions) -> Result<Self, EmbeddedError> {
        let EmbeddedOptions { state_dir, durability, bin_dir, download } = options;
        let folder = blocking(move || StateFolder::hold(&state_dir)).await?;
        for note in &folder.notes {
            tracing::info!("{note}");
        }
        let wanted = initdb::version_of(&folder.data())?;
        let places = Places::of_this_machine(bin_dir, &folder.root);
        // A folder that the operator named is taken at its word: nothing is downloaded in its place.
        let may_download = download && places.named.is_none();
        let download = may_download.then(|| fetch::fetch(&folder.root, wanted));
        let binaries = places.find_or_download(&folder.data(), wanted, download).await?;
        blocking(move || {
            if wanted.is_none() {
                initdb::create(&folder, &binaries, durability)?;
            }
            let server = Server::start(&folder, &binaries, durability)?;
            Ok(Self { server, folder })
        })
        .await
    }

    /// The URL of one of its databases, for the superuser `postgres`.
    pub fn database_url(&self, database: &str) -> SecretString {
        let socket_dir = percent_encode(self.folder.socket_dir.as_os_str().as_bytes());
        format!("postgres://postgres@{socket_dir}/{}", percent_encode(database.as_bytes())).into()
    }

    /// The folder in use; not the one asked for when the notes say so.
    pub fn state_dir(&self) -> &Path {
        &self.folder.root
    }

    /// What the operator should know: another folder than the one asked for, another user than this one.
    pub fn notes(&self) -> &[String] {
        &self.folder.notes
    }

    /// The process id of the server's main process.
    pub fn pid(&self) -> u32 {
        self.server.pid()
    }

    /// Whether the server has not exited, by whatever cause.
    pub fn is_running(&mut self) -> bool {
        self.server.is_running()
    }

    /// Stops the server and waits for its end.
    pub async fn stop(mut self, how: Shutdown) -> Result<(), EmbeddedError> {
        blocking(move || {
            let stopped = self.server.stop(how);
            stopped.map_err(|source| EmbeddedError::Io { action: "stop the database server".to_owned(), source })
        })
        .await
    }
}

impl Drop for EmbeddedPostgres {
    fn drop(&mut self) {
        if let Err(refusal) = self.server.stop(Shutdown::Fast) {
            tracing::warn!(error = %refusal, "the private database server could not be stopped");
        }
    }
}

/// The major version of the `PostgreSQL` that a new database would be made with; `None` when none is installed.
pub fn installed_major(bin_dir: Option<PathBuf>) -> Option<u32> {
    let places = Places::of_this_machine(bin_dir, Path::new(""));
    places.find(Path::new(""), None).ok().flatten().map(|found| found.major)
}

/// Runs what blocks where it may.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, EmbeddedError> + Send + 'static,
) -> Result<T, EmbeddedError> {
    tokio::task::spawn_blocking(work).await.map_err(|broken| EmbeddedError::Io {
        action: "run the launcher of the private database".to_owned(),
        source: std::io::Error::other(broken),
    })?
}

/// Bytes as they may stand in a URL, at any place of it.
fn percent_encode(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(byte) {
            encoded.push(char::from(*byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
        encoded
    })
}
