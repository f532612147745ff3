//! The look into one message: no panic on any bytes, agreement with a general parser on what is
//! valid, and a cut message never tells another id than the whole one.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mcpcol::mcp::{Message, RawId, TAIL};

fn id(message: &Message<'_>) -> Option<Vec<u8>> {
    match message.id {
        RawId::Number(digits) => Some(digits.as_bytes().to_vec()),
        RawId::Text(text) => Some(text.raw().to_vec()),
        _ => None,
    }
}

fuzz_target!(|input: (u16, u16, &[u8])| {
    let (at, end, text) = input;
    let at = usize::from(at).min(text.len());
    let tail = &text[text.len() - usize::from(end).min(text.len() - at).min(TAIL)..];
    let cut = Message::peek_cut(&text[..at], tail);
    let valid = serde_json::from_slice::<serde_json::Value>(text).is_ok_and(|v| v.is_object());
    match Message::peek(text) {
        Ok((whole, used)) => {
            assert!(used <= text.len());
            // Of duplicate members, however spelt, a cut message may show another one.
            let ids = text.windows(4).filter(|w| *w == b"\"id\"").count();
            if valid && ids == 1 && !text.windows(2).any(|w| w == b"\\u") {
                assert!(id(&cut).is_none() || id(&cut) == id(&whole));
            }
        }
        Err(error) => assert!(!valid, "{error}"),
    }
});
