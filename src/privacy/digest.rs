//! Digests of canonical texts: plain SHA-256, or HMAC-SHA-256 under keys that rotate.
//!
//! A plain digest can be recomputed by anybody, which is its use and its weakness: arguments are low
//! entropy and can be guessed. A keyed one hides them from all who lack the key. What is hashed is
//! exactly the canonical bytes, so that others can recompute; nothing is ever cut short.

use std::fmt;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use hmac::{Hmac, KeyInit as _, Mac as _};
use schemars::JsonSchema;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

/// The shortest key, in bytes: the strength of SHA-256.
pub const MIN_KEY_BYTES: usize = 32;

/// The longest key id, in characters: it stands in every digest.
pub const MAX_KEY_ID: usize = 32;

const PLAIN: &str = "sha256:";
const KEYED: &str = "hmac-sha256:";
const HEX_DIGITS: usize = 64;

/// Says how digests are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Makes plain digests: anybody can recompute them, and search for them.
    Sha256,
    /// Makes keyed digests.
    HmacSha256,
    /// Makes keyed digests with a random key that nobody keeps: comparable within one process, not anonymous to it.
    Ephemeral,
}

impl Mode {
    /// All of them.
    pub const ALL: [Mode; 3] = [Mode::Sha256, Mode::HmacSha256, Mode::Ephemeral];

    /// The word that users write.
    pub fn name(self) -> &'static str {
        match self {
            Mode::Sha256 => "sha256",
            Mode::HmacSha256 => "hmac-sha256",
            Mode::Ephemeral => "ephemeral",
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A key, ready to sign. Never prints more than its id.
#[derive(Clone)]
pub struct Key {
    id: String,
    /// The state after the key: cloned for each digest, which saves half the blocks of a short text.
    mac: Hmac<Sha256>,
}

/// Says why a key cannot be used. Never says what was in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadKey {
    /// Nothing but white space.
    #[error("the key is empty; write {MIN_KEY_BYTES} or more random bytes in hex or base64")]
    Empty,
    /// Neither of the two encodings.
    #[error("the key is neither hex nor base64")]
    Encoding,
    /// Too few bytes.
    #[error("the key has {0} bytes; {MIN_KEY_BYTES} or more are needed")]
    Short(usize),
    /// A name that does not fit into a digest.
    #[error("a key id has 1 to {MAX_KEY_ID} letters, digits, `.`, `_` or `-`")]
    Id,
}

impl Key {
    /// Reads a key in hex or base64 (standard or URL-safe, padded or not). Without an `id` it is
    /// named after itself: the first 8 hex digits of a hash of the key.
    pub fn parse(text: &str, id: Option<&str>) -> Result<Key, BadKey> {
        let text = text.trim();
        if text.is_empty() {
            return Err(BadKey::Empty);
        }
        let bytes = from_hex(text).or_else(|| from_base64(text)).ok_or(BadKey::Encoding)?;
        Key::from_bytes(&bytes, id)
    }

    /// A key from its bytes.
    pub fn from_bytes(bytes: &[u8], id: Option<&str>) -> Result<Key, BadKey> {
        if bytes.len() < MIN_KEY_BYTES {
            return Err(BadKey::Short(bytes.len()));
        }
        let id = match id {
            Some(id) if is_key_id(id) => id.to_owned(),
            Some(_) => return Err(BadKey::Id),
            None => own_id(bytes),
        };
        let mac = Hmac::new_from_slice(bytes).expect("HMAC takes keys of any length");
        Ok(Key { id, mac })
    }

    /// Gives what stands in the digests it makes.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The digest of `canonical` under this key.
    pub fn digest(&self, canonical: &[u8]) -> String {
        let mut out = String::with_capacity(KEYED.len() + self.id.len() + 1 + HEX_DIGITS);
        self.write(canonical, &mut out);
        out
    }

