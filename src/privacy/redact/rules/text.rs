//! A text as detectors look at it: bytes, their classes, and how far those of a class go on.
//!
//! It works on bytes, so that no place is wrong and no panic could print what is in the text.

use std::cell::Cell;
use std::ops::Range;

/// A set of classes, a bit each.
pub(super) type Class = u16;

/// Letters and digits.
pub(super) const ALNUM: Class = 1;
/// Those of base64 for URLs.
pub(super) const URL64: Class = 1 << 1;
/// Those of tokens in headers (RFC 9110 section 11.2), without space.
pub(super) const TOKEN68: Class = 1 << 2;
/// Hexadecimal digits in either case, and `-`.
pub(super) const HEX: Class = 1 << 3;
/// Those of names: letters, digits, `_`, `.` and `-`.
pub(super) const NAME: Class = 1 << 4;
/// Letters, digits and `_`.
pub(super) const WORD: Class = 1 << 5;
/// Capitals and digits.
pub(super) const CAPITAL: Class = 1 << 6;
/// Contains all but spaces and the marks that end values: quotes, `&`, `<`, `>`, `|`, `\`.
pub(super) const BARE: Class = 1 << 7;
/// Contains all that stands on one line, but `"` and `\`.
pub(super) const LINE: Class = 1 << 8;
/// Contains all but spaces, quotes, `\`, `<` or `>`: what a URL goes on over in a text.
pub(super) const URL: Class = 1 << 9;
const DIGIT: Class = 1 << 10;
const CLASSES: usize = 11;

static TABLE: [Class; 256] = {
    let mut table = [0; 256];
    let mut i = 0;
    while i < 256 {
        table[i] = classes(i as u8);
        i += 1;
    }
    table
};

const fn classes(b: u8) -> Class {
    let mut all = 0;
    if b.is_ascii_alphanumeric() {
        all |= ALNUM | URL64 | TOKEN68 | NAME | WORD;
    }
    if b.is_ascii_digit() {
        all |= DIGIT;
    }
    if b.is_ascii_hexdigit() || b == b'-' {
        all |= HEX;
    }
    if b.is_ascii_uppercase() || b.is_ascii_digit() {
        all |= CAPITAL;
    }
    match b {
        b'_' => all |= URL64 | TOKEN68 | NAME | WORD,
        b'-' => all |= URL64 | TOKEN68 | NAME,
        b'.' => all |= TOKEN68 | NAME,
        b'~' | b'+' | b'/' | b'=' => all |= TOKEN68,
        _ => {}
    }
    let space = b <= b' ' || b == 0x7f;
    if !space && !matches!(b, b'"' | b'\'' | b'`' | b'\\' | b'<' | b'>') {
        all |= URL;
        if !matches!(b, b'&' | b'|') {
            all |= BARE;
        }
    }
    if !matches!(b, b'\r' | b'\n' | b'"' | b'\\') {
        all |= LINE;
    }
    all
}

/// Says whether a byte is in one of the classes.
pub(super) fn is(b: u8, class: Class) -> bool {
    TABLE[usize::from(b)] & class != 0
}

#[cfg(test)]
thread_local! {
    /// Counts the bytes that detectors look at, for tests of how that grows.
    pub(in crate::privacy::redact) static WORK: Cell<usize> = const { Cell::new(0) };
}

/// Notes work; tests count it.
#[inline]
fn worked(_bytes: usize) {
    #[cfg(test)]
    WORK.set(WORK.get() + _bytes);
}

/// Holds a text for the detectors, with what they saw of it.
pub(in crate::privacy::redact) struct Text<'t> {
    pub(super) bytes: &'t [u8],
    /// The run that was seen last, of each class. All places in a run have one end, so a text that is full of
    /// beginnings is gone over once and not once for each of them.
    runs: [Cell<(usize, usize)>; CLASSES],
}

impl<'t> Text<'t> {
    pub(in crate::privacy::redact) fn new(text: &'t str) -> Self {
        Text { bytes: text.as_bytes(), runs: [const { Cell::new((0, 0)) }; CLASSES] }
    }

    /// Gives the byte at a place, or 0 outside of the text.
    pub(super) fn at(&self, place: usize) -> u8 {
        worked(1);
        self.bytes.get(place).copied().unwrap_or(0)
    }

    /// Gives the byte before a place, or 0.
    pub(super) fn before(&self, place: usize) -> u8 {
        place.checked_sub(1).map_or(0, |place| self.at(place))
    }

    /// Says what stands in a place, as far as it is in the text.
    pub(super) fn get(&self, place: Range<usize>) -> &'t [u8] {
        let end = place.end.min(self.bytes.len());
        let found = self.bytes.get(place.start..end).unwrap_or_default();
        worked(found.len());
        found
    }

    /// Says whether these bytes stand at a place, letters in either case.
    pub(super) fn has(&self, place: usize, bytes: &[u8]) -> bool {
        self.get(place..place + bytes.len()).eq_ignore_ascii_case(bytes)
    }

    /// Finds where the bytes of a class end that stand at a place.
    pub(super) fn run(&self, class: Class, from: usize) -> usize {
        let seen = &self.runs[class.trailing_zeros() as usize];
        let (start, end) = seen.get();
        if (start..end).contains(&from) {
            return end;
        }
        let rest = self.bytes.get(from..).unwrap_or_default();
        let end = from + rest.iter().take_while(|b| is(**b, class)).count();
        worked(end - from);
        seen.set((from, end));
        end
    }

    /// Finds where the bytes of a class begin that end at a place; `most` of them are looked at.
    pub(super) fn back(&self, class: Class, to: usize, most: usize) -> usize {
        let before = &self.bytes[to.saturating_sub(most)..to];
        let count = before.iter().rev().take_while(|b| is(**b, class)).count();
        worked(count);
        to - count
    }

    /// Finds the first byte from a place on that is one of those.
    pub(super) fn find(
        &self,
        from: usize,
        mut wanted: impl FnMut(usize, u8) -> bool,
    ) -> Option<usize> {
        let rest = self.bytes.get(from..).unwrap_or_default();
        let found =
            rest.iter().enumerate().find(|(i, b)| wanted(from + i, **b)).map(|(i, _)| from + i);
        worked(found.map_or(rest.len(), |at| at - from));
        found
    }

    /// Says whether no letter or digit stands before a place, but for those of an escape.
    pub(super) fn begins(&self, place: usize) -> bool {
        !self.before(place).is_ascii_alphanumeric() || self.is_escape(place)
    }

    /// Says whether an escape stands before a place: a line feed of JSON or a percent-encoded byte.
    fn is_escape(&self, place: usize) -> bool {
        match self.get(place.saturating_sub(3)..place) {
            [.., b'\\', b'n' | b'r' | b't'] => true,
            [b'%', high, low] => high.is_ascii_hexdigit() && low.is_ascii_hexdigit(),
            _ => false,
        }
    }

    /// Takes the letters of an escape off the beginning of a name, with which the bytes before make one.
    pub(super) fn behind_escape(&self, from: usize) -> usize {
        match self.before(from) {
            b'\\' if self.is_escape(from + 1) => from + 1,
            b'%' if self.is_escape(from + 2) => from + 2,
            _ => from,
        }
    }

    /// Finds the end of the digits at a place.
    pub(super) fn digits(&self, from: usize) -> usize {
        self.run(DIGIT, from)
    }
}
