//! Cursors: where a page of a list ended, opaque to callers and sealed against change.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretSlice};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// How much of the seal is carried: 96 bits are out of reach, and there is nothing to win.
const SEAL_BYTES: usize = 12;

/// Seals and opens cursors. All nodes that share a secret understand each other's.
#[derive(Clone)]
pub struct Cursors {
    mac: Hmac<Sha256>,
}

impl Cursors {
    /// Cursors under a key derived from the installation's secret.
    pub fn new(secret: &SecretSlice<u8>) -> Self {
        let mut key = [0; 64];
        let derived = Sha256::new().chain_update(b"muster cursor 1\0").chain_update(secret.expose_secret()).finalize();
        key[..32].copy_from_slice(&derived);
        Self { mac: Hmac::new(&key.into()) }
    }

    /// A position in `list`, as callers get it.
    pub fn seal(&self, list: &str, position: &impl Serialize) -> Result<String, serde_json::Error> {
        let position = serde_json::to_vec(position)?;
        let mut sealed = self.tag(list, &position).to_vec();
        sealed.extend(position);
        Ok(BASE64_URL_SAFE_NO_PAD.encode(sealed))
    }

    /// The position that was sealed for `list`; `None` when anything about it was changed.
    pub fn open<T: DeserializeOwned>(&self, list: &str, cursor: &str) -> Option<T> {
        let sealed = BASE64_URL_SAFE_NO_PAD.decode(cursor).ok()?;
        let (tag, position) = sealed.split_at_checked(SEAL_BYTES)?;
        let genuine: bool = self.tag(list, position).ct_eq(tag).into();
        if genuine { serde_json::from_slice(position).ok() } else { None }
    }

    fn tag(&self, list: &str, position: &[u8]) -> [u8; SEAL_BYTES] {
        let mut mac = self.mac.clone();
        mac.update(list.as_bytes());
        mac.update(&[0]);
        mac.update(position);
        let full: [u8; 32] = mac.finalize().into_bytes().into();
        let mut tag = [0; SEAL_BYTES];
        tag.copy_from_slice(&full[..SEAL_BYTES]);
        tag
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cursors(secret: u8) -> Cursors {
        Cursors::new(&SecretSlice::from(vec![secret; 32]))
    }

    #[test]
    fn a_cursor_opens_where_it_was_sealed_and_nowhere_else() {
        let cursor = cursors(1).seal("contacts", &("2026", 7)).unwrap();
        assert_eq!(cursors(1).open("contacts", &cursor), Some(("2026".to_owned(), 7)));
        assert_eq!(cursors(1).open::<(String, i32)>("campaigns", &cursor), None, "another list");
        assert_eq!(cursors(2).open::<(String, i32)>("contacts", &cursor), None, "another installation");
    }

    #[test]
    fn a_cursor_changed_in_any_bit_does_not_open() {
        let cursor = BASE64_URL_SAFE_NO_PAD.decode(cursors(1).seal("contacts", &12_345).unwrap()).unwrap();
        for bit in 0..cursor.len() * 8 {
            let mut changed = cursor.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(cursors(1).open::<i32>("contacts", &BASE64_URL_SAFE_NO_PAD.encode(changed)), None, "bit {bit}");
        }
    }

    #[test]
    fn junk_is_no_cursor() {
        for junk in ["", "x", "////", "AAAA", "AAAAAAAAAAAAAAAA", "é"] {
            assert_eq!(cursors(1).open::<i32>("contacts", junk), None, "{junk}");
        }
    }
}
