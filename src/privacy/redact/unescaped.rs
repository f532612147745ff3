//! A text without the escapes of JSON that could split a secret: for texts that hold JSON among other words, or
//! the beginning of some.

use std::ops::Range;

use memchr::memmem;

/// Holds a text in which the escapes of all but control characters are written out, and where its parts stood.
pub(super) struct Unescaped {
    pub(super) text: String,
    /// Says where in the text each byte of an escape that was written out stands, and where the escape stood in the
    /// original.
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
        for at in memmem::find_iter(bytes, "\\u") {
            // The second half of a pair was written out with the first.
            let Some((c, end)) = escaped(original, at).filter(|_| at >= copied) else { continue };
            let before = bytes[copied..at].iter().rev().take_while(|b| **b == b'\\').count();
            let place = at - before..end;
            let Unescaped { text, escapes } = unescaped
                .get_or_insert_with(|| Unescaped { text: String::new(), escapes: Vec::new() });
            text.push_str(&original[copied..place.start]);
            let from = text.len();
            text.push(c);
            copied = place.end;
            escapes.extend((from..text.len()).map(|byte| (byte, place.clone())));
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

/// Reads the escape of a character at a place, a surrogate pair too (RFC 8259 section 7), and finds its end. None for
/// what is no escape, and for control characters.
fn escaped(text: &str, at: usize) -> Option<(char, usize)> {
    let first = unit(text, at)?;
    let end = at + ESCAPE;
    if !(0xd800..0xdc00).contains(&first) {
        let c = char::from_u32(first).filter(|c| !c.is_control())?;
        return Some((c, end));
    }
    let next = end + text.get(end..)?.bytes().take_while(|b| *b == b'\\').count().checked_sub(1)?;
    let second = unit(text, next).filter(|unit| (0xdc00..0xe000).contains(unit))?;
    let c = char::from_u32(0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00))?;
    Some((c, next + ESCAPE))
}

/// Reads the four digits of an escape.
fn unit(text: &str, at: usize) -> Option<u32> {
    let digits = text.get(at..at + ESCAPE)?.strip_prefix("\\u")?;
    let plain = digits.bytes().all(|b| b.is_ascii_hexdigit());
    u32::from_str_radix(digits, 16).ok().filter(|_| plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_stand_where_they_stood() {
        let original = r"ab\u0063d\u00e9\u0065f \u00";
        let unescaped = Unescaped::new(original).unwrap();
        assert_eq!(unescaped.text, r"abcdéef \u00");
        for (part, place) in [
            ("ab", 0..2),
            ("abc", 0..8),
            ("c", 2..8),
            ("d", 8..9),
            ("cd", 2..9),
            ("é", 9..15),
            ("dé", 8..15),
            ("ef", 15..22),
            ("f", 21..22),
        ] {
            let from = unescaped.text.find(part).unwrap();
            let places = unescaped.places(from, from + part.len());
            assert_eq!(places, (place.start, place.end), "{part}");
        }
        assert!(Unescaped::new(r"a\n\u001b\u009f\ud83d\u0g00\u+041\u00").is_none());
        for pair in [r"a\ud83d\uDE00b", r"a\\ud83d\\ude00b"] {
            let pair = Unescaped::new(pair).unwrap();
            assert_eq!(pair.text, "a\u{1F600}b");
            assert_eq!(pair.places(1, 5).0, 1);
        }
        let nested = Unescaped::new(r"a\\\u0062c").unwrap();
        assert_eq!((&*nested.text, nested.places(1, 2)), ("abc", (1, 9)));
    }
}
