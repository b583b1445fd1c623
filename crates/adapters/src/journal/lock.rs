//! Journal files and their locks.
//!
//! A lock belongs to an open file, not to a process or a name: two openings exclude each other even within one
//! process. Since a journal is replaced by renaming, whoever has a lock checks that the name still leads to its file.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

/// What a living or abandoned journal is called.
pub(super) const JOURNAL: &str = "journal";
/// What a journal is called until it is whole.
pub(super) const UNFINISHED: &str = "tmp";

/// Makes a new file, for its owner's eyes only, and locks it.
pub(super) fn create(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().append(true).create_new(true).mode(0o600).open(path)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(io::ErrorKind::ResourceBusy.into()),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Opens a file that nobody holds and locks it; `None` when somebody holds it or it is gone.
pub(super) fn take(path: &Path) -> io::Result<Option<File>> {
    let file = match OpenOptions::new().read(true).write(true).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    claim(file, path)
}

/// Locks a file that was found at `path`; `None` when somebody holds it, or it was replaced or deleted since.
fn claim(file: File, path: &Path) -> io::Result<Option<File>> {
    match file.try_lock() {
        Ok(()) => Ok(is_at(&file, path)?.then_some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Whether `path` leads to `file`, and not to a file that replaced it, or nowhere.
pub(super) fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let ours = file.metadata()?;
    match std::fs::metadata(path) {
        Ok(there) => Ok((there.dev(), there.ino()) == (ours.dev(), ours.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &Path) -> File {
        OpenOptions::new().read(true).write(true).open(path).unwrap()
    }

    #[test]
    fn a_file_that_was_replaced_or_deleted_between_finding_and_locking_is_not_claimed() {
        let folder = tempfile::tempdir().unwrap();
        let (path, aside) = (folder.path().join("a.journal"), folder.path().join("a.tmp"));
        let old = create(&path).unwrap();
        let found_old = found(&path);
        let new = create(&aside).unwrap();
        std::fs::rename(&aside, &path).unwrap();
        drop(old);
        assert!(claim(found_old, &path).unwrap().is_none(), "the journal that was replaced was claimed");

        let found_new = found(&path);
        assert!(take(&path).unwrap().is_none(), "a held journal was taken");
        std::fs::remove_file(&path).unwrap();
        drop(new);
        assert!(claim(found_new, &path).unwrap().is_none(), "the journal that was deleted was claimed");
        assert!(take(&path).unwrap().is_none());
    }
}
