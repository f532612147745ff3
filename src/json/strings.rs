//! Strings in a text that is looked at in blocks: where they are, and what in them no JSON parser takes.
//!
//! That is a raw control character, a backslash with nothing behind it that makes an escape, and a `\u`
//! without its four digits (RFC 8259 section 7). Halves of surrogate pairs and bytes that are not UTF-8 are
//! not looked for: there are parsers that take those.

use super::scan::{self, BLOCK};

/// Every second bit, the first not among them.
const ODD: u64 = 0xaaaa_aaaa_aaaa_aaaa;

/// Says of each byte what it makes of a backslash before it, quotes and backslashes apart.
const ESCAPES: [u8; 256] = {
    let mut escapes = [UNKNOWN; 256];
    let mut i = 0;
    while i < KNOWN.len() {
        escapes[KNOWN[i] as usize] = 0;
        i += 1;
    }
    escapes[b'u' as usize] = UNICODE;
    escapes
};
const KNOWN: [u8; 6] = *b"/bfnrt";
const UNKNOWN: u8 = 1;
const UNICODE: u8 = 2;

/// Follows a text in blocks and knows where it is inside of strings.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Strings {
    /// The next block begins inside of one.
    inside: bool,
    /// And with a byte that is escaped.
    escaped: bool,
    /// Says which of the first bytes of the next block must be the digits of a `\u`.
    digits: u64,
}

/// Holds where the strings of a block are, and what in it decides that.
#[derive(Clone, Copy, Debug)]
pub(super) struct Places {
    /// Inside of strings, opening quotes included.
    pub(super) inside: u64,
    pub(super) backslashes: u64,
    /// Behind a backslash that is not behind one itself, and neither quote nor backslash.
    letters: u64,
}

impl Strings {
    /// Goes on to the next block.
    #[inline]
    pub(super) fn next(&mut self, bytes: &[u8; BLOCK]) -> Places {
        let (quotes, backslashes) = scan::quotes_and_backslashes(bytes);
        let escaped = self.escaped(backslashes);
        let letters = escaped & !(quotes | backslashes);
        let mut inside = quotes & !escaped;
        // Each bit becomes the parity of those up to it: of quotes, whether a string is open.
        if inside != 0 {
            for shift in [1, 2, 4, 8, 16, 32] {
                inside ^= inside << shift;
            }
        }
        if self.inside {
            inside = !inside;
        }
        self.inside = inside >> (BLOCK - 1) == 1;
        Places { inside, backslashes, letters }
    }

    /// Says whether any of the first so many bytes of that block is one that no parser takes where it is.
    #[inline]
    pub(super) fn is_flawed(
        &mut self,
        bytes: &[u8; BLOCK],
        places: &Places,
        length: usize,
    ) -> bool {
        let controls = scan::controls(bytes);
        // As most blocks are.
        if places.letters | controls | self.digits == 0 {
            return false;
        }
        let within = 1_u64.checked_shl(length as u32).unwrap_or(0).wrapping_sub(1);
        let (mut letters, mut escapes) = (places.letters & within, 0);
        while letters != 0 {
            escapes |= ESCAPES[usize::from(bytes[letters.trailing_zeros() as usize])];
            letters &= letters - 1;
        }
        let mut flawed = escapes & UNKNOWN != 0 || controls & places.inside & within != 0;
        if escapes & UNICODE != 0 || self.digits != 0 {
            let unicode = scan::unicode(bytes) & places.letters;
            flawed |= self.misses_digits(bytes, unicode, within);
        }
        flawed
    }

    /// Says whether a `\u` before or in that block has not its four digits.
    #[inline(never)]
    fn misses_digits(&mut self, bytes: &[u8; BLOCK], unicode: u64, within: u64) -> bool {
        let behind = unicode << 1 | unicode << 2 | unicode << 3 | unicode << 4;
        let digits = (self.digits | behind) & within;
        self.digits = unicode >> 63 | unicode >> 62 | unicode >> 61 | unicode >> 60;
        digits & !scan::hex_digits(bytes) != 0
    }

    /// Says which bytes stand behind a backslash that is not behind one itself.
    #[inline]
    fn escaped(&mut self, backslashes: u64) -> u64 {
        let first = u64::from(std::mem::take(&mut self.escaped));
        if backslashes == 0 {
            return first;
        }
        let open = backslashes & !first;
        // Of a run of backslashes every second one escapes, beginning with its first. Where a run ends, and
        // at each second place before, a borrow that starts at its first bit leaves a mark.
        let marks = (open << 1 | ODD).wrapping_sub(open) ^ ODD;
        self.escaped = marks & backslashes & 1 << (BLOCK - 1) != 0;
        marks ^ (backslashes | first)
    }
}

/// Says whether a text, from outside of strings on, has anything in a string that no parser takes. One that ends inside
/// of a string, or of an escape, may.
pub(crate) fn is_flawed(text: &[u8]) -> bool {
    let mut strings = Strings::default();
    let mut flawed = |bytes, length| {
        let places = strings.next(bytes);
        strings.is_flawed(bytes, &places, length)
    };
    let (whole, rest) = text.as_chunks();
    let mut last = [b' '; BLOCK];
    last[..rest.len()].copy_from_slice(rest);
    whole.iter().any(|bytes| flawed(bytes, BLOCK)) || flawed(&last, rest.len())
}
