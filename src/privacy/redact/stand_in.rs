//! Makes what is put in the place of what is masked: a mask that names the rule, or a hash by which equal secrets can
//! still be told from others.

use std::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};
use sha3::Sha3_256;

use super::HASH_BEGIN;
use crate::privacy::digest::{own_id, push_hex};

/// The usual mask.
pub const MASK: &str = "[REDACTED:{rule}]";
/// The one word in a mask that is replaced.
const RULE: &str = "{rule}";
/// Hex digits of a keyed hash: 64 bits, enough to compare, too few to be taken for a digest.
const KEYED_DIGITS: usize = 16;

/// Says what stands in the place of what is masked.
#[derive(Clone, Debug)]
pub enum StandIn {
    /// A text, in which `{rule}` stands for the rule's name; nothing else in it has a meaning.
    Mask(String),
    /// `hmac:<key id>:<16 hex digits>`.
    Keyed(Box<KeyedHash>),
    /// The hash in hex, as the Collector's processor writes it. Short secrets are found by trying.
    Plain(PlainHash),
}

/// Names the hashes without a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlainHash {
    /// MD5.
    Md5,
    /// SHA-1.
    Sha1,
    /// SHA3-256.
    Sha3,
}

/// Holds a key that hashes what is masked. Never prints more than its id.
#[derive(Clone)]
pub struct KeyedHash {
    id: String,
    mac: Box<KeyedMac>,
}

#[derive(Clone)]
enum KeyedMac {
    Sha256(Hmac<Sha256>),
    Sha512(Hmac<Sha512>),
}

impl KeyedHash {
    /// The shortest keys, in bytes, of HMAC-SHA256 and HMAC-SHA512: what the Collector's processor asks for.
    pub const SHORTEST: [usize; 2] = [32, 64];

    /// Takes a key for HMAC-SHA256.
    pub fn sha256(key: &[u8]) -> Self {
        let mac = Hmac::new_from_slice(key).expect("HMAC takes keys of any length");
        KeyedHash { id: own_id(key), mac: Box::new(KeyedMac::Sha256(mac)) }
    }

    /// Takes a key for HMAC-SHA512.
    pub fn sha512(key: &[u8]) -> Self {
        let mac = Hmac::new_from_slice(key).expect("HMAC takes keys of any length");
        KeyedHash { id: own_id(key), mac: Box::new(KeyedMac::Sha512(mac)) }
    }

    fn write(&self, secret: &str, out: &mut String) {
        out.push_str(HASH_BEGIN);
        out.push_str(&self.id);
        out.push(':');
        let bytes = &secret.as_bytes();
        match &*self.mac {
            KeyedMac::Sha256(mac) => {
                push_hex(
                    out,
                    &mac.clone().chain_update(bytes).finalize().into_bytes()[..KEYED_DIGITS / 2],
                );
            }
            KeyedMac::Sha512(mac) => {
                push_hex(
                    out,
                    &mac.clone().chain_update(bytes).finalize().into_bytes()[..KEYED_DIGITS / 2],
                );
            }
        }
    }
}

impl fmt::Debug for KeyedHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyedHash({})", self.id)
    }
}

impl Default for StandIn {
    fn default() -> Self {
        StandIn::Mask(MASK.into())
    }
}

impl StandIn {
    /// Appends what stands in the place of `secret`, which a rule of that name found.
    pub(super) fn write(&self, rule: &str, secret: &str, out: &mut String) {
        match self {
            StandIn::Mask(mask) => write_mask(mask, rule, out),
            StandIn::Keyed(hash) => hash.write(secret, out),
            StandIn::Plain(PlainHash::Md5) => push_hex(out, &Md5::digest(secret)),
            StandIn::Plain(PlainHash::Sha1) => push_hex(out, &Sha1::digest(secret)),
            StandIn::Plain(PlainHash::Sha3) => push_hex(out, &Sha3_256::digest(secret)),
        }
    }

    /// Finds the end of the keyed hash under this key that a text begins with.
    pub(super) fn own_hash(&self, text: &str) -> Option<usize> {
        let StandIn::Keyed(hash) = self else { return None };
        let rest = text.strip_prefix(HASH_BEGIN)?.strip_prefix(&*hash.id)?.strip_prefix(':')?;
        let hex = rest.as_bytes().get(..KEYED_DIGITS)?;
        let own = hex.iter().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        own.then(|| text.len() - rest.len() + KEYED_DIGITS)
    }

    /// Tells whether what it puts in the place of something is known again for that.
    pub(super) fn is_known_again(&self) -> bool {
        !matches!(self, StandIn::Plain(_))
    }
}

/// Appends a mask with the rule's name in it.
pub(super) fn write_mask(mask: &str, rule: &str, out: &mut String) {
    let mut parts = mask.split(RULE);
    out.push_str(parts.next().unwrap_or_default());
    for part in parts {
        out.push_str(rule);
        out.push_str(part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(by: &StandIn) -> String {
        let mut out = String::new();
        by.write("jwt", "secret", &mut out);
        out
    }

    #[test]
    fn masks_are_literal_but_for_the_rules_name() {
        assert_eq!(written(&StandIn::default()), "[REDACTED:jwt]");
        assert_eq!(
            written(&StandIn::Mask("$1 {rule}{rule} $$ {name}".into())),
            "$1 jwtjwt $$ {name}"
        );
    }

    #[test]
    fn hashes_are_the_known_ones() {
        // printf secret | md5sum, sha1sum, openssl dgst -sha3-256
        for (hash, expected) in [
            (PlainHash::Md5, "5ebe2294ecd0e0f08eab7690d2a6ee69"),
            (PlainHash::Sha1, "e5e9fa1ba31ecd1ae84f75caaa474f3a663f05f4"),
            (PlainHash::Sha3, "f5a5207a8729b1f709cb710311751eb2fc8acad5a1fb8ac991b736e69b6529a3"),
        ] {
            assert_eq!(written(&StandIn::Plain(hash)), expected);
        }
    }

    #[test]
    fn keyed_hashes_compare_within_a_key_and_are_known_again() {
        let (key, other) = (vec![7; 64], vec![8; 64]);
        for (one, two) in [
            (KeyedHash::sha256(&key), KeyedHash::sha256(&other)),
            (KeyedHash::sha512(&key), KeyedHash::sha512(&other)),
        ] {
            let (one, two) = (StandIn::Keyed(Box::new(one)), StandIn::Keyed(Box::new(two)));
            let text = written(&one);
            assert_eq!(text, written(&one));
            assert_ne!(text, written(&two));
            assert_eq!(one.own_hash(&format!("{text} and more")), Some(text.len()));
            assert_eq!((two.own_hash(&text), one.own_hash(&text[1..])), (None, None));
            assert_eq!(one.own_hash(&text[..text.len() - 1]), None);
        }
    }
}
