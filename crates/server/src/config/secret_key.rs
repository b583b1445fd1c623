//! The key that signs what Muster gives out: unsubscribe links, cursors.

use rand::RngCore;
use secrecy::{ExposeSecret, ExposeSecretMut, SecretBox, SecretSlice, SecretString};
use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Thirty-two secret bytes. All processes of one installation share them: another key makes old links invalid.
#[derive(Debug, Clone)]
pub struct SecretKey(Arc<SecretBox<[u8; 32]>>);

/// Why a text is no key. It never quotes the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SecretKeyError {
    /// Too short or too long.
    #[error("has {found} characters instead of 64 hex digits; make one with: openssl rand -hex 32")]
    Length {
        /// How many characters there are.
        found: usize,
    },
    /// A character that is no hex digit.
    #[error("has a character that is no hex digit, at place {place} of 64; make a key with: openssl rand -hex 32")]
    Digit {
        /// Which one, counted from 1.
        place: usize,
    },
}

/// Why the key of a state folder cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum SecretKeyFileError {
    /// The file cannot be read or written.
    #[error("cannot use the key file {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The refusal.
        source: io::Error,
    },
    /// The file holds no key. It is not replaced: links that are out would become invalid.
    #[error("the key file {} {reason}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: SecretKeyError,
    },
}

impl SecretKey {
    /// The file within the state folder.
    const FILE: &str = "secret-key";

    /// Reads 64 hex digits.
    ///
    /// # Errors
    /// What is wrong, without a part of the text.
    pub fn parse(text: &SecretString) -> Result<Self, SecretKeyError> {
        let text = text.expose_secret().trim();
        let found = text.chars().count();
        if found != 64 {
            return Err(SecretKeyError::Length { found });
        }
        if let Some(at) = text.chars().position(|c| !c.is_ascii_hexdigit()) {
            return Err(SecretKeyError::Digit { place: at + 1 });
        }
        let mut key = SecretBox::new(Box::new([0; 32]));
        for (byte, pair) in key.expose_secret_mut().iter_mut().zip(text.as_bytes().chunks(2)) {
            *byte = pair.iter().fold(0, |high, digit| high * 16 + nibble(*digit));
        }
        Ok(Self(Arc::new(key)))
    }

    /// A new random key.
    pub fn generate() -> Self {
        Self(Arc::new(SecretBox::init_with_mut(|bytes: &mut [u8; 32]| rand::rng().fill_bytes(bytes))))
    }

    /// The key of a state folder: made at the first start, the same ever after, readable by its owner alone.
    ///
    /// Several processes may do this at once; all get the same key.
    ///
    /// # Errors
    /// When the file cannot be used, or holds something else.
    pub fn load_or_create(state_dir: &Path) -> Result<Self, SecretKeyFileError> {
        let path = state_dir.join(Self::FILE);
        let io = |source| SecretKeyFileError::Io { path: path.clone(), source };
        if !path.exists() {
            Self::generate().write_new(state_dir, &path).map_err(io)?;
        }
        if fs::metadata(&path).map_err(io)?.permissions().mode() & 0o077 != 0 {
            tracing::warn!(target: "muster", "the key file was readable by others; it is closed to them now");
            fs::set_permissions(&path, Permissions::from_mode(0o600)).map_err(io)?;
        }
        let text = SecretString::from(fs::read_to_string(&path).map_err(io)?);
        Self::parse(&text).map_err(|reason| SecretKeyFileError::Content { path, reason })
    }

    /// The bytes.
    pub fn expose(&self) -> &[u8; 32] {
        self.0.expose_secret()
    }

    /// The bytes as ports take them.
    pub fn to_secret(&self) -> SecretSlice<u8> {
        SecretSlice::from(self.expose().to_vec())
    }

    /// Writes a whole file under a name of its own, then links it: whoever comes second finds the first one's key.
    fn write_new(&self, state_dir: &Path, path: &Path) -> io::Result<()> {
        let draft = state_dir.join(format!("{}.{:016x}", Self::FILE, rand::rng().next_u64()));
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
        let digits = self.expose().iter().fold(String::with_capacity(65), |mut digits, byte| {
            for nibble in [byte >> 4, byte & 15] {
                digits.extend(char::from_digit(nibble.into(), 16));
            }
            digits
        });
        let written = file.write_all(digits.as_bytes()).and_then(|()| file.sync_all());
        let linked = written.and_then(|()| fs::hard_link(&draft, path));
        fs::remove_file(&draft)?;
        match linked {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            other => other,
        }
    }
}

/// The value of a hex digit.
fn nibble(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        _ => (digit | 0x20) - b'a' + 10,
    }
}

#[cfg(test)]
mod tests {
    use super::{SecretKey, SecretKeyError, SecretKeyFileError};
    use std::os::unix::fs::PermissionsExt;

    fn parse(text: &str) -> Result<SecretKey, SecretKeyError> {
        SecretKey::parse(&text.to_owned().into())
    }

    #[test]
    fn sixty_four_hex_digits_are_a_key() {
        let key = parse(&format!(" {}\n", "00fFa1B2".repeat(8))).unwrap();
        assert_eq!(&key.expose()[..5], [0x00, 0xff, 0xa1, 0xb2, 0x00]);
    }

    #[test]
    fn what_is_wrong_is_named_and_nothing_is_shown() {
        let secret = "5ecre7".repeat(4);
        for (text, wrong) in [
            (secret.clone(), SecretKeyError::Length { found: 24 }),
            (format!("{}x", "a".repeat(63)), SecretKeyError::Digit { place: 64 }),
            (format!("ü{}", "a".repeat(63)), SecretKeyError::Digit { place: 1 }),
            ("ü".repeat(32), SecretKeyError::Length { found: 32 }),
            (String::new(), SecretKeyError::Length { found: 0 }),
        ] {
            assert_eq!(parse(&text).unwrap_err(), wrong);
        }
        assert!(!parse(&secret).unwrap_err().to_string().contains(&secret));
        assert!(!format!("{:?}", parse(&"5".repeat(64)).unwrap()).contains('5'));
    }

    #[test]
    fn a_state_folder_has_one_key_for_ever_and_for_all() {
        let folder = tempfile::tempdir().unwrap();
        let threads: Vec<_> = (0..8)
            .map(|_| {
                let path = folder.path().to_owned();
                std::thread::spawn(move || *SecretKey::load_or_create(&path).unwrap().expose())
            })
            .collect();
        let keys: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        assert!(keys.iter().all(|key| key == &keys[0] && key != &[0; 32]));
        let files: Vec<_> = folder.path().read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(files, ["secret-key"]);
    }

    #[test]
    fn the_file_is_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret-key");
        let mode = || path.metadata().unwrap().permissions().mode() & 0o777;
        SecretKey::load_or_create(folder.path()).unwrap();
        assert_eq!(mode(), 0o600);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        SecretKey::load_or_create(folder.path()).unwrap();
        assert_eq!(mode(), 0o600);
    }

    #[test]
    fn a_damaged_file_is_reported_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret-key");
        std::fs::write(&path, "half a k").unwrap();
        let error = SecretKey::load_or_create(folder.path()).unwrap_err();
        assert!(matches!(error, SecretKeyFileError::Content { .. }), "{error}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "half a k");
    }
}