    /// Appends it.
    fn write(&self, canonical: &[u8], out: &mut String) {
        let mac = self.mac.clone().chain_update(canonical).finalize().into_bytes();
        out.push_str(KEYED);
        out.push_str(&self.id);
        out.push(':');
        push_hex(out, &mac);
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.id)
    }
}

/// Makes digests: plain without keys, else under the first one.
#[derive(Clone, Debug, Default)]
pub struct Digester {
    keys: Vec<Key>,
}

impl Digester {
    /// Signs with the first of `keys`, or not at all if there is none. The others are those that were
    /// first before, or will be.
    pub fn new(keys: Vec<Key>) -> Digester {
        Digester { keys }
    }

    /// The key that it signs with, if it does.
    pub fn key(&self) -> Option<&Key> {
        self.keys.first()
    }

    /// Says whether it signs.
    pub fn keyed(&self) -> bool {
        !self.keys.is_empty()
    }

    /// The digest of `canonical`: `sha256:<hex>` or `hmac-sha256:<key id>:<hex>`.
    pub fn digest(&self, canonical: &[u8]) -> String {
        let mut out = String::with_capacity(KEYED.len() + MAX_KEY_ID + 1 + HEX_DIGITS);
        self.write(canonical, &mut out);
        out
    }

    /// Appends it.
    pub fn write(&self, canonical: &[u8], out: &mut String) {
        match self.keys.first() {
            Some(key) => key.write(canonical, out),
            None => {
                out.push_str(PLAIN);
                push_hex(out, &Sha256::digest(canonical));
            }
        }
    }

    /// The digests under all keys but the first: what makes a rotation overlap.
    pub fn others(&self, canonical: &[u8]) -> impl Iterator<Item = String> {
        self.keys.iter().skip(1).map(|key| key.digest(canonical))
    }
}

/// Says whether `text` is, to the letter, a digest as made here: nothing to hide in it.
pub fn is_digest(text: &str) -> bool {
    let hex = match text.strip_prefix(KEYED).and_then(|rest| rest.split_once(':')) {
        Some((id, hex)) if is_key_id(id) => hex,
        Some(_) => return false,
        None => match text.strip_prefix(PLAIN) {
            Some(hex) => hex,
            None => return false,
        },
    };
    hex.len() == HEX_DIGITS && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

fn is_key_id(id: &str) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    (1..=MAX_KEY_ID).contains(&id.len()) && id.bytes().all(fits)
}

/// Names a key without telling anything about it: the prefix keeps this hash apart from all others.
pub(super) fn own_id(key: &[u8]) -> String {
    let hash = Sha256::new().chain_update(b"mcpcol-key-id").chain_update(key).finalize();
    let mut id = String::with_capacity(8);
    push_hex(&mut id, &hash[..4]);
    id
}

pub(super) fn push_hex(out: &mut String, bytes: &[u8]) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let mut text = [b'0'; HEX_DIGITS];
    let pairs = text.as_chunks_mut().0.iter_mut().zip(bytes);
    pairs.for_each(|(pair, b)| *pair = [HEX[usize::from(b >> 4)], HEX[usize::from(b & 15)]]);
    let text = &text[..HEX_DIGITS.min(bytes.len() * 2)];
    out.push_str(std::str::from_utf8(text).expect("hex digits are ASCII"));
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |c: u8| char::from(c).to_digit(16);
    let pairs = text.as_bytes().chunks(2).map(|pair| match pair {
        [high, low] => u8::try_from(digit(*high)? << 4 | digit(*low)?).ok(),
        _ => None,
    });
    pairs.collect()
}

fn from_base64(text: &str) -> Option<Vec<u8>> {
    let config =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let standard = GeneralPurpose::new(&alphabet::STANDARD, config);
    let url_safe = GeneralPurpose::new(&alphabet::URL_SAFE, config);
    standard.decode(text).or_else(|_| url_safe.decode(text)).ok()
}

#[cfg(test)]
mod tests;
