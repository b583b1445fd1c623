//! Finds the programs of an installed `PostgreSQL`.

use super::error::EmbeddedError;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The oldest major version whose SQL Muster's migrations may use.
pub(super) const OLDEST_MAJOR: u32 = 15;

/// The folder that holds `initdb` and `postgres`, and what they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Binaries {
    /// The folder.
    pub(super) dir: PathBuf,
    /// Their major version.
    pub(super) major: u32,
}

impl Binaries {
    /// Looks at one folder: `None` unless both programs are there and say their version.
    fn at(dir: &Path) -> Option<Self> {
        if !dir.join("initdb").is_file() {
            return None;
        }
        let said = Command::new(dir.join("postgres")).arg("--version").current_dir("/").output().ok()?;
        let major = major_of(&String::from_utf8_lossy(&said.stdout))?;
        Some(Self { dir: dir.to_owned(), major })
    }
}

/// Where to look, in order of preference.
#[derive(Debug, Clone)]
pub(super) struct Places {
    /// The only place, when the operator named one.
    pub(super) named: Option<PathBuf>,
    /// The folders of `PATH`.
    pub(super) path: Option<OsString>,
    /// Folders of versions (`…/15`, `…/postgresql@17`); in each, the newest first.
    pub(super) version_dirs: Vec<PathBuf>,
    /// The state folder, where a download was kept.
    pub(super) state: PathBuf,
}

impl Places {
    /// Where this machine keeps `PostgreSQL`; only `named` when the operator named a folder.
    pub(super) fn of_this_machine(named: Option<PathBuf>, state: &Path) -> Self {
        let version_dirs = ["/usr/lib/postgresql", "/usr", "/opt/homebrew/opt", "/usr/local/opt", "/opt/local/lib"];
        Self {
            named,
            path: std::env::var_os("PATH"),
            version_dirs: version_dirs.iter().map(PathBuf::from).collect(),
            state: state.to_owned(),
        }
    }

    /// Every folder worth looking at, best first.
    pub(super) fn candidates(&self) -> Vec<PathBuf> {
        if let Some(named) = &self.named {
            return vec![named.clone()];
        }
        // Distributions link the programs into PATH one by one, so the link is followed to the folder with all of them.
        let linked = self.path.iter().flat_map(std::env::split_paths).filter_map(|dir| {
            let initdb = dir.join("initdb").canonicalize().ok()?;
            Some(initdb.parent()?.to_owned())
        });
        let installed = self.version_dirs.iter().chain([&self.state]).flat_map(|dir| newest_first(dir));
        linked.chain(installed).collect()
    }

    /// The first usable installation; with `wanted`, the first of exactly that major version.
    ///
    /// `None` when there is none at all. `folder` is the data that wants the version, for the message.
    pub(super) fn find(&self, folder: &Path, wanted: Option<u32>) -> Result<Option<Binaries>, EmbeddedError> {
        let mut others = Vec::new();
        for found in self.candidates().iter().filter_map(|dir| Binaries::at(dir)) {
            match wanted {
                Some(major) if major == found.major => return Ok(Some(found)),
                None if found.major >= OLDEST_MAJOR => return Ok(Some(found)),
                Some(_) if !others.contains(&found.major) => others.push(found.major),
                Some(_) | None => {}
            }
        }
        match wanted {
            Some(wanted) if !others.is_empty() => {
                Err(EmbeddedError::WrongVersion { folder: folder.to_owned(), wanted, found: others })
            }
            Some(_) | None => Ok(None),
        }
    }

    /// Like [`Places::find`], with a second look after `download`, which is begun only when the first finds nothing.
    pub(super) async fn find_or_download(
        &self,
        folder: &Path,
        wanted: Option<u32>,
        download: Option<impl Future<Output = Result<(), String>>>,
    ) -> Result<Binaries, EmbeddedError> {
        if let Some(found) = self.find(folder, wanted)? {
            return Ok(found);
        }
        let refusal = match download {
            Some(download) => download.await.err(),
            None => None,
        };
        self.find(folder, wanted)?.ok_or_else(|| self.nothing_found(refusal))
    }

    /// The error for a machine without `PostgreSQL`.
    fn nothing_found(&self, download: Option<String>) -> EmbeddedError {
        let mut searched: Vec<PathBuf> = match &self.named {
            Some(named) => vec![named.clone()],
            None => self.version_dirs.clone(),
        };
        if self.named.is_none() && self.path.is_some() {
            searched.insert(0, PathBuf::from("PATH"));
        }
        EmbeddedError::NoBinaries { searched, oldest: OLDEST_MAJOR, download, install: install_command() }
    }
}

/// The `bin` folders below `dir` that look like a version of `PostgreSQL`, newest first.
fn newest_first(dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = dir.read_dir() else { return Vec::new() };
    let mut found: Vec<(u32, PathBuf)> = entries
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let name = path.file_name()?.to_str()?.to_owned();
            let version = ["postgresql@", "postgresql-", "postgresql", "pgsql-", ""]
                .iter()
                .find_map(|prefix| leading_number(name.strip_prefix(prefix)?))?;
            Some((version, path.join("bin")))
        })
        .collect();
    found.sort_by(|a, b| b.cmp(a));
    found.into_iter().map(|(_, bin)| bin).collect()
}

/// `15` in `postgres (PostgreSQL) 15.18 (Debian …)`.
fn major_of(version_line: &str) -> Option<u32> {
    leading_number(version_line.split_once("(PostgreSQL) ")?.1)
}

pub(super) fn leading_number(text: &str) -> Option<u32> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    text[..digits].parse().ok()
}

