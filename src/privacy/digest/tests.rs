//! Digests recomputed from first principles, keys in every spelling, and the recogniser.

use super::*;
use proptest::prelude::*;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// HMAC as RFC 2104 writes it down, from nothing but SHA-256, for keys up to a block long.
fn rfc_2104(key: &[u8], text: &[u8]) -> String {
    let pad = |with: u8| -> Vec<u8> {
        (0..64).map(|i| key.get(i).copied().unwrap_or(0) ^ with).collect()
    };
    let inner = Sha256::digest([pad(0x36), text.to_vec()].concat());
    hex(&Sha256::digest([pad(0x5c), inner.to_vec()].concat()))
}

fn key_bytes(seed: u8, len: usize) -> Vec<u8> {
    (0..len).map(|i| seed.wrapping_mul(31).wrapping_add(i as u8)).collect()
}

#[test]
fn a_plain_digest_is_the_sha_256_of_the_bytes() {
    let text = br#"{"a":1}"#;
    let digest = Digester::default().digest(text);
    assert_eq!(digest, format!("sha256:{}", hex(&Sha256::digest(text))));
    // FIPS 180-4's own example, so that this does not rest on one implementation.
    let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(Digester::default().digest(b"abc"), format!("sha256:{abc}"));
}

#[test]
fn the_first_key_signs_and_the_others_overlap() {
    let (new, old) = (key_bytes(1, 32), key_bytes(2, 40));
    let keys = vec![
        Key::from_bytes(&new, Some("2026-q4")).unwrap(),
        Key::from_bytes(&old, Some("2026-q3")).unwrap(),
    ];
    let digester = Digester::new(keys);
    let text = br#"{"a":1}"#;
    let new = format!("hmac-sha256:2026-q4:{}", rfc_2104(&new, text));
    let old = format!("hmac-sha256:2026-q3:{}", rfc_2104(&old, text));
    assert_eq!(digester.digest(text), new);
    assert_eq!(digester.digest(text), new, "signing does not use the key up");
    assert_eq!(digester.others(text).collect::<Vec<_>>(), [old]);
}

#[test]
fn one_key_reads_the_same_in_every_encoding() {
    let bytes: Vec<u8> = (200..=255).collect();
    let standard = base64::engine::general_purpose::STANDARD.encode(&bytes);
    let spellings = [
        hex(&bytes),
        hex(&bytes).to_uppercase(),
        format!("  {}\n", hex(&bytes)),
        standard.trim_end_matches('=').to_owned(),
        base64::engine::general_purpose::URL_SAFE.encode(&bytes),
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(&bytes),
        standard,
    ];
    let expected = Key::from_bytes(&bytes, None).unwrap().digest(b"{}");
    for text in spellings {
        assert_eq!(Key::parse(&text, None).unwrap().digest(b"{}"), expected);
    }
}

#[test]
fn a_key_without_a_name_is_named_after_itself() {
    let bytes = key_bytes(7, 32);
    let id = Key::from_bytes(&bytes, None).unwrap().id().to_owned();
    let hash = Sha256::digest([b"mcpcol-key-id".to_vec(), bytes].concat());
    assert_eq!(id, hex(&hash)[..8]);
}

#[test]
fn unusable_keys_are_refused_without_repeating_them() {
    let short = hex(&key_bytes(3, 31));
    assert_eq!(Key::parse(" \n", None).unwrap_err(), BadKey::Empty);
    assert_eq!(Key::parse(&short, None).unwrap_err(), BadKey::Short(31));
    assert_eq!(Key::parse("not a key at all", None).unwrap_err(), BadKey::Encoding);
    let bytes = key_bytes(3, 32);
    for id in ["", "a:b", "a b", &"x".repeat(33)] {
        assert_eq!(Key::from_bytes(&bytes, Some(id)).unwrap_err(), BadKey::Id, "{id:?}");
    }
    assert!(!BadKey::Short(31).to_string().contains(&short));
}

#[test]
fn a_key_prints_its_id_and_nothing_else() {
    let key = Key::from_bytes(&key_bytes(3, 32), Some("k1")).unwrap();
    let digester = Digester::new(vec![key.clone()]);
    assert_eq!(format!("{key:?}"), "Key(k1)");
    assert_eq!(format!("{digester:?}"), "Digester { keys: [Key(k1)] }");
}

#[test]
fn only_the_exact_forms_are_recognised() {
    let hex = "0123456789abcdef".repeat(4);
    for text in [
        format!("sha256:{hex}"),
        format!("hmac-sha256:k:{hex}"),
        format!("hmac-sha256:sha256:{hex}"),
    ] {
        assert!(is_digest(&text), "{text}");
    }
    for text in [
        String::new(),
        hex.clone(),
        format!("sha256:{}", &hex[1..]),
        format!("sha256:{hex}0"),
        format!("sha256:{}", hex.to_uppercase()),
        format!(" sha256:{hex}"),
        format!("sha256:{hex}\n"),
        format!("SHA256:{hex}"),
        format!("sha256:k:{hex}"),
        format!("hmac-sha256:{hex}"),
        format!("hmac-sha256::{hex}"),
        format!("hmac-sha256:a b:{hex}"),
        format!("hmac-sha256:{}:{hex}", "x".repeat(33)),
        format!("hmac-sha256:a:b:{hex}"),
        format!("md5:{hex}"),
    ] {
        assert!(!is_digest(&text), "{text}");
    }
}

proptest! {
    #[test]
    fn whatever_is_made_here_is_recognised(
        text: Vec<u8>,
        key in proptest::collection::vec(any::<u8>(), 32..64),
        id in proptest::option::of("[A-Za-z0-9._-]{1,32}"),
    ) {
        let key = Key::from_bytes(&key, id.as_deref()).unwrap();
        prop_assert!(is_digest(&key.digest(&text)));
        prop_assert!(is_digest(&Digester::default().digest(&text)));
    }

    #[test]
    fn hmac_is_that_of_rfc_2104(
        text: Vec<u8>,
        key in proptest::collection::vec(any::<u8>(), 32..=64),
    ) {
        let made = Key::from_bytes(&key, Some("k")).unwrap().digest(&text);
        prop_assert_eq!(made, format!("hmac-sha256:k:{}", rfc_2104(&key, &text)));
    }
}
