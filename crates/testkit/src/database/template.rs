//! The cached data folder with all migrations applied, and copies of it.
//!
//! ```text
//! <base>/muster-test-<user>/lock                     held while the others are looked through
//! <base>/muster-test-<user>/template-<hash>{,.lock}  a stopped server's state folder
//! <base>/muster-test-<user>/run-<pid>-<n>{,.lock}    a copy in use; the lock is free when its process is dead
//! ```

use super::cluster::start_on;
use anyhow::{Context, Result, ensure};
use diesel::QueryableByName;
use diesel::sql_types::BigInt;
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use muster_adapters::embedded::{self, Shutdown};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use std::fs::{self, File, OpenOptions, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

/// The migrated database on every test server.
pub(super) const DATABASE: &str = "muster_template";

/// A template that nobody copied for this long is removed.
const UNUSED_FOR: Duration = Duration::from_hours(24);

/// A copy of the template that belongs to this process. Removed when dropped, or by a later run.
#[derive(Debug)]
pub(super) struct Copy {
    state_dir: PathBuf,
    _lock: File,
}

impl Copy {
    /// The state folder to start a server on.
    pub(super) fn state_dir(&self) -> &Path {
        &self.state_dir
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.state_dir);
        let _ = fs::remove_file(lock_of(&self.state_dir));
    }
}

/// Copies the template for the migrations as they are, after making it if nobody has yet.
pub(super) async fn copy() -> Result<Copy> {
    let base = base_folder()?;
    let template = base.join(format!("template-{}", fingerprint()?));
    // Held until the copy is made: one process makes the template, and nobody removes it meanwhile.
    let wanted = lock_of(&template);
    let _lock = tokio::task::spawn_blocking(move || locked(&wanted)).await??;
    if !template.join("complete").exists() {
        make(&template).await.context("making the template of the test databases")?;
    }
    tokio::task::spawn_blocking(move || {
        let copy = claim_run_folder(&base)?;
        let mut cp = Command::new("cp");
        cp.arg("-a");
        if cfg!(target_os = "linux") {
            cp.arg("--reflink=auto");
        }
        let copied = cp.arg(template.join("data")).arg(copy.state_dir.join("data")).output()?;
        ensure!(copied.status.success(), "cp: {}", String::from_utf8_lossy(&copied.stderr));
        Ok(copy)
    })
    .await?
}

/// Waits for sessions on the template to be gone: a copy made while there is one waits much longer for that.
pub(super) async fn wait_until_unused(admin_url: &SecretString) -> Result<()> {
    #[derive(QueryableByName)]
    struct Sessions {
        #[diesel(sql_type = BigInt)]
        sessions: i64,
    }
    let mut admin = AsyncPgConnection::establish(admin_url.expose_secret()).await?;
    let sessions = format!("SELECT count(*) AS sessions FROM pg_stat_activity WHERE datname = '{DATABASE}'");
    while diesel::sql_query(&sessions).get_result::<Sessions>(&mut admin).await?.sessions > 0 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    Ok(())
}

async fn make(template: &Path) -> Result<()> {
    if template.exists() {
        fs::remove_dir_all(template)?;
    }
    let server = start_on(template).await?;
    ensure!(server.state_dir() == template, "{}", server.notes().join("; "));
    let mut admin = AsyncPgConnection::establish(server.database_url("postgres").expose_secret()).await?;
    admin.batch_execute(&format!("CREATE DATABASE {DATABASE}")).await?;
    muster_adapters::postgres::migrate(&server.database_url(DATABASE)).await?;
    server.stop(Shutdown::Fast).await?;
    File::create(template.join("complete"))?;
    Ok(())
}

/// A folder of this user that every user may enter, as the server may run as another one.
fn base_folder() -> Result<PathBuf> {
    let user = fs::metadata("/proc/self")
        .map_or_else(|_| std::env::var("USER").unwrap_or_default(), |me| me.uid().to_string());
    let base = fast_place().canonicalize()?.join(format!("muster-test-{user}"));
    if fs::create_dir(&base).is_ok() {
        fs::set_permissions(&base, Permissions::from_mode(0o755))?;
    }
    ensure!(fs::symlink_metadata(&base)?.is_dir(), "{} is no folder", base.display());
    Ok(base)
}

