//! Makes a new data folder, all or nothing.

use super::Durability;
use super::binaries::Binaries;
use super::error::{EmbeddedError, Trying};
use super::folder::StateFolder;
use super::process;
use std::fs::{self, DirBuilder, File};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::process::Stdio;

/// The major version that wrote the data in `data`; `None` when there is no data yet.
pub(super) fn version_of(data: &Path) -> Result<Option<u32>, EmbeddedError> {
    if !data.exists() {
        return Ok(None);
    }
    let file = data.join("PG_VERSION");
    let text = fs::read_to_string(&file).trying("read", &file)?;
    text.trim().parse().map(Some).map_err(|_| EmbeddedError::Folder {
        folder: data.to_owned(),
        reason: format!("its PG_VERSION says {:?}", text.trim()),
    })
}

/// Runs `initdb` into a temporary folder and moves that into place, so that a crash leaves no half of a database.
pub(super) fn create(folder: &StateFolder, binaries: &Binaries, durability: Durability) -> Result<(), EmbeddedError> {
    let unfinished = folder.root.join("data.new");
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished).trying("remove", &unfinished)?;
    }
    DirBuilder::new().mode(0o700).create(&unfinished).trying("make the folder", &unfinished)?;
    if let Some(account) = &folder.account {
        account.owns(&unfinished).trying("hand over", &unfinished)?;
    }

    let mut command = process::command(&binaries.dir.join("initdb"), folder.account.as_ref());
    command.arg("-D").arg(&unfinished).args(["--username=postgres", "--auth=trust", "--encoding=UTF8"]);
    // Text is ordered by its bytes, on every machine alike; letters are letters in every language.
    command.args(["--locale=C", if cfg!(target_os = "linux") { "--lc-ctype=C.UTF-8" } else { "--lc-ctype=UTF-8" }]);
    command.arg(match durability {
        Durability::Durable => "--data-checksums",
        Durability::Throwaway => "--no-sync",
    });
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let said = process::spawn(command)
        .and_then(std::process::Child::wait_with_output)
        .trying("run initdb of", &binaries.dir)?;
    if !said.status.success() {
        let output = String::from_utf8_lossy(&said.stderr).trim().to_owned();
        return Err(EmbeddedError::Failed { program: "initdb", output });
    }

    let data = folder.data();
    fs::rename(&unfinished, &data).trying("move into place", &data)?;
    if durability == Durability::Durable {
        File::open(&folder.root).and_then(|root| root.sync_all()).trying("sync", &folder.root)?;
    }
    Ok(())
}
