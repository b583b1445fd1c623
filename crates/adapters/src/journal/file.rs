//! The journal of this process.

use super::entry::{Header, write_entry, write_header};
use super::{boot_id, folder, lock};
use muster_domain::model::delivery::Attempt;
use muster_domain::ports::transport::{Journal, Phase};
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use uuid::Uuid;

/// Beyond this size the file is written anew with only what is still open.
const COMPACT_AFTER: u64 = 8 * 1024 * 1024;

/// The journal of this process; see the module. Safe to use from any thread; a record is one `write(2)`.
///
/// Dropping it deletes the file if every attempt was recorded; otherwise the file stays to be adopted.
#[derive(Debug)]
pub struct FileJournal {
    writer: Mutex<Writer>,
}

impl FileJournal {
    /// Begins a journal in `state_dir`, which is made if need be.
    pub fn open(state_dir: &Path) -> io::Result<Self> {
        Self::open_in_boot(state_dir, &boot_id())
    }

    /// Begins a journal as if the machine were in boot `boot`.
    pub(super) fn open_in_boot(state_dir: &Path, boot: &str) -> io::Result<Self> {
        Self::open_with(state_dir, boot, COMPACT_AFTER)
    }

    pub(super) fn open_with(state_dir: &Path, boot: &str, compact_after: u64) -> io::Result<Self> {
        let folder = folder(state_dir);
        std::fs::create_dir_all(&folder)?;
        let header = Header::new(boot);
        let (path, file, length) = begin_somewhere(&folder, &header)?;
        let writer = Writer {
            path,
            header,
            file,
            length,
            compact_after,
            compact_at: compact_after,
            open: HashMap::new(),
            line: Vec::new(),
            broken: false,
        };
        Ok(Self { writer: Mutex::new(writer) })
    }

    /// The file, while it exists.
    #[cfg(test)]
    pub(super) fn path(&self) -> PathBuf {
        self.writer.lock().unwrap().path.clone()
    }
}

impl Journal for FileJournal {
    fn record(&self, attempt: Attempt, phase: &Phase) -> io::Result<()> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner).record(attempt, phase)
    }
}

impl Drop for FileJournal {
    fn drop(&mut self) {
        let writer = self.writer.get_mut().unwrap_or_else(PoisonError::into_inner);
        if writer.open.is_empty() && lock::is_at(&writer.file, &writer.path).unwrap_or(false) {
            let _ = std::fs::remove_file(&writer.path);
        }
    }
}

#[derive(Debug)]
struct Writer {
    path: PathBuf,
    header: Header,
    /// Open for appending, and locked.
    file: File,
    /// Octets of whole lines in it.
    length: u64,
    compact_after: u64,
    compact_at: u64,
    /// What is not yet recorded: as much as is in flight.
    open: HashMap<Attempt, Phase>,
    line: Vec<u8>,
    /// Half a line is in the file and could not be taken back: nothing may follow it.
    broken: bool,
}

impl Writer {
    fn record(&mut self, attempt: Attempt, phase: &Phase) -> io::Result<()> {
        if self.broken {
            return Err(io::Error::other("the journal is broken since an earlier error"));
        }
        self.line.clear();
        write_entry(&mut self.line, attempt, phase)?;
        if let Err(error) = self.file.write_all(&self.line) {
            self.broken = self.file.set_len(self.length).is_err();
            return Err(error);
        }
        self.length += self.line.len() as u64;
        if *phase == Phase::Recorded {
            self.open.remove(&attempt);
        } else {
            self.open.insert(attempt, phase.clone());
        }
        if self.length >= self.compact_at {
            self.compact();
        }
        Ok(())
    }

    /// Replaces the file by one that holds only what is open. When that fails the file goes on growing; there is no
    /// harm in it but its size, so it is tried again later.
    fn compact(&mut self) {
        match begin(&self.path, &self.header, &self.open) {
            // The old file is unlinked and its lock goes with it; the new one was locked before it had the name.
            Ok((file, length)) => {
                self.file = file;
                self.length = length;
                self.compact_at = length.saturating_add(self.compact_after);
            }
            Err(error) => {
                tracing::warn!(error = %error, "the journal could not be compacted");
                self.compact_at = self.length.saturating_add(self.compact_after);
            }
        }
    }
}

/// Begins under a name of its own. An adopter that looks in the moment between making and locking the file takes it
/// for an abandoned one and clears it away; then another name is tried.
fn begin_somewhere(folder: &Path, header: &Header) -> io::Result<(PathBuf, File, u64)> {
    let mut tries = 5;
    loop {
        let path = folder.join(Uuid::now_v7().simple().to_string()).with_extension(lock::JOURNAL);
        match begin(&path, header, &HashMap::new()) {
            Ok((file, length)) => return Ok((path, file, length)),
            Err(error) if tries > 0 && matches!(error.kind(), ErrorKind::ResourceBusy | ErrorKind::NotFound) => {
                tries -= 1;
            }
            Err(error) => return Err(error),
        }
    }
}

