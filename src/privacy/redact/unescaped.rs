//! A text without the escapes of JSON that could split a secret: for texts that hold JSON among other words, or
//! the beginning of some.

use std::ops::Range;

use memchr::memmem;

/// Holds a text in which the escapes of printable ASCII are written out, and where its parts stood.
pub(super) struct Unescaped {
    pub(super) text: String,
    /// Where in the text an escape was written out, and where that stood in the original.
    escapes: Vec<(usize, Range<usize>)>,
}

/// The length of `\u0041`.
const ESCAPE: usize = 6;

impl Unescaped {
    /// Writes the escapes of a text out, if it has any. However often they were escaped themselves, as in JSON
    /// within JSON: all backslashes before go.
    pub(super) fn new(original: &str) -> Option<Self> {
        let bytes = original.as_bytes();
        // As most texts are.
        memchr::memchr(b'\\', bytes)?;
        let mut unescaped: Option<Unescaped> = None;
        let mut copied = 0;
        for at in memmem::find_iter(bytes, "\\u00") {
            let digits = original.get(at + 4..at + ESCAPE).unwrap_or_default();
            let code = u8::from_str_radix(digits, 16).unwrap_or_default();
            if !(0x20..0x7f).contains(&code) || digits.starts_with('+') {
                continue;
            }
            let before = bytes[copied..at].iter().rev().take_while(|b| **b == b'\\').count();
            let place = at - before..at + ESCAPE;
            let Unescaped { text, escapes } = unescaped
                .get_or_insert_with(|| Unescaped { text: String::new(), escapes: Vec::new() });
            text.push_str(&original[copied..place.start]);
            text.push(char::from(code));
            copied = place.end;
            escapes.push((text.len() - 1, place));
        }
        if let Some(unescaped) = &mut unescaped {
            unescaped.text.push_str(&original[copied..]);
        }
        unescaped
    }

    /// Says where a part of it stands in the original.
    pub(super) fn places(&self, from: usize, to: usize) -> (usize, usize) {
        (self.place(from).start, self.place(to.saturating_sub(1)).end)
    }

    /// Says where a byte stands in the original.
    fn place(&self, at: usize) -> Range<usize> {
        let before = self.escapes.partition_point(|(escape, _)| *escape < at);
        if let Some((escape, place)) = self.escapes.get(before)
            && *escape == at
        {
            return place.clone();
        }
        let (last, end) = before.checked_sub(1).map_or((0, 0), |i| {
            let (escape, place) = &self.escapes[i];
            (escape + 1, place.end)
        });
        end + at - last..end + at - last + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_stand_where_they_stood() {
        let original = r"ab\u0063d\u00e9\u0065f \u00";
        let unescaped = Unescaped::new(original).unwrap();
        assert_eq!(unescaped.text, r"abcd\u00e9ef \u00");
        for (part, place) in [
            ("ab", 0..2),
            ("abc", 0..8),
            ("c", 2..8),
            ("d", 8..9),
            ("cd", 2..9),
            ("ef", 15..22),
            ("f", 21..22),
        ] {
            let from = unescaped.text.find(part).unwrap();
            let places = unescaped.places(from, from + part.len());
            assert_eq!(places, (place.start, place.end), "{part}");
        }
        assert!(Unescaped::new(r"a\n\u1234\u00").is_none());
        let nested = Unescaped::new(r"a\\\u0062c").unwrap();
        assert_eq!((&*nested.text, nested.places(1, 2)), ("abc", (1, 9)));
    }
}