/// The one command that installs `PostgreSQL` here.
fn install_command() -> &'static str {
    if cfg!(target_os = "macos") {
        "brew install postgresql"
    } else if Path::new("/usr/bin/dnf").exists() {
        "dnf install -y postgresql-server"
    } else {
        "apt-get install -y postgresql"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use std::fs;
    use std::os::unix::fs::symlink;

    /// A folder with two scripts that say they are `PostgreSQL` of that version.
    ///
    /// Written by another process: a program that this one has open for writing while another test forks cannot be run.
    fn pretend(bin: &Path, version: &str) {
        const WRITE: &str = r#"mkdir -p "$1" && cd "$1" && for name in initdb postgres; do
            printf '#!/bin/sh\necho "postgres (PostgreSQL) %s"\n' "$2" > $name && chmod 755 $name || exit 1; done"#;
        let written = Command::new("sh").args(["-c", WRITE, "sh"]).arg(bin).arg(version).status().unwrap();
        assert!(written.success());
    }

    fn places(root: &Path) -> Places {
        Places { named: None, path: None, version_dirs: vec![root.join("lib")], state: root.join("state") }
    }

    #[rstest]
    #[case("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)", Some(15))]
    #[case("postgres (PostgreSQL) 18beta1", Some(18))]
    #[case("postgres (PostgreSQL) devel", None)]
    #[case("", None)]
    fn the_major_version_is_read_from_what_postgres_says(#[case] line: &str, #[case] major: Option<u32>) {
        assert_eq!(major_of(line), major);
    }

    #[test]
    fn the_newest_installed_version_wins() {
        let root = tempfile::tempdir().unwrap();
        for version in ["9", "15", "17", "16"] {
            pretend(&root.path().join("lib").join(version).join("bin"), version);
        }
        let found = places(root.path()).find(root.path(), None).unwrap().unwrap();
        assert_eq!(found.major, 17);
    }

    #[test]
    fn homebrew_and_redhat_names_are_versions_too() {
        let root = tempfile::tempdir().unwrap();
        pretend(&root.path().join("lib/postgresql@16/bin"), "16.2");
        pretend(&root.path().join("lib/pgsql-15/bin"), "15.1");
        let found = places(root.path()).find(root.path(), None).unwrap().unwrap();
        assert_eq!(found.major, 16);
    }

    #[test]
    fn a_link_in_path_leads_to_the_folder_with_all_programs() {
        let root = tempfile::tempdir().unwrap();
        pretend(&root.path().join("elsewhere/bin"), "16.1");
        fs::create_dir(root.path().join("path")).unwrap();
        symlink(root.path().join("elsewhere/bin/initdb"), root.path().join("path/initdb")).unwrap();
        let places = Places { path: Some(root.path().join("path").into_os_string()), ..places(root.path()) };
        let found = places.find(root.path(), None).unwrap().unwrap();
        assert_eq!(found.dir, root.path().join("elsewhere/bin").canonicalize().unwrap());
    }

    #[test]
    fn existing_data_gets_the_version_that_wrote_it_or_a_clear_error() {
        let root = tempfile::tempdir().unwrap();
        pretend(&root.path().join("lib/15/bin"), "15.3");
        pretend(&root.path().join("lib/17/bin"), "17.1");
        let found = places(root.path()).find(root.path(), Some(15)).unwrap().unwrap();
        assert_eq!(found.major, 15);

        let refused = places(root.path()).find(Path::new("/data"), Some(16)).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "/data was written by PostgreSQL 16, but only 17, 15 were found: install PostgreSQL 16"
        );
    }

    #[test]
    fn a_version_too_old_is_no_version() {
        let root = tempfile::tempdir().unwrap();
        pretend(&root.path().join("lib/13/bin"), "13.9");
        assert_eq!(places(root.path()).find(root.path(), None).unwrap(), None);
    }

    #[test]
    fn a_named_folder_is_the_only_place() {
        let root = tempfile::tempdir().unwrap();
        pretend(&root.path().join("lib/16/bin"), "16.1");
        let places = Places { named: Some(root.path().join("mine")), ..places(root.path()) };
        assert_eq!(places.find(root.path(), None).unwrap(), None);
        let message = places.nothing_found(None).to_string();
        assert!(message.contains(&root.path().join("mine").display().to_string()), "{message}");
        assert!(!message.contains("PATH"), "{message}");
    }

    #[tokio::test]
    async fn a_download_that_fails_ends_in_one_install_command() {
        let root = tempfile::tempdir().unwrap();
        let download = Some(async { Err("no network".to_owned()) });
        let refused = places(root.path()).find_or_download(root.path(), None, download).await.unwrap_err().to_string();
        assert!(refused.contains(install_command()), "{refused}");
        assert!(refused.contains("downloading it failed: no network"), "{refused}");
    }

    #[tokio::test]
    async fn what_was_downloaded_into_the_state_folder_is_used() {
        let root = tempfile::tempdir().unwrap();
        let target = root.path().join("state/postgresql-17.2.0/bin");
        let download = async {
            pretend(&target, "17.2");
            Ok(())
        };
        let found = places(root.path()).find_or_download(root.path(), None, Some(download)).await.unwrap();
        assert_eq!(found, Binaries { dir: target.clone(), major: 17 });
    }

    #[tokio::test]
    async fn nothing_is_downloaded_where_something_is_installed() {
        let root = tempfile::tempdir().unwrap();
        pretend(&root.path().join("lib/16/bin"), "16.1");
        let download = async { unreachable!("not begun") };
        let found = places(root.path()).find_or_download(root.path(), None, Some(download)).await.unwrap();
        assert_eq!(found.major, 16);
    }
}
