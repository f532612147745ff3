//! The JSON reader on arbitrary bytes: it ends, stays within its input, skips to where reading ends,
//! and accepts exactly what serde_json accepts.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mcpcol::json::{Error, Kind, MAX_DEPTH, Reader};

fuzz_target!(|text: &[u8]| {
    let mut reader = Reader::new(text, MAX_DEPTH);
    let read = value(&mut reader).and_then(|()| reader.end());
    assert!(reader.offset() <= text.len());

    let mut skipping = Reader::new(text, MAX_DEPTH);
    let skipped = skipping.skip();
    if let Ok(span) = &skipped {
        assert!(span.end <= text.len());
    }
    if read.is_ok() {
        skipped.expect("what is read is skipped");
        skipping.end().expect("and skipping ends where reading ends");
    }

    match serde_json::from_slice::<serde_json::Value>(text) {
        Ok(_) => read.expect("serde_json accepts it"),
        // Its limits, not JSON's.
        Err(e) if e.to_string().contains("number out of range") => {}
        Err(e) if e.to_string().contains("recursion limit") => {}
        Err(e) => assert!(read.is_err(), "serde_json refuses it: {e}"),
    }
});

/// Reads one value strictly, and each string for people as well.
fn value(r: &mut Reader<'_>) -> Result<(), Error> {
    match r.peek()?.0 {
        Kind::Null => r.null(),
        Kind::Bool => r.bool().map(drop),
        Kind::Number => r.number().map(drop),
        Kind::String => {
            let text = r.text()?;
            let (shown, _) = text.lossy(20);
            assert!(shown.len() <= 20);
            text.decode().map(drop)
        }
        Kind::Array => {
            r.array()?;
            while r.item()? {
                value(r)?;
            }
            Ok(())
        }
        Kind::Object => {
            r.object()?;
            while let Some(key) = r.key()? {
                let decoded = key.decode()?;
                assert!(key.is(&decoded));
                value(r)?;
            }
            Ok(())
        }
    }
}
