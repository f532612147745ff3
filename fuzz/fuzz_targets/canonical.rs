//! The canonical form of arbitrary bytes is that of another implementation, and its own canonical
//! form; what is refused leaves nothing behind.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mcpcol::privacy::Reason;
use mcpcol::privacy::canonical::Canonicalizer;
use serde_json::Value;

fuzz_target!(|text: &[u8]| {
    let (mut canonicalizer, mut out) = (Canonicalizer::default(), Vec::new());
    let written = canonicalizer.write(text, &mut out);
    let meant = serde_json::from_slice::<Value>(text);
    match written {
        Ok(_) => {
            // serde_json stops at 127 levels.
            if let Ok(meant) = meant {
                let expected = serde_json_canonicalizer::to_vec(&meant).expect("a value");
                assert_eq!(out, expected);
            } else {
                assert!(meant.is_err_and(|e| e.to_string().contains("recursion limit")));
            }
            let mut again = Vec::new();
            let second = canonicalizer.write(&out, &mut again).expect("a canonical form is JSON");
            assert_eq!(again, out, "idempotent");
            assert!(!second.lossy, "nothing is left to lose");
        }
        Err(rejected) => {
            assert!(out.is_empty());
            assert!(rejected.at <= text.len());
            let stricter = rejected.reason == Reason::DuplicateKey;
            assert!(stricter || meant.is_err(), "{rejected}");
        }
    }
});