/// Writes a journal aside, locked, and then gives it the name `path`; whatever had the name loses it.
fn begin(path: &Path, header: &Header, open: &HashMap<Attempt, Phase>) -> io::Result<(File, u64)> {
    let mut content = Vec::new();
    write_header(&mut content, header)?;
    for (attempt, phase) in open {
        write_entry(&mut content, *attempt, phase)?;
    }
    let aside = path.with_extension(lock::UNFINISHED);
    let mut file = lock::create(&aside)?;
    let named = file.write_all(&content).and_then(|()| std::fs::rename(&aside, path));
    if let Err(error) = named {
        let _ = std::fs::remove_file(&aside);
        return Err(error);
    }
    Ok((file, content.len() as u64))
}

#[cfg(test)]
mod tests {
    use super::super::entry::read;
    use super::super::entry::tests::{attempt, replied};
    use super::*;
    use std::sync::Arc;

    fn contents(journal: &FileJournal) -> Vec<(Attempt, Phase)> {
        read(&std::fs::read(journal.path()).unwrap()).unrecorded
    }

    #[test]
    fn a_record_is_in_the_file_when_the_call_returns() {
        let folder = tempfile::tempdir().unwrap();
        let journal = FileJournal::open(folder.path()).unwrap();
        for phase in [Phase::Begun, Phase::Dot, replied()] {
            journal.record(attempt(1), &phase).unwrap();
            assert_eq!(contents(&journal), [(attempt(1), phase)]);
        }
        journal.record(attempt(1), &Phase::Recorded).unwrap();
        assert_eq!(contents(&journal), []);
    }

    #[test]
    fn a_journal_with_nothing_open_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let journal = FileJournal::open(folder.path()).unwrap();
        let path = journal.path();
        journal.record(attempt(1), &Phase::Begun).unwrap();
        journal.record(attempt(1), &Phase::Recorded).unwrap();
        drop(journal);
        assert!(!path.exists());
    }

    #[test]
    fn a_journal_with_something_open_stays() {
        let folder = tempfile::tempdir().unwrap();
        let journal = FileJournal::open(folder.path()).unwrap();
        let path = journal.path();
        journal.record(attempt(1), &Phase::Begun).unwrap();
        drop(journal);
        assert_eq!(read(&std::fs::read(path).unwrap()).unrecorded, [(attempt(1), Phase::Begun)]);
    }

    #[test]
    fn a_journal_that_grew_is_written_anew_with_what_is_open_and_stays_locked() {
        let folder = tempfile::tempdir().unwrap();
        let journal = FileJournal::open_with(folder.path(), "boot", 10_000).unwrap();
        journal.record(attempt(0), &Phase::Dot).unwrap();
        for n in 1..1000 {
            for phase in [Phase::Begun, Phase::Dot, replied(), Phase::Recorded] {
                journal.record(attempt(n), &phase).unwrap();
                assert!(std::fs::metadata(journal.path()).unwrap().len() < 11_000);
            }
        }
        assert_eq!(contents(&journal), [(attempt(0), Phase::Dot)]);
        assert!(lock::take(&journal.path()).unwrap().is_none(), "the lock was lost");
        assert_eq!(std::fs::read_dir(folder.path().join("journal")).unwrap().count(), 1);
    }

    #[test]
    fn a_compaction_that_fails_loses_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let journal = FileJournal::open_with(folder.path(), "boot", 2_000).unwrap();
        // The name it would be written under is taken.
        std::fs::write(journal.path().with_extension(lock::UNFINISHED), "").unwrap();
        journal.record(attempt(0), &Phase::Dot).unwrap();
        for n in 1..100 {
            journal.record(attempt(n), &Phase::Begun).unwrap();
            journal.record(attempt(n), &Phase::Recorded).unwrap();
        }
        assert_eq!(contents(&journal), [(attempt(0), Phase::Dot)]);
    }

    #[test]
    fn threads_do_not_tear_each_others_lines() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Arc::new(FileJournal::open_with(folder.path(), "boot", 200_000).unwrap());
        let threads: Vec<_> = (0..4)
            .map(|thread| {
                let journal = Arc::clone(&journal);
                std::thread::spawn(move || {
                    for n in 0..2000 {
                        journal.record(attempt(thread * 10_000 + n), &Phase::Begun).unwrap();
                        journal.record(attempt(thread * 10_000 + n), &replied()).unwrap();
                        if n > 0 {
                            journal.record(attempt(thread * 10_000 + n), &Phase::Recorded).unwrap();
                        }
                    }
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        let mut left = contents(&journal);
        left.sort_by_key(|(attempt, _)| attempt.key);
        let expected: Vec<_> = (0..4).map(|thread| (attempt(thread * 10_000), replied())).collect();
        assert_eq!(left, expected);
    }
}
