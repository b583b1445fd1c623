//! [`Tokens`] by deterministic authenticated encryption with a synthetic initialisation vector.
//!
//! A token is one byte that names the key, a tag of 96 bits, and the delivery's key enciphered:
//! tag = HMAC-SHA256(mac key, purpose, payload), cut short; payload xor HMAC-SHA256(cipher key, tag).
//! No nonce can repeat harmfully because there is none; the same delivery has the same token, which a Message-ID needs.
//! Nothing has to be stored or looked up to open one.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use muster_domain::model::delivery::DeliveryKey;
use muster_domain::model::ids::{CampaignNo, ContactNo, Pass, StepNo, TenantNo};
use muster_domain::ports::tokens::{TokenPurpose, Tokens};
use secrecy::{ExposeSecret, SecretSlice};
use sha2::{Digest, Sha256};

/// 96 bits: beyond guessing over a network.
const TAG: usize = 12;
/// The parts of a [`DeliveryKey`], big-endian.
const PAYLOAD: usize = 22;
const TOKEN: usize = 1 + TAG + PAYLOAD;

/// Letters of base32 (RFC 4648 section 6) in lower case: mail servers may change the case of a Message-ID or an address.
const BASE32: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// Tokens under the secrets of an installation. All nodes that share them understand each other's.
#[derive(Clone)]
pub struct SealedTokens {
    current: Keys,
    previous: Vec<Keys>,
}

impl SealedTokens {
    /// Seals under `current`; opens what was sealed under it or under one of the `previous` secrets.
    pub fn new(current: &SecretSlice<u8>, previous: &[SecretSlice<u8>]) -> Self {
        Self { current: Keys::derive(current), previous: previous.iter().map(Keys::derive).collect() }
    }
}

impl Tokens for SealedTokens {
    fn seal(&self, purpose: TokenPurpose, key: DeliveryKey) -> String {
        write(purpose, &self.current.seal(purpose, to_bytes(key)))
    }

    fn open(&self, purpose: TokenPurpose, token: &str) -> Option<DeliveryKey> {
        let sealed = read(purpose, token)?;
        let keys = std::iter::once(&self.current).chain(&self.previous);
        keys.filter(|keys| keys.name == sealed[0]).find_map(|keys| keys.open(purpose, &sealed)).map(from_bytes)
    }
}

/// The keys derived from one secret.
#[derive(Clone)]
struct Keys {
    name: u8,
    mac: Hmac<Sha256>,
    cipher: Hmac<Sha256>,
}

impl Keys {
    fn derive(secret: &SecretSlice<u8>) -> Self {
        let derive = |label: &str| -> [u8; 32] {
            Sha256::new().chain_update(label).chain_update([0]).chain_update(secret.expose_secret()).finalize().into()
        };
        let keyed = |label: &str| {
            let mut key = [0; 64];
            key[..32].copy_from_slice(&derive(label));
            Hmac::new(&key.into())
        };
        Self {
            name: derive("muster token name 1")[0],
            mac: keyed("muster token mac 1"),
            cipher: keyed("muster token cipher 1"),
        }
    }

    fn seal(&self, purpose: TokenPurpose, payload: [u8; PAYLOAD]) -> [u8; TOKEN] {
        let mac = self.authenticate(purpose, &payload).finalize().into_bytes();
        let mut token = [0; TOKEN];
        token[0] = self.name;
        token[1..=TAG].copy_from_slice(&mac[..TAG]);
        let enciphered = self.encipher(&mac[..TAG], payload);
        token[1 + TAG..].copy_from_slice(&enciphered);
        token
    }

    fn open(&self, purpose: TokenPurpose, token: &[u8; TOKEN]) -> Option<[u8; PAYLOAD]> {
        let (tag, enciphered) = token[1..].split_at(TAG);
        let payload = self.encipher(tag, enciphered.try_into().ok()?);
        // Compares in constant time.
        self.authenticate(purpose, &payload).verify_truncated_left(tag).ok().map(|()| payload)
    }

    fn authenticate(&self, purpose: TokenPurpose, payload: &[u8; PAYLOAD]) -> Hmac<Sha256> {
        let mut mac = self.mac.clone();
        mac.update(match purpose {
            TokenPurpose::Unsubscribe => b"unsubscribe\0",
            TokenPurpose::MessageId => b"message-id\0",
            TokenPurpose::ReturnPath => b"return-path\0",
            TokenPurpose::Delivery => b"delivery\0",
        });
        mac.update(payload);
        mac
    }

