//! Journals whose process is gone.

use super::entry::{Header, read};
use super::{boot_id, folder, lock};
use async_trait::async_trait;
use muster_domain::ports::transport::{AdoptedJournal, JournalArchive, Orphan};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// The journals in a state folder. Any number of processes may look through it at once: a lock decides.
#[derive(Debug, Clone)]
pub struct FileJournalArchive {
    folder: PathBuf,
    boot: String,
}

impl FileJournalArchive {
    /// The archive of `state_dir`, which need not exist.
    pub fn new(state_dir: &Path) -> Self {
        Self::in_boot(state_dir, &boot_id())
    }

    fn in_boot(state_dir: &Path, boot: &str) -> Self {
        Self { folder: folder(state_dir), boot: boot.to_owned() }
    }

    fn adopt_one(&self) -> io::Result<Option<Adopted>> {
        let files = match std::fs::read_dir(&self.folder) {
            Ok(files) => files,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        for file in files {
            let path = file?.path();
            let extension = path.extension().and_then(|extension| extension.to_str());
            if extension == Some(lock::JOURNAL) {
                if let Some(adopted) = self.adopt_file(path)? {
                    return Ok(Some(adopted));
                }
            } else if extension == Some(lock::UNFINISHED) && lock::take(&path)?.is_some() {
                // Its process died before it had a name; the journal it was to replace is still there.
                std::fs::remove_file(&path)?;
            }
        }
        Ok(None)
    }

    fn adopt_file(&self, path: PathBuf) -> io::Result<Option<Adopted>> {
        let Some(mut file) = lock::take(&path)? else { return Ok(None) };
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let contents = read(&bytes);
        let valid = !self.boot.is_empty() && Header::new(&self.boot) == contents;
        let orphans = if valid { contents.unrecorded } else { Vec::new() };
        let orphans = orphans.into_iter().map(|(attempt, phase)| Orphan { attempt, phase }).collect();
        Ok(Some(Adopted { path, file, orphans }))
    }
}

#[async_trait]
impl JournalArchive for FileJournalArchive {
    async fn adopt(&self) -> io::Result<Option<Box<dyn AdoptedJournal>>> {
        let archive = self.clone();
        let adopted = tokio::task::spawn_blocking(move || archive.adopt_one()).await.map_err(io::Error::other)??;
        Ok(adopted.map(|adopted| Box::new(adopted) as Box<dyn AdoptedJournal>))
    }
}

/// A journal we hold the lock of. Dropped without [`AdoptedJournal::discard`] it can be adopted again.
#[derive(Debug)]
struct Adopted {
    path: PathBuf,
    file: File,
    orphans: Vec<Orphan>,
}

impl AdoptedJournal for Adopted {
    fn orphans(&self) -> Vec<Orphan> {
        self.orphans.clone()
    }

