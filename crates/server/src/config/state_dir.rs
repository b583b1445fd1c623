//! Where this machine keeps what must outlive a process: delivery journals, the embedded database, its secret key.

use std::ffi::{OsStr, OsString};
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// What the default depends on.
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    /// `HOME`.
    pub home: Option<OsString>,
    /// `XDG_STATE_HOME`.
    pub xdg_state_home: Option<OsString>,
    /// Whether this process runs as root.
    pub is_root: bool,
}

impl Surroundings {
    /// Those of this process.
    pub fn of_this_process() -> Self {
        #[expect(unsafe_code, reason = "geteuid reads one number, has no arguments and cannot fail")]
        let is_root = unsafe { libc::geteuid() } == 0;
        Self { home: std::env::var_os("HOME"), xdg_state_home: std::env::var_os("XDG_STATE_HOME"), is_root }
    }
}

/// An absolute path; several processes may share the folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateDir(PathBuf);

/// Why there is no state folder.
#[derive(Debug, thiserror::Error)]
pub enum StateDirError {
    /// Not given, and no home folder to put it in.
    #[error("is not given, and without HOME there is no default; name a folder that survives restarts")]
    NoHome,
    /// The path cannot be made absolute.
    #[error("is no usable path: {0}")]
    Unusable(io::Error),
}

impl StateDir {
    /// The folder named, else root's `/var/lib/muster`, else `$XDG_STATE_HOME/muster`, else `~/.local/state/muster`.
    ///
    /// # Errors
    /// When none is named and there is no home folder.
    pub fn resolve(named: Option<&OsStr>, surroundings: &Surroundings) -> Result<Self, StateDirError> {
        if let Some(path) = named.filter(|path| !path.is_empty()) {
            return std::path::absolute(path).map(Self).map_err(StateDirError::Unusable);
        }
        if surroundings.is_root {
            return Ok(Self(PathBuf::from("/var/lib/muster")));
        }
        // A relative path in these variables is to be ignored (XDG base directories).
        let absolute = |text: &Option<OsString>| text.as_ref().map(PathBuf::from).filter(|path| path.is_absolute());
        let xdg = absolute(&surroundings.xdg_state_home);
        let state = xdg.or_else(|| Some(absolute(&surroundings.home)?.join(".local/state")));
        Ok(Self(state.ok_or(StateDirError::NoHome)?.join("muster")))
    }

    /// The path.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Makes the folder if it is not there. Others cannot list it; as root they can pass through, because
    /// PostgreSQL, which refuses root, runs below it as another user.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn create(&self, surroundings: &Surroundings) -> io::Result<()> {
        let mode = if surroundings.is_root { 0o711 } else { 0o700 };
        DirBuilder::new().recursive(true).mode(mode).create(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::{StateDir, StateDirError, Surroundings};
    use std::ffi::OsStr;
    use std::path::Path;

    fn surroundings(home: Option<&str>, xdg: Option<&str>, is_root: bool) -> Surroundings {
        Surroundings { home: home.map(Into::into), xdg_state_home: xdg.map(Into::into), is_root }
    }

    fn resolve(named: Option<&str>, surroundings: &Surroundings) -> Result<StateDir, StateDirError> {
        StateDir::resolve(named.map(OsStr::new), surroundings)
    }

    #[test]
    fn the_default_follows_the_user() {
        for (surroundings, expected) in [
            (surroundings(Some("/home/ada"), None, false), "/home/ada/.local/state/muster"),
            (surroundings(Some("/home/ada"), Some("/state"), false), "/state/muster"),
            (surroundings(Some("/home/ada"), Some("relative"), false), "/home/ada/.local/state/muster"),
            (surroundings(Some("/home/ada"), Some(""), false), "/home/ada/.local/state/muster"),
            (surroundings(Some("/root"), Some("/state"), true), "/var/lib/muster"),
        ] {
            assert_eq!(resolve(None, &surroundings).unwrap().path(), Path::new(expected));
            assert_eq!(resolve(Some(""), &surroundings).unwrap().path(), Path::new(expected));
        }
        assert!(matches!(resolve(None, &surroundings(None, None, false)), Err(StateDirError::NoHome)));
    }

    #[test]
    fn a_named_folder_is_made_absolute() {
        let nowhere = surroundings(None, None, false);
        assert_eq!(resolve(Some("/srv/muster"), &nowhere).unwrap().path(), Path::new("/srv/muster"));
        assert!(resolve(Some("here"), &nowhere).unwrap().path().is_absolute());
    }
}