    /// Its own inverse.
    fn encipher(&self, tag: &[u8], mut payload: [u8; PAYLOAD]) -> [u8; PAYLOAD] {
        let mut cipher = self.cipher.clone();
        cipher.update(tag);
        for (byte, key) in payload.iter_mut().zip(cipher.finalize().into_bytes()) {
            *byte ^= key;
        }
        payload
    }
}

fn to_bytes(key: DeliveryKey) -> [u8; PAYLOAD] {
    let mut bytes = [0; PAYLOAD];
    bytes[0..4].copy_from_slice(&key.tenant.0.to_be_bytes());
    bytes[4..8].copy_from_slice(&key.campaign.0.to_be_bytes());
    bytes[8..16].copy_from_slice(&key.contact.0.to_be_bytes());
    bytes[16..18].copy_from_slice(&key.step.0.to_be_bytes());
    bytes[18..22].copy_from_slice(&key.pass.0.to_be_bytes());
    bytes
}

fn from_bytes(bytes: [u8; PAYLOAD]) -> DeliveryKey {
    let four = |at: usize| [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]];
    let (high, low) = (u32::from_be_bytes(four(8)), u32::from_be_bytes(four(12)));
    DeliveryKey {
        tenant: TenantNo(i32::from_be_bytes(four(0))),
        campaign: CampaignNo(i32::from_be_bytes(four(4))),
        contact: ContactNo((u64::from(high) << 32 | u64::from(low)).cast_signed()),
        step: StepNo(i16::from_be_bytes([bytes[16], bytes[17]])),
        pass: Pass(i32::from_be_bytes(four(18))),
    }
}

fn write(purpose: TokenPurpose, token: &[u8; TOKEN]) -> String {
    match purpose {
        TokenPurpose::MessageId | TokenPurpose::ReturnPath => write_base32(token),
        TokenPurpose::Unsubscribe | TokenPurpose::Delivery => BASE64_URL_SAFE_NO_PAD.encode(token),
    }
}

/// `None` for anything that [`write`] does not write.
fn read(purpose: TokenPurpose, token: &str) -> Option<[u8; TOKEN]> {
    let bytes = match purpose {
        TokenPurpose::MessageId | TokenPurpose::ReturnPath => read_base32(token)?,
        TokenPurpose::Unsubscribe | TokenPurpose::Delivery => BASE64_URL_SAFE_NO_PAD.decode(token).ok()?,
    };
    bytes.try_into().ok()
}

/// 35 bytes are 56 letters exactly.
fn write_base32(bytes: &[u8; TOKEN]) -> String {
    let mut letters = String::with_capacity(TOKEN / 5 * 8);
    for five in bytes.chunks(5) {
        let group = five.iter().fold(0_u64, |group, byte| group << 8 | u64::from(*byte));
        for place in (0..8).rev() {
            let [.., last] = (group >> (5 * place)).to_be_bytes();
            letters.push(char::from(BASE32[usize::from(last & 31)]));
        }
    }
    letters
}