/// Memory, where there is plenty: a copy is a thousand small files, made ten times faster there than on a disk.
fn fast_place() -> PathBuf {
    const PLENTY_KIB: u64 = 4 << 20;
    let memory = Path::new("/dev/shm");
    let free = Command::new("df").arg("-Pk").arg(memory).output().ok().and_then(|said| {
        let said = String::from_utf8(said.stdout).ok()?;
        said.lines().nth(1)?.split_whitespace().nth(3)?.parse::<u64>().ok()
    });
    if free.is_some_and(|free| free >= PLENTY_KIB) { memory.to_owned() } else { std::env::temp_dir() }
}

/// Stands for the migrations and for the `PostgreSQL` that runs them.
fn fingerprint() -> Result<String> {
    let bin_dir = std::env::var_os("MUSTER_PG_BIN").map(PathBuf::from);
    let mut hash = Sha256::new();
    hash.update(format!("{:?}\n", embedded::installed_major(bin_dir)));
    let mut files = Vec::new();
    for migration in Path::new(env!("CARGO_MANIFEST_DIR")).join("../../migrations").read_dir()? {
        let migration = migration?.path();
        if migration.is_dir() {
            for file in migration.read_dir()? {
                files.push(file?.path());
            }
        }
    }
    files.sort();
    for file in files {
        let content = fs::read(&file)?;
        let name = file.strip_prefix(env!("CARGO_MANIFEST_DIR")).unwrap_or(&file).display();
        hash.update(format!("{name} {}\n", content.len()));
        hash.update(content);
    }
    let first = hash.finalize().first_chunk().copied().context("a hash is longer than eight bytes")?;
    Ok(format!("{:016x}", u64::from_be_bytes(first)))
}

/// A new folder for a copy, after removing those of dead processes and templates nobody uses.
fn claim_run_folder(base: &Path) -> Result<Copy> {
    static LAST: AtomicU32 = AtomicU32::new(0);
    let _lock = locked(&base.join("lock"))?;
    remove_leftovers(base);
    let number = LAST.fetch_add(1, Ordering::Relaxed) + 1;
    let state_dir = base.join(format!("run-{}-{number}", std::process::id()));
    let lock = locked(&lock_of(&state_dir))?;
    fs::create_dir(&state_dir)?;
    fs::set_permissions(&state_dir, Permissions::from_mode(0o755))?;
    Ok(Copy { state_dir, _lock: lock })
}

/// Best effort: what cannot be removed now is removed by a later run.
fn remove_leftovers(base: &Path) {
    let Ok(entries) = base.read_dir() else { return };
    for lock in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        let name = lock.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let Some(name) = name.strip_suffix(".lock") else { continue };
        let is_old = || {
            fs::metadata(&lock)
                .and_then(|found| found.modified())
                .is_ok_and(|used_at| SystemTime::now().duration_since(used_at).is_ok_and(|unused| unused > UNUSED_FOR))
        };
        let folder = base.join(name);
        let free = File::open(&lock).is_ok_and(|lock| lock.try_lock().is_ok());
        if free && !has_server(&folder) && (name.starts_with("run-") || is_old()) {
            let _ = fs::remove_dir_all(&folder);
            let _ = fs::remove_file(&lock);
        }
    }
}

/// Whether a server still runs there: one whose process has just ended takes a moment to follow it.
fn has_server(state_dir: &Path) -> bool {
    let pid = fs::read_to_string(state_dir.join("data/postmaster.pid"));
    pid.is_ok_and(|text| text.lines().next().is_some_and(|pid| Path::new("/proc").join(pid.trim()).exists()))
}

fn lock_of(folder: &Path) -> PathBuf {
    folder.with_added_extension("lock")
}

/// Waits for the lock; it is free again when the file is closed, at the latest by the end of the process.
fn locked(path: &Path) -> Result<File> {
    let file = OpenOptions::new().create(true).write(true).truncate(true).open(path)?;
    file.lock()?;
    file.set_modified(SystemTime::now())?;
    Ok(file)
}
