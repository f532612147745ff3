//! Ids that are as good as passwords, and what leaves in their place.

use crate::mcp::Hidden;
use crate::pipeline::Build;
use crate::privacy::digest::{BadKey, Key};

/// Hex digits of an id's hash: 128 bits, as a trace id.
const DIGITS: usize = 32;

/// Makes what stands for `id`: the beginning of its HMAC.
pub(in crate::receivers) fn hashed(key: &Key, id: &[u8]) -> String {
    let digest = key.digest(id);
    let hex = digest.rsplit(':').next().unwrap_or_default();
    hex.chars().take(DIGITS).collect()
}

/// Task ids, hashed so.
pub(in crate::receivers) fn hidden(key: Key) -> Hidden {
    Hidden::by(move |id| hashed(&key, id))
}

/// The key that ids are hashed with where none is written: that of the digest behind the receiver, so that
/// both can be compared with what others hash, else one that lasts as long as the process.
pub(in crate::receivers) fn content_key(cx: &Build<'_>) -> Result<Key, BadKey> {
    cx.published::<Key>().map_or_else(random_key, |key| Ok(Key::clone(&key)))
}

fn random_key() -> Result<Key, BadKey> {
    Key::from_bytes(&rand::random::<[u8; 32]>(), None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_for_an_id_tells_it_from_others_to_those_with_the_key() {
        let (key, other) = (random_key().unwrap(), random_key().unwrap());
        let shown = hashed(&key, b"id");
        assert_eq!((shown.len(), &shown), (DIGITS, &hashed(&key, b"id")));
        assert_ne!(shown, hashed(&key, b"id2"));
        assert_ne!(shown, hashed(&other, b"id"));
    }
}