    fn discard(self: Box<Self>) -> io::Result<()> {
        std::fs::remove_file(&self.path)?;
        // Only now may the lock go, or another could adopt what is about to vanish.
        drop(self.file);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::entry::tests::{attempt, replied};
    use super::super::file::FileJournal;
    use super::*;
    use muster_domain::ports::transport::{Journal, Phase};
    use std::io::Write;
    use std::sync::Arc;

    /// A journal as a killed process leaves it; `drop` would not delete it since something is open.
    fn abandoned(state: &Path, boot: &str) -> PathBuf {
        let journal = FileJournal::open_in_boot(state, boot).unwrap();
        journal.record(attempt(1), &Phase::Begun).unwrap();
        journal.record(attempt(2), &Phase::Begun).unwrap();
        journal.record(attempt(2), &Phase::Dot).unwrap();
        journal.record(attempt(3), &Phase::Begun).unwrap();
        journal.record(attempt(3), &Phase::Dot).unwrap();
        journal.record(attempt(3), &replied()).unwrap();
        journal.record(attempt(4), &Phase::Begun).unwrap();
        journal.record(attempt(4), &Phase::Recorded).unwrap();
        journal.path()
    }

    fn expected() -> Vec<Orphan> {
        [(1, Phase::Begun), (2, Phase::Dot), (3, replied())]
            .map(|(contact, phase)| Orphan { attempt: attempt(contact), phase })
            .to_vec()
    }

    #[tokio::test]
    async fn an_abandoned_journal_is_adopted_once_and_deleted_when_settled() {
        let state = tempfile::tempdir().unwrap();
        let path = abandoned(state.path(), "boot");
        let archive = FileJournalArchive::in_boot(state.path(), "boot");
        let adopted = archive.adopt().await.unwrap().unwrap();
        assert_eq!(adopted.orphans(), expected());
        assert!(archive.adopt().await.unwrap().is_none(), "adopted twice");
        assert!(path.exists(), "gone before it was settled");
        adopted.discard().unwrap();
        assert!(!path.exists());
        assert!(archive.adopt().await.unwrap().is_none());
    }

    #[tokio::test]
    async fn an_adopter_that_dies_leaves_the_journal_to_the_next() {
        let state = tempfile::tempdir().unwrap();
        abandoned(state.path(), "boot");
        let archive = FileJournalArchive::in_boot(state.path(), "boot");
        drop(archive.adopt().await.unwrap().unwrap());
        assert_eq!(archive.adopt().await.unwrap().unwrap().orphans(), expected());
    }

    #[tokio::test]
    async fn a_living_journal_is_not_adopted_not_even_by_its_own_process() {
        let state = tempfile::tempdir().unwrap();
        let journal = FileJournal::open_with(state.path(), "boot", 1_000).unwrap();
        let archive = FileJournalArchive::in_boot(state.path(), "boot");
        for n in 0..50 {
            journal.record(attempt(n), &Phase::Begun).unwrap();
            assert!(archive.adopt().await.unwrap().is_none());
            journal.record(attempt(n), &Phase::Recorded).unwrap();
        }
    }

    #[tokio::test]
    async fn a_reboot_voids_a_journal() {
        let state = tempfile::tempdir().unwrap();
        for (written, read) in [("before", "after"), ("", ""), ("before", "")] {
            let path = abandoned(state.path(), written);
            let adopted = FileJournalArchive::in_boot(state.path(), read).adopt().await.unwrap().unwrap();
            assert_eq!(adopted.orphans(), []);
            adopted.discard().unwrap();
            assert!(!path.exists());
        }
    }

    #[tokio::test]
    async fn a_torn_last_line_is_left_out() {
        let state = tempfile::tempdir().unwrap();
        let path = abandoned(state.path(), "boot");
        let mut file = std::fs::OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(b"{\"attempt\":{\"key\":{\"ten").unwrap();
        let archive = FileJournalArchive::in_boot(state.path(), "boot");
        assert_eq!(archive.adopt().await.unwrap().unwrap().orphans(), expected());
    }

    #[tokio::test]
    async fn a_file_that_is_no_journal_holds_nobody_up() {
        let state = tempfile::tempdir().unwrap();
        abandoned(state.path(), "boot");
        let folder = state.path().join("journal");
        std::fs::write(folder.join("empty.journal"), "").unwrap();
        std::fs::write(folder.join("noise.journal"), [0xff; 100]).unwrap();
        std::fs::write(folder.join("left.tmp"), "half").unwrap();
        let archive = FileJournalArchive::in_boot(state.path(), "boot");
        let mut found = Vec::new();
        while let Some(adopted) = archive.adopt().await.unwrap() {
            found.extend(adopted.orphans());
            adopted.discard().unwrap();
        }
        assert_eq!(found, expected());
        assert_eq!(std::fs::read_dir(folder).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn without_a_state_folder_there_is_nothing_to_adopt() {
        let state = tempfile::tempdir().unwrap();
        let archive = FileJournalArchive::new(&state.path().join("nowhere"));
        assert!(archive.adopt().await.unwrap().is_none());
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn of_many_adopters_each_journal_has_one() {
        let state = tempfile::tempdir().unwrap();
        for _ in 0..40 {
            abandoned(state.path(), "boot");
        }
        let archive = Arc::new(FileJournalArchive::in_boot(state.path(), "boot"));
        let adopters: Vec<_> = (0..8)
            .map(|_| {
                let archive = Arc::clone(&archive);
                tokio::spawn(async move {
                    let mut count = 0;
                    while let Some(adopted) = archive.adopt().await.unwrap() {
                        count += usize::from(adopted.orphans() == expected());
                        adopted.discard().unwrap();
                    }
                    count
                })
            })
            .collect();
        let mut total = 0;
        for adopter in adopters {
            total += adopter.await.unwrap();
        }
        assert_eq!(total, 40);
    }
}
