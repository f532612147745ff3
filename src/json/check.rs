//! Whether a text is JSON, to the letter.

use super::strings::is_flawed;
use super::{Error, ErrorKind, Kind, Reader, Result};

/// Checks that `text` is one value by the grammar of RFC 8259, in UTF-8, nested no deeper than `limit`, with nothing
/// but white space around it. Halves of surrogate pairs may stand in escapes: the grammar has them.
pub fn check(text: &[u8], limit: usize) -> Result<()> {
    if let Err(error) = std::str::from_utf8(text) {
        return Err(Error { kind: ErrorKind::Utf8, at: error.valid_up_to() });
    }
    let mut reader = Reader::new(text, limit);
    // One bit an open container, the innermost lowest: set for an array.
    let (mut arrays, mut open) = (0_u128, 0);
    loop {
        match reader.peek()?.0 {
            Kind::Object => {
                reader.object()?;
                (arrays, open) = (arrays << 1, open + 1);
            }
            Kind::Array => {
                reader.array()?;
                (arrays, open) = (arrays << 1 | 1, open + 1);
            }
            _ => {
                reader.skip()?;
            }
        }
        while open > 0 {
            let more = if arrays & 1 == 1 { reader.item()? } else { reader.key()?.is_some() };
            if more {
                break;
            }
            (arrays, open) = (arrays >> 1, open - 1);
        }
        if open == 0 {
            reader.end()?;
            // Of strings only the ends were looked at so far.
            let flawed = Error { kind: ErrorKind::BadString, at: 0 };
            return if is_flawed(text) { Err(flawed) } else { Ok(()) };
        }
    }
}
