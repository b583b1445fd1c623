//! Sessions that outlive a killed server.
//!
//! A session that computes does not notice that its server is gone: it runs to its end, and as long as it holds the
//! shared memory no successor starts. That may take for ever, so the successor ends it.

use super::sys::{self, Signal};
use std::fs;
use std::path::Path;

/// Ends what a dead server left running on `data`; `server` is the main process that `postmaster.pid` names.
///
/// Does nothing while that process lives: then it is going down by itself and takes its sessions along.
/// The caller holds the folder's lock, so these processes serve nobody. Finds them only where there is a `/proc`.
pub(super) fn end(data: &Path, server: u32) {
    if works_on(data, &server.to_string()) {
        return;
    }
    let Ok(processes) = fs::read_dir("/proc") else { return };
    for process in processes.flatten() {
        let Some((name, pid)) =
            process.file_name().to_str().and_then(|name| Some((name.to_owned(), name.parse().ok()?)))
        else {
            continue;
        };
        if works_on(data, &name) && sys::send(Signal::Quit, pid).is_ok() {
            tracing::warn!(pid, "ended a session that outlived its killed database server");
        }
    }
}

/// Whether the process is one of `PostgreSQL` on this data: all of them work in the data folder.
fn works_on(data: &Path, pid: &str) -> bool {
    let process = Path::new("/proc").join(pid);
    fs::read_to_string(process.join("comm")).is_ok_and(|name| name.trim() == "postgres")
        && fs::read_link(process.join("cwd")).is_ok_and(|folder| folder == data)
}
