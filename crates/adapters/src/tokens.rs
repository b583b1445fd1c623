//! [`Tokens`] by deterministic authenticated encryption with a synthetic initialisation vector.
//!
//! A token is one byte that names the key, a tag of 96 bits, and the delivery's key enciphered, with which link it is
//! and where that leads where it is of a link:
//! tag = HMAC-SHA256(mac key, purpose, payload), cut short; payload xor HMAC-SHA256(cipher key, tag), and behind its
//! first 32 octets HMAC-SHA256(cipher key, tag, number of the block).
//! No nonce can repeat harmfully because there is none; the same delivery has the same token, which a Message-ID needs.
//! Nothing has to be stored or looked up to open one.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use muster_domain::model::delivery::DeliveryKey;
use muster_domain::model::events::ClickedLink;
use muster_domain::model::ids::{CampaignNo, ContactNo, LinkNo, Pass, StepNo, TenantNo};
use muster_domain::ports::tokens::{TokenPurpose, Tokens, TrackedLink};
use secrecy::{ExposeSecret, SecretSlice};
use sha2::{Digest, Sha256};

/// 96 bits: beyond guessing over a network.
const TAG: usize = 12;
/// The parts of a [`DeliveryKey`], big-endian.
const PAYLOAD: usize = 22;
const TOKEN: usize = 1 + TAG + PAYLOAD;
/// What is enciphered at once.
const BLOCK: usize = 32;

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
        write(purpose, &self.current.seal(label(purpose), &to_bytes(key)))
    }

    fn open(&self, purpose: TokenPurpose, token: &str) -> Option<DeliveryKey> {
        let sealed = read(purpose, token)?;
        self.open_with_any(label(purpose), &sealed)?.try_into().ok().map(from_bytes)
    }

    fn seal_link(&self, link: &TrackedLink) -> String {
        let mut payload = to_bytes(link.delivery).to_vec();
        payload.extend(link.link.no.0.to_be_bytes());
        payload.extend(link.link.of.to_be_bytes());
        payload.extend(link.target.as_bytes());
        BASE64_URL_SAFE_NO_PAD.encode(self.current.seal(LINK_LABEL, &payload))
    }

    fn open_link(&self, token: &str) -> Option<TrackedLink> {
        let payload = self.open_with_any(LINK_LABEL, &BASE64_URL_SAFE_NO_PAD.decode(token).ok()?)?;
        let (delivery, rest) = payload.split_first_chunk::<PAYLOAD>()?;
        let (no, rest) = rest.split_first_chunk()?;
        let (of, target) = rest.split_first_chunk()?;
        let link = ClickedLink { no: LinkNo(i64::from_be_bytes(*no)), of: i16::from_be_bytes(*of) };
        let target = String::from_utf8(target.to_vec()).ok()?;
        Some(TrackedLink { delivery: from_bytes(*delivery), link, target })
    }
}

impl SealedTokens {
    fn open_with_any(&self, label: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        let (name, sealed) = sealed.split_first()?;
        let keys = std::iter::once(&self.current).chain(&self.previous);
        keys.filter(|keys| keys.name == *name).find_map(|keys| keys.open(label, sealed))
    }
}

/// What a purpose is told apart by.
fn label(purpose: TokenPurpose) -> &'static [u8] {
    match purpose {
        TokenPurpose::Unsubscribe => b"unsubscribe\0",
        TokenPurpose::MessageId => b"message-id\0",
        TokenPurpose::ReturnPath => b"return-path\0",
        TokenPurpose::Delivery => b"delivery\0",
        TokenPurpose::Open => b"open\0",
        TokenPurpose::Trap => b"trap\0",
    }
}

