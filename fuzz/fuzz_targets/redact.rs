//! Whatever a text is: redacting it does not panic, grows it within bounds, and a second pass changes nothing. JSON
//! stays JSON.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use mcpcol::privacy::redact::{Found, Preset, Redactor, Settings, Under};
use serde_json::Value;

static ALL: LazyLock<Redactor> = LazyLock::new(|| {
    let presets = Preset::ALL.into();
    Redactor::new(&Settings { presets, ..Settings::default() }).expect("the presets compile")
});

/// The most that one match can add: a mask in the place of one byte.
const GROWTH: usize = 64;

fn redacted(text: &[u8]) -> Vec<u8> {
    let mut scan = ALL.scan();
    match scan.bytes(text, Under::Open) {
        Found::Nothing => text.to_vec(),
        Found::Masked | Found::Unscanned(_) => scan.output().as_bytes().to_vec(),
    }
}

fuzz_target!(|text: &[u8]| {
    let once = redacted(text);
    assert!(once.len() <= (text.len() + 1) * GROWTH);
    assert_eq!(redacted(&once), once, "a second pass");
    if serde_json::from_slice::<Value>(text).is_ok() && once.starts_with(b"{") {
        assert!(serde_json::from_slice::<Value>(&once).is_ok(), "JSON stays JSON");
    }
});
