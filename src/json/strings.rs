//! Strings in a text that is looked at in blocks: where they are, and what in them no JSON parser takes.
//!
//! That is a raw control character, a backslash with nothing behind it that makes an escape, and a `\u`
//! without its four digits (RFC 8259 section 7). Halves of surrogate pairs and bytes that are not UTF-8 are
//! not looked for: there are parsers that take those.

use super::scan::{self, BLOCK, Block};

/// Every second bit, the first not among them.
const ODD: u64 = 0xaaaa_aaaa_aaaa_aaaa;

/// What a byte behind a backslash makes of it, for all that are neither quote nor backslash.
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

/// Where a text that is looked at in blocks is inside of strings.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Strings {
    /// The next block begins inside of one.
    inside: bool,
    /// And with a byte that is escaped.
    escaped: bool,
    /// Which of the first bytes of the next block must be the digits of a `\u`.
    digits: u64,
}

/// What is known of the bytes of a block.
#[derive(Clone, Copy, Debug)]
pub(super) struct Places {
    /// Inside of strings, opening quotes included.
    pub(super) inside: u64,
    /// Behind a backslash that is not behind one itself.
    escaped: u64,
}

impl Strings {
    /// Goes on to the next block.
    #[inline]
    pub(super) fn next(&mut self, block: &Block) -> Places {
        let escaped = self.escaped(block.backslashes);
        // Each bit becomes the parity of those up to it: of quotes, whether a string is open.
        let mut inside = block.quotes & !escaped;
        for shift in [1, 2, 4, 8, 16, 32] {
            inside ^= inside << shift;
        }
        if self.inside {
            inside = !inside;
        }
        self.inside = inside >> (BLOCK - 1) == 1;
        Places { inside, escaped }
    }

    /// Which bytes of that block no parser takes where they are.
    #[inline]
    pub(super) fn flaws(&mut self, bytes: &[u8; BLOCK], block: &Block, places: Places) -> u64 {
        let mut letters = places.escaped & !(block.quotes | block.backslashes);
        let (mut unknown, mut unicode) = (0, 0);
        while letters != 0 {
            let place = letters.trailing_zeros();
            letters &= letters - 1;
            let escape = ESCAPES[usize::from(bytes[place as usize])];
            unknown |= u64::from(escape & UNKNOWN) << place;
            unicode |= u64::from(escape / UNICODE) << place;
        }
        if unicode | self.digits != 0 {
            let within = unicode << 1 | unicode << 2 | unicode << 3 | unicode << 4;
            unknown |= (self.digits | within) & !scan::hex_digits(bytes);
            self.digits = unicode >> 63 | unicode >> 62 | unicode >> 61 | unicode >> 60;
        }
        unknown | block.controls & places.inside
    }

    /// Which bytes stand behind a backslash that is not behind one itself.
    #[inline]
    fn escaped(&mut self, backslashes: u64) -> u64 {
        let first = u64::from(self.escaped);
        let open = backslashes & !first;
        // Of a run of backslashes every second one escapes, beginning with its first. Where a run ends, and
        // at each second place before, a borrow that starts at its first bit leaves a mark.
        let marks = (open << 1 | ODD).wrapping_sub(open) ^ ODD;
        self.escaped = marks & backslashes & 1 << (BLOCK - 1) != 0;
        marks ^ (backslashes | first)
    }
}

/// Whether a text, from outside of strings on, has anything in a string that no parser takes. One that
/// ends inside of a string, or of an escape, may.
pub(crate) fn is_flawed(text: &[u8]) -> bool {
    let mut strings = Strings::default();
    let (whole, rest) = text.as_chunks();
    let mut flawed = |bytes, length| {
        let block = Block::of(bytes);
        let places = strings.next(&block);
        strings.flaws(bytes, &block, places) & first(length) != 0
    };
    whole.iter().any(|bytes| flawed(bytes, BLOCK)) || flawed(&padded(rest), rest.len())
}

/// As many bits.
#[inline]
pub(super) fn first(length: usize) -> u64 {
    1_u64.checked_shl(length as u32).unwrap_or(0).wrapping_sub(1)
}

/// Less than a block, and spaces behind it.
pub(super) fn padded(rest: &[u8]) -> [u8; BLOCK] {
    let mut padded = [b' '; BLOCK];
    padded[..rest.len()].copy_from_slice(rest);
    padded
}