fn read_base32(token: &str) -> Option<Vec<u8>> {
    if token.len() != TOKEN / 5 * 8 {
        return None;
    }
    let mut bytes = Vec::with_capacity(TOKEN);
    for eight in token.as_bytes().chunks(8) {
        let mut group = 0_u64;
        for letter in eight {
            let value = BASE32.iter().position(|known| *known == letter.to_ascii_lowercase())?;
            group = group << 5 | u64::try_from(value).ok()?;
        }
        bytes.extend_from_slice(&group.to_be_bytes()[3..]);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PURPOSES: [TokenPurpose; 4] =
        [TokenPurpose::Unsubscribe, TokenPurpose::MessageId, TokenPurpose::ReturnPath, TokenPurpose::Delivery];

    fn secret(byte: u8) -> SecretSlice<u8> {
        SecretSlice::from(vec![byte; 32])
    }

    fn tokens() -> SealedTokens {
        SealedTokens::new(&secret(1), &[])
    }

    fn keys() -> [DeliveryKey; 3] {
        let key = |tenant, campaign, contact, step, pass| DeliveryKey {
            tenant: TenantNo(tenant),
            campaign: CampaignNo(campaign),
            contact: ContactNo(contact),
            step: StepNo(step),
            pass: Pass(pass),
        };
        [
            key(1, 2, 3, 4, 5),
            key(i32::MAX, i32::MAX, i64::MAX, i16::MAX, i32::MAX),
            key(7, 300, 0x0102_0304_0506_0708, 9, 0x0a0b_0c0d),
        ]
    }

    #[test]
    fn a_token_opens_to_what_was_sealed() {
        for key in keys() {
            for purpose in PURPOSES {
                let token = tokens().seal(purpose, key);
                assert_eq!(tokens().open(purpose, &token), Some(key));
                assert_eq!(tokens().seal(purpose, key), token, "the same every time");
            }
        }
    }

    #[test]
    fn a_token_changed_in_any_bit_does_not_open() {
        let sealed = tokens().current.seal(TokenPurpose::Unsubscribe, to_bytes(keys()[0]));
        for bit in 0..TOKEN * 8 {
            let mut changed = sealed;
            changed[bit / 8] ^= 1 << (bit % 8);
            for purpose in PURPOSES {
                assert_eq!(tokens().open(purpose, &write(purpose, &changed)), None, "bit {bit}");
            }
        }
    }

    #[test]
    fn a_token_changed_in_any_letter_does_not_open() {
        for purpose in PURPOSES {
            let token = tokens().seal(purpose, keys()[0]);
            for at in 0..token.len() {
                for other in "AZaz09-_=+/ .é".chars() {
                    let mut changed: String = token.clone();
                    changed.replace_range(at..=at, &other.to_string());
                    if !changed.eq_ignore_ascii_case(&token) {
                        assert_eq!(tokens().open(purpose, &changed), None, "{changed}");
                    }
                }
                assert_eq!(tokens().open(purpose, &token[..at]), None);
            }
        }
    }

    #[test]
    fn a_token_is_good_for_one_purpose() {
        let sealed = tokens().current.seal(TokenPurpose::Unsubscribe, to_bytes(keys()[0]));
        assert_eq!(tokens().open(TokenPurpose::Delivery, &write(TokenPurpose::Delivery, &sealed)), None);
        assert_eq!(tokens().open(TokenPurpose::MessageId, &write(TokenPurpose::MessageId, &sealed)), None);
        // These two look the same and stand side by side in every bounce.
        let id = tokens().seal(TokenPurpose::MessageId, keys()[0]);
        assert_eq!(tokens().open(TokenPurpose::ReturnPath, &id), None);
    }

    #[test]
    fn a_new_secret_still_opens_what_the_old_one_sealed() {
        let old = tokens().seal(TokenPurpose::Unsubscribe, keys()[0]);
        let rotated = SealedTokens::new(&secret(2), &[secret(1)]);
        assert_eq!(rotated.open(TokenPurpose::Unsubscribe, &old), Some(keys()[0]));
        assert_ne!(rotated.seal(TokenPurpose::Unsubscribe, keys()[0]), old);
        let without = SealedTokens::new(&secret(2), &[]);
        assert_eq!(without.open(TokenPurpose::Unsubscribe, &old), None);
    }

    #[test]
    fn a_name_in_a_mail_survives_a_change_of_case_and_needs_no_quoting() {
        for purpose in [TokenPurpose::MessageId, TokenPurpose::ReturnPath] {
            let token = tokens().seal(purpose, keys()[1]);
            let plain = token.bytes().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
            assert!(token.len() <= 64 && plain, "{token}");
            assert_eq!(tokens().open(purpose, &token.to_uppercase()), Some(keys()[1]));
        }
    }

    #[test]
    fn tokens_of_neighbours_have_nothing_in_common() {
        let [key, ..] = keys();
        let next = DeliveryKey { contact: ContactNo(key.contact.0 + 1), ..key };
        let sealed = |key| tokens().current.seal(TokenPurpose::Unsubscribe, to_bytes(key));
        let same = sealed(key).iter().zip(sealed(next)).skip(1).filter(|(one, other)| **one == *other).count();
        assert!(same < 5, "{same} bytes are the same");
    }

    /// Links in mails are kept for years: a change of the format must be deliberate.
    #[test]
    fn tokens_of_today_open_tomorrow() {
        assert_eq!(
            tokens().seal(TokenPurpose::Unsubscribe, keys()[0]),
            "PbCudGab-cKTS1RbDn0iEAzXJm6AJUNLGBXnW0oZK5ro_LE"
        );
    }
}
