//! The phase journal: what a killed worker leaves behind about the mails it was sending.
//!
//! One append-only file a process, below `<state folder>/journal/`, locked for as long as its process lives. A line is
//! handed to the kernel before [`Journal::record`] returns and never flushed to disk: the page cache outlives a
//! `kill -9`, and after a reboot the file is void, which its first line (the boot it was written in) tells.
//!
//! [`Journal::record`]: muster_domain::ports::transport::Journal::record

mod archive;
mod entry;
mod file;
mod lock;

pub use archive::FileJournalArchive;
pub use file::FileJournal;

use std::path::{Path, PathBuf};

/// Where journals lie in a state folder.
fn folder(state_dir: &Path) -> PathBuf {
    state_dir.join("journal")
}

/// Which boot of the machine this is; empty where that cannot be told, which voids every journal at once.
fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").map(|id| id.trim().to_owned()).unwrap_or_default()
}
