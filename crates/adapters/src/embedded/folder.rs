//! The state folder of a private database: where it is, who holds it, and where its socket goes.
//!
//! ```text
//! <state>/lock            held by the process that runs the server
//! <state>/data/           PostgreSQL's own; made by initdb, 0700
//! <state>/data.new/       an initdb that did not finish
//! <state>/socket/         0700; elsewhere when the path would be too long
//! <state>/postgres.log
//! <state>/postgresql-*/   downloaded programs
//! ```

use super::account::{Account, server_account};
use super::error::{EmbeddedError, Trying};
use super::sys;
use sha2::{Digest, Sha256};
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The longest path that fits into a socket address, without its final NUL (Linux; macOS has four bytes less).
const LONGEST_SOCKET_PATH: usize = if cfg!(target_os = "linux") { 107 } else { 103 };

/// The name `PostgreSQL` gives its socket; the port is part of it.
const SOCKET_NAME: &str = ".s.PGSQL.5432";

/// How long a process that is just ending may still hold the folder.
const LOCK_WITHIN: Duration = Duration::from_secs(2);

/// A state folder that this process holds; given up when dropped or when the process dies.
#[derive(Debug)]
pub(super) struct StateFolder {
    /// The folder itself, absolute.
    pub(super) root: PathBuf,
    /// Who runs the server, when it is not this process's user.
    pub(super) account: Option<Account>,
    /// Where the socket is made.
    pub(super) socket_dir: PathBuf,
    /// What the operator should know about the choice of folder or user.
    pub(super) notes: Vec<String>,
    _lock: File,
}

impl StateFolder {
    /// Makes `requested` if it is not there, and takes its lock.
    ///
    /// As root, a place that the server's user cannot enter is replaced by one below `/var/lib`, named after
    /// `requested` so that the next start finds it again; the notes say so.
    pub(super) fn hold(requested: &Path) -> Result<Self, EmbeddedError> {
        let requested = std::path::absolute(requested).trying("resolve", requested)?;
        let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
        let euid = sys::effective_uid();
        let mut notes = Vec::new();

        let account_for = |root: &Path| server_account(euid, &passwd, &root.join("data"));
        let (root, account) = settle(&requested, &account_for, &mut notes)?;
        let lock = lock(&root)?;
        if let Some(account) = &account {
            notes.push(format!(
                "the database server runs as the user {}, because PostgreSQL refuses root",
                account.name
            ));
        }
        let socket_dir = make_socket_dir(&root, account.as_ref(), Path::new("/tmp"), euid)?;
        // Without links, as the kernel tells where a process works.
        let root = root.canonicalize().trying("resolve", &root)?;
        Ok(Self { root, account, socket_dir, notes, _lock: lock })
    }

    /// Where the data is.
    pub(super) fn data(&self) -> PathBuf {
        self.root.join("data")
    }

    /// Where the server writes what it has to say.
    pub(super) fn log(&self) -> PathBuf {
        self.root.join("postgres.log")
    }
}

impl Drop for StateFolder {
    fn drop(&mut self) {
        if !self.socket_dir.starts_with(&self.root) {
            // Fails, and is used again, when a killed server left its socket there.
            let _ = fs::remove_dir(&self.socket_dir);
        }
    }
}

type AccountFor<'a> = &'a dyn Fn(&Path) -> Result<Option<Account>, EmbeddedError>;

/// The folder to use and who runs the server there.
fn settle(
    requested: &Path,
    account_for: AccountFor<'_>,
    notes: &mut Vec<String>,
) -> Result<(PathBuf, Option<Account>), EmbeddedError> {
    let barred = match try_place(requested, account_for)? {
        Ok(account) => return Ok((requested.to_owned(), account)),
        Err(barred) => barred,
    };
    let instead = Path::new("/var/lib").join(format!("muster-{}", short_hash(requested)));
    notes.push(format!(
        "the database is in {} instead of {}, because its server may not enter {}",
        instead.display(),
        requested.display(),
        barred.display()
    ));
    match try_place(&instead, account_for)? {
        Ok(account) => Ok((instead, account)),
        Err(barred) => Err(EmbeddedError::Folder {
            folder: requested.to_owned(),
            reason: format!("the server's user may enter neither it nor {}", barred.display()),
        }),
    }
}

/// Makes `root` and says who runs the server there, or which folder on the way bars that user.
fn try_place(root: &Path, account_for: AccountFor<'_>) -> Result<Result<Option<Account>, PathBuf>, EmbeddedError> {
    let account = account_for(root)?;
    if let Some(barred) = account.as_ref().and_then(|account| account.barred_at(root)) {
        return Ok(Err(barred));
    }
    if !root.exists() {
        fs::create_dir_all(root).trying("make the folder", root)?;
        // Whatever the umask is: the server's user has to pass. Its own folders inside are 0700.
        fs::set_permissions(root, Permissions::from_mode(0o755)).trying("open up", root)?;
    }
    Ok(match account.as_ref().and_then(|account| account.barred_at(root)) {
        Some(barred) => Err(barred),
        None => Ok(account),
    })
}

