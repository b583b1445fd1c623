//! Who the database server runs as: `PostgreSQL` refuses to run as root.

use super::error::EmbeddedError;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A user other than the one this process acts as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Account {
    /// Its name, for messages.
    pub(super) name: String,
    /// Its number.
    pub(super) uid: u32,
    gid: u32,
}

impl Account {
    /// Makes `command` run as this user, without root's other groups (std drops them together with the uid).
    pub(super) fn runs(&self, command: &mut Command) {
        command.uid(self.uid).gid(self.gid);
    }

    /// Hands one file or folder over to this user.
    pub(super) fn owns(&self, path: &Path) -> std::io::Result<()> {
        std::os::unix::fs::chown(path, Some(self.uid), Some(self.gid))
    }

    /// The first folder on the way to `path`, or `path` itself, that this user may not enter.
    ///
    /// What does not exist yet is skipped: it will be made so that the user may.
    pub(super) fn barred_at(&self, path: &Path) -> Option<PathBuf> {
        let mut folders: Vec<&Path> = path.ancestors().collect();
        folders.reverse();
        folders
            .into_iter()
            .find(|folder| fs::metadata(folder).is_ok_and(|found| !self.may_enter(&found)))
            .map(Into::into)
    }

    fn may_enter(&self, folder: &fs::Metadata) -> bool {
        let bit = match (folder.uid() == self.uid, folder.gid() == self.gid) {
            (true, _) => 0o100,
            (false, true) => 0o010,
            (false, false) => 0o001,
        };
        folder.mode() & bit != 0
    }
}

/// Who runs the server for the data in `data`: `None` is the user this process acts as, `euid`.
///
/// Root needs another user: the owner of the data if there is any, else the first of `postgres` and `nobody`
/// in `passwd`, the text of `/etc/passwd`. Anybody else can only work on data of their own.
pub(super) fn server_account(euid: u32, passwd: &str, data: &Path) -> Result<Option<Account>, EmbeddedError> {
    let refuse = |reason: String| EmbeddedError::Folder { folder: data.to_owned(), reason };
    let owner = fs::metadata(data).ok().map(|found| (found.uid(), found.gid()));
    match (euid, owner) {
        (0, Some((0, _))) => Err(refuse("it belongs to root, and PostgreSQL refuses to run as root".to_owned())),
        (0, Some((uid, gid))) => Ok(Some(Account { name: name_of(passwd, uid), uid, gid })),
        (0, None) => ["postgres", "nobody"]
            .iter()
            .find_map(|name| find_by_name(passwd, name))
            .map(Some)
            .ok_or_else(|| refuse("there is no user postgres or nobody to run it as".to_owned())),
        (_, Some((uid, _))) if uid != euid => {
            Err(refuse(format!("it belongs to the user {}: run as that user or as root", name_of(passwd, uid))))
        }
        (_, _) => Ok(None),
    }
}

fn find_by_name(passwd: &str, wanted: &str) -> Option<Account> {
    entries(passwd).find(|account| account.name == wanted)
}

fn name_of(passwd: &str, uid: u32) -> String {
    entries(passwd).find(|account| account.uid == uid).map_or_else(|| uid.to_string(), |account| account.name)
}

fn entries(passwd: &str) -> impl Iterator<Item = Account> {
    passwd.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?.to_owned();
        let uid = fields.nth(1)?.parse().ok()?;
        let gid = fields.next()?.parse().ok()?;
        Some(Account { name, uid, gid })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash\n\
        # a comment\n\
        nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n\
        postgres:x:101:104:PostgreSQL,,,:/var/lib/postgresql:/bin/bash\n";

    #[test]
    fn root_runs_the_server_as_postgres_or_else_as_nobody() {
        let nowhere = Path::new("/nonexistent/data");
        let account = server_account(0, PASSWD, nowhere).unwrap().unwrap();
        assert_eq!((account.name.as_str(), account.uid, account.gid), ("postgres", 101, 104));

        let without = PASSWD.replace("postgres:", "someone:");
        assert_eq!(server_account(0, &without, nowhere).unwrap().unwrap().uid, 65534);

        let refused = server_account(0, "root:x:0:0::/root:/bin/sh", nowhere).unwrap_err();
        assert!(refused.to_string().contains("no user postgres or nobody"), "{refused}");
    }

    #[test]
    fn anybody_else_runs_it_as_themselves_on_data_of_their_own() {
        let folder = tempfile::tempdir().unwrap();
        let me = fs::metadata(folder.path()).unwrap().uid();
        assert_eq!(server_account(me.max(1), PASSWD, Path::new("/nonexistent/data")).unwrap(), None);

        let refused = server_account(me + 1, PASSWD, folder.path()).unwrap_err();
        assert!(refused.to_string().contains("run as that user"), "{refused}");
    }

    #[test]
    fn a_folder_closed_to_others_bars_the_way() {
        let root = tempfile::tempdir().unwrap();
        let closed = root.path().join("closed");
        fs::create_dir_all(closed.join("below")).unwrap();
        fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let stranger = Account { name: "stranger".to_owned(), uid: 3_000_000, gid: 3_000_000 };

        assert_eq!(stranger.barred_at(&closed.join("below/not/yet")), None);
        fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).unwrap();
        assert_eq!(stranger.barred_at(&closed.join("below/not/yet")), Some(closed));
    }
}