/// What links are told apart by from the rest.
const LINK_LABEL: &[u8] = b"link\0";

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

    fn seal(&self, label: &[u8], payload: &[u8]) -> Vec<u8> {
        let mac = self.authenticate(label, payload).finalize().into_bytes();
        let tag = &mac[..TAG];
        let mut token = Vec::with_capacity(1 + TAG + payload.len());
        token.push(self.name);
        token.extend_from_slice(tag);
        token.extend_from_slice(payload);
        self.encipher(tag, &mut token[1 + TAG..]);
        token
    }

    /// `sealed` is a token without the name of the key.
    fn open(&self, label: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        let (tag, enciphered) = sealed.split_at_checked(TAG)?;
        let mut payload = enciphered.to_vec();
        self.encipher(tag, &mut payload);
        // Compares in constant time.
        self.authenticate(label, &payload).verify_truncated_left(tag).ok().map(|()| payload)
    }

    fn authenticate(&self, label: &[u8], payload: &[u8]) -> Hmac<Sha256> {
        let mut mac = self.mac.clone();
        mac.update(label);
        mac.update(payload);
        mac
    }

    /// Turns a payload into what stands for it, and back.
    fn encipher(&self, tag: &[u8], payload: &mut [u8]) {
        for (block, number) in payload.chunks_mut(BLOCK).zip(0_u32..) {
            let mut cipher = self.cipher.clone();
            cipher.update(tag);
            if number > 0 {
                cipher.update(&number.to_be_bytes());
            }
            for (byte, key) in block.iter_mut().zip(cipher.finalize().into_bytes()) {
                *byte ^= key;
            }
        }
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

fn write(purpose: TokenPurpose, token: &[u8]) -> String {
    match purpose {
        TokenPurpose::MessageId | TokenPurpose::ReturnPath => write_base32(token),
        TokenPurpose::Unsubscribe | TokenPurpose::Delivery | TokenPurpose::Open | TokenPurpose::Trap => {
            BASE64_URL_SAFE_NO_PAD.encode(token)
        }
    }
}

/// `None` for anything that [`write`] does not write.
fn read(purpose: TokenPurpose, token: &str) -> Option<[u8; TOKEN]> {
    let bytes = match purpose {
        TokenPurpose::MessageId | TokenPurpose::ReturnPath => read_base32(token)?,
        TokenPurpose::Unsubscribe | TokenPurpose::Delivery | TokenPurpose::Open | TokenPurpose::Trap => {
            BASE64_URL_SAFE_NO_PAD.decode(token).ok()?
        }
    };
    bytes.try_into().ok()
}

/// 35 bytes are 56 letters exactly.
fn write_base32(bytes: &[u8]) -> String {
    let mut letters = String::with_capacity(bytes.len() / 5 * 8);
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

    const PURPOSES: [TokenPurpose; 6] = [
        TokenPurpose::Unsubscribe,
        TokenPurpose::MessageId,
        TokenPurpose::ReturnPath,
        TokenPurpose::Delivery,
        TokenPurpose::Open,
        TokenPurpose::Trap,
    ];

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
        let sealed = tokens().current.seal(label(TokenPurpose::Unsubscribe), &to_bytes(keys()[0]));
        for bit in 0..TOKEN * 8 {
            let mut changed = sealed.clone();
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
        let sealed = tokens().current.seal(label(TokenPurpose::Unsubscribe), &to_bytes(keys()[0]));
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
        let sealed = |key| tokens().current.seal(label(TokenPurpose::Unsubscribe), &to_bytes(key));
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

    fn links() -> Vec<TrackedLink> {
        let link = |delivery, no, of, target: &str| TrackedLink {
            delivery,
            link: ClickedLink { no: LinkNo(no), of },
            target: target.to_owned(),
        };
        let long = format!("https://example.test/{}", "x".repeat(1_380));
        vec![
            link(keys()[0], 1, 1, ""),
            link(keys()[1], i64::MIN, i16::MAX, "https://example.test/?a=1&b=ü"),
            link(keys()[2], -7, 3, &long),
        ]
    }

    #[test]
    fn a_link_opens_to_what_was_sealed_and_shows_none_of_it() {
        for link in links() {
            let token = tokens().seal_link(&link);
            assert_eq!(tokens().open_link(&token).as_ref(), Some(&link));
            assert_eq!(tokens().seal_link(&link), token, "the same every time");
            let bytes = BASE64_URL_SAFE_NO_PAD.decode(&token).unwrap();
            assert!(!String::from_utf8_lossy(&bytes).contains("example"));
            // No block is enciphered as another one: the long target repeats one letter.
            let blocks: std::collections::HashSet<_> = bytes[1 + TAG + BLOCK..].chunks(BLOCK).collect();
            assert_eq!(blocks.len(), bytes[1 + TAG + BLOCK..].chunks(BLOCK).count());
        }
    }

    #[test]
    fn a_link_changed_in_any_bit_or_cut_anywhere_does_not_open() {
        for link in links() {
            let sealed = BASE64_URL_SAFE_NO_PAD.decode(tokens().seal_link(&link)).unwrap();
            for bit in 0..sealed.len() * 8 {
                let mut changed = sealed.clone();
                changed[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(tokens().open_link(&BASE64_URL_SAFE_NO_PAD.encode(changed)), None, "bit {bit}");
            }
            for length in 0..sealed.len() {
                assert_eq!(tokens().open_link(&BASE64_URL_SAFE_NO_PAD.encode(&sealed[..length])), None);
            }
        }
    }

    #[test]
    fn a_link_opens_under_its_own_secret_and_for_its_own_purpose_alone() {
        let [link, ..] = &links()[..] else { panic!("no link") };
        let token = tokens().seal_link(link);
        assert_eq!(SealedTokens::new(&secret(2), &[]).open_link(&token), None);
        assert_eq!(SealedTokens::new(&secret(2), &[secret(3), secret(1)]).open_link(&token).as_ref(), Some(link));
        for purpose in PURPOSES {
            assert_eq!(tokens().open(purpose, &token), None);
            assert_eq!(tokens().open_link(&tokens().seal(purpose, keys()[0])), None);
        }
    }

    /// As above: links in mails are followed for years.
    #[test]
    fn links_of_today_open_tomorrow() {
        assert_eq!(tokens().open_link(LINK_OF_TODAY), links().into_iter().nth(1));
    }

    const LINK_OF_TODAY: &str =
        "PUDtp3FPuZvsjDbNsCODt30cMfKwYIAZlVztDcJKO8VKIBQaoG-D00Liu0xchYcM4WvSlx6fQXXKxJ0rkjJ5RkVqfRs5OIv--1lo";
}