fn lock(root: &Path) -> Result<File, EmbeddedError> {
    let path = root.join("lock");
    let mut file =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).trying("open", &path)?;
    let give_up = Instant::now() + LOCK_WITHIN;
    loop {
        match file.try_lock() {
            Ok(()) => break,
            Err(TryLockError::WouldBlock) if Instant::now() < give_up => std::thread::sleep(Duration::from_millis(50)),
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                file.read_to_string(&mut holder).trying("read", &path)?;
                return Err(EmbeddedError::InUse { folder: root.to_owned(), holder: holder.trim().parse().ok() });
            }
            Err(TryLockError::Error(refusal)) => return Err(refusal).trying("lock", &path),
        }
    }
    let said = file.set_len(0).and_then(|()| file.seek(SeekFrom::Start(0)));
    said.and_then(|_| writeln!(file, "{}", std::process::id())).trying("write", &path)?;
    Ok(file)
}

/// A folder for the socket that only the server's user (and root) may enter: that is all the protection it has,
/// as the server trusts whoever reaches it.
fn make_socket_dir(
    root: &Path,
    account: Option<&Account>,
    short_places: &Path,
    euid: u32,
) -> Result<PathBuf, EmbeddedError> {
    let own = root.join("socket");
    let fits = own.join(SOCKET_NAME).as_os_str().len() <= LONGEST_SOCKET_PATH;
    let dir = if fits { own } else { short_places.join(format!("muster-{euid}-{}", short_hash(root))) };

    match DirBuilder::new().mode(0o700).create(&dir) {
        Err(refusal) if refusal.kind() == io::ErrorKind::AlreadyExists => check_owner(&dir, account, euid)?,
        made => made.trying("make the folder", &dir)?,
    }
    fs::set_permissions(&dir, Permissions::from_mode(0o700)).trying("close", &dir)?;
    if let Some(account) = account {
        account.owns(&dir).trying("hand over", &dir)?;
    }
    Ok(dir)
}

/// In a place like `/tmp` somebody else may have made the folder first, to be given our socket.
fn check_owner(dir: &Path, account: Option<&Account>, euid: u32) -> Result<(), EmbeddedError> {
    let found = fs::symlink_metadata(dir).trying("look at", dir)?;
    if found.is_dir() && (found.uid() == euid || account.is_some_and(|account| found.uid() == account.uid)) {
        return Ok(());
    }
    Err(EmbeddedError::Folder { folder: dir.to_owned(), reason: "it is somebody else's".to_owned() })
}

/// Twelve hexadecimal digits that stand for a path.
fn short_hash(path: &Path) -> String {
    use std::fmt::Write as _;
    let digest = Sha256::digest(path.as_os_str().as_bytes());
    digest.iter().take(6).fold(String::new(), |mut hex, byte| {
        // Writing to a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn me() -> u32 {
        sys::effective_uid()
    }

    #[test]
    fn a_second_holder_is_told_who_has_the_folder() {
        let root = tempfile::tempdir().unwrap();
        let first = lock(root.path()).unwrap();
        let refused = lock(root.path()).unwrap_err();
        assert!(
            matches!(refused, EmbeddedError::InUse { holder: Some(pid), .. } if pid == std::process::id()),
            "{refused}"
        );
        drop(first);
        lock(root.path()).unwrap();
    }

    #[test]
    fn a_path_too_long_for_a_socket_gets_a_short_folder_that_stays_the_same() {
        let (root, short) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let long = root.path().join("x".repeat(120));
        fs::create_dir(&long).unwrap();

        let dir = make_socket_dir(&long, None, short.path(), me()).unwrap();
        assert!(dir.starts_with(short.path()), "{}", dir.display());
        assert!(dir.join(SOCKET_NAME).as_os_str().len() <= LONGEST_SOCKET_PATH);
        assert_eq!(fs::metadata(&dir).unwrap().mode() & 0o777, 0o700);
        assert_eq!(make_socket_dir(&long, None, short.path(), me()).unwrap(), dir);
    }

    #[test]
    fn a_socket_folder_prepared_by_somebody_else_is_refused() {
        let (root, short) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let long = root.path().join("x".repeat(120));
        fs::create_dir(&long).unwrap();
        let trap = make_socket_dir(&long, None, short.path(), me()).unwrap();

        fs::remove_dir(&trap).unwrap();
        std::os::unix::fs::symlink(root.path(), &trap).unwrap();
        let refused = make_socket_dir(&long, None, short.path(), me()).unwrap_err();
        assert!(refused.to_string().contains("somebody else"), "{refused}");
    }

    #[test]
    fn a_place_the_server_may_not_enter_is_replaced_and_the_note_says_so() {
        if me() != 0 {
            return; // only root runs the server as another user
        }
        let root = tempfile::tempdir().unwrap();
        fs::set_permissions(root.path(), Permissions::from_mode(0o700)).unwrap();
        let requested = root.path().join("state");

        let held = StateFolder::hold(&requested).unwrap();
        assert!(held.root.starts_with("/var/lib"), "{}", held.root.display());
        assert!(!requested.exists());
        assert!(held.notes[0].contains(&root.path().display().to_string()), "{:?}", held.notes);
        fs::remove_dir_all(&held.root).unwrap();
    }
}
