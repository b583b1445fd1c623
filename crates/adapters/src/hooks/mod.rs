//! [`HookSeals`]: addresses and secrets of hooks, made from the installation's secret.
//!
//! A secret that is not stored cannot be read out of a database or a copy of one. Another installation's secret makes
//! other addresses and other secrets, so hooks live as long as it does.

use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use muster_domain::model::hook::HookKey;
use muster_domain::model::ids::{HookNo, TenantNo, WorkspaceNo};
use muster_domain::ports::hooks::{HookSeals, SignedMessage};
use secrecy::{ExposeSecret, SecretSlice, SecretString};
use sha2::Sha256;

/// 96 bits: beyond guessing over a network.
const TAG: usize = 12;
/// The parts of a [`HookKey`], big-endian.
const PAYLOAD: usize = 12;
/// No more signatures are looked at: one for each secret that may be in use while one takes the other's place.
const SIGNATURES_AT_MOST: usize = 8;

/// Hooks under the secret of an installation. All nodes that share it understand each other's.
#[derive(Clone)]
pub struct SealedHooks {
    address: Hmac<Sha256>,
    secret: Hmac<Sha256>,
}

impl SealedHooks {
    /// Hooks under that secret.
    pub fn new(secret: &SecretSlice<u8>) -> Self {
        let derive = |label: &str| {
            let key = keyed(secret.expose_secret()).chain_update(label).finalize().into_bytes();
            keyed(&key)
        };
        Self { address: derive("muster hook address 1"), secret: derive("muster hook secret 1") }
    }

    fn secret_bytes(&self, hook: HookKey) -> [u8; 32] {
        self.secret.clone().chain_update(to_bytes(hook)).finalize().into_bytes().into()
    }
}

impl HookSeals for SealedHooks {
    fn token(&self, hook: HookKey) -> String {
        let payload = to_bytes(hook);
        let tag = self.address.clone().chain_update(payload).finalize().into_bytes();
        BASE64_URL_SAFE_NO_PAD.encode([&tag[..TAG], &payload[..]].concat())
    }

    fn open(&self, token: &str) -> Option<HookKey> {
        let bytes: [u8; TAG + PAYLOAD] = BASE64_URL_SAFE_NO_PAD.decode(token).ok()?.try_into().ok()?;
        let (tag, payload) = bytes.split_at(TAG);
        // Compares in constant time.
        self.address.clone().chain_update(payload).verify_truncated_left(tag).ok()?;
        Some(from_bytes(payload.try_into().ok()?))
    }

    fn secret(&self, hook: HookKey) -> SecretString {
        SecretString::from(format!("whsec_{}", BASE64_STANDARD.encode(self.secret_bytes(hook))))
    }

    fn is_signed(&self, hook: HookKey, message: SignedMessage<'_>) -> bool {
        let SignedMessage { id, timestamp, signature, body } = message;
        let key = keyed(&self.secret_bytes(hook));
        let expected =
            key.chain_update(id).chain_update(".").chain_update(timestamp).chain_update(".").chain_update(body);
        let offered = signature.split(' ').filter_map(|one| one.strip_prefix("v1,")).take(SIGNATURES_AT_MOST);
        offered.fold(false, |found, one| {
            let bytes = BASE64_STANDARD.decode(one).unwrap_or_default();
            expected.clone().verify_slice(&bytes).is_ok() || found
        })
    }
}

fn keyed(key: &[u8]) -> Hmac<Sha256> {
    // Any length will do: HMAC hashes what is longer than a block.
    let mut block = [0; 64];
    let key = if key.len() > block.len() { &key[..block.len()] } else { key };
    block[..key.len()].copy_from_slice(key);
    Hmac::new(&block.into())
}

fn to_bytes(hook: HookKey) -> [u8; PAYLOAD] {
    let mut bytes = [0; PAYLOAD];
    bytes[0..4].copy_from_slice(&hook.tenant.0.to_be_bytes());
    bytes[4..8].copy_from_slice(&hook.workspace.0.to_be_bytes());
    bytes[8..12].copy_from_slice(&hook.no.0.to_be_bytes());
    bytes
}

fn from_bytes(bytes: [u8; PAYLOAD]) -> HookKey {
    let four = |at: usize| i32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    HookKey { tenant: TenantNo(four(0)), workspace: WorkspaceNo(four(4)), no: HookNo(four(8)) }
}

#[cfg(test)]
mod tests;
