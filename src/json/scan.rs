//! Many bytes at once: what stands where in sixteen of a string and in sixty-four of anything, and what
//! eight digits say.
//!
//! Bits are in the order of the bytes, the first lowest. It knows bytes only: what is inside of a string
//! is for its callers to say.

use wide::i8x16;

/// How many bytes of a string are looked at together.
pub(super) const STEP: usize = 16;
/// How many bytes are looked at together where only brackets and quotes matter.
pub(super) const BLOCK: usize = 64;

/// Where the bytes stand that decide where a value ends, and those that no string may hold.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Block {
    pub(super) quotes: u64,
    pub(super) backslashes: u64,
    /// All four kinds.
    pub(super) brackets: u64,
    /// Control characters that JSON forbids in strings.
    pub(super) controls: u64,
}

/// Which of the bytes are control characters that JSON forbids, not ASCII, quotes or backslashes.
#[inline]
pub(super) fn special(bytes: &[u8; STEP]) -> u32 {
    let bytes = vector(bytes);
    // Bytes that are not ASCII are negative.
    let special = is(bytes, b'"') | is(bytes, b'\\') | bytes.simd_lt(i8x16::splat(0x20));
    special.to_bitmask()
}

/// What eight decimal digits say, if that is what the bytes are.
#[inline]
pub(super) fn eight_digits(bytes: [u8; 8]) -> Option<u64> {
    /// One in each byte; the bytes, and the pairs of bytes, with an even place.
    const EACH: u64 = 0x0101_0101_0101_0101;
    const EVEN: u64 = 0x00ff_00ff_00ff_00ff;
    const FIRST: u64 = 0x0000_ffff_0000_ffff;
    let text = u64::from_le_bytes(bytes);
    let digits = text ^ (EACH * u64::from(b'0'));
    // A digit is below ten: that, and six more, is below sixteen.
    if (digits | digits.wrapping_add(EACH * 6)) & (EACH * 0xf0) != 0 {
        return None;
    }
    // The first digit, which counts most, is lowest: pairs of one digit become one of two, and so on.
    let twos = (digits * 10 + (digits >> 8)) & EVEN;
    let fours = (twos * 100 + (twos >> 16)) & FIRST;
    Some((fours * 10_000 + (fours >> 32)) & u64::from(u32::MAX))
}

impl Block {
    #[inline]
    pub(super) fn of(bytes: &[u8; BLOCK]) -> Self {
        let mut block = Block::default();
        let (steps, _) = bytes.as_chunks::<STEP>();
        for (i, bytes) in steps.iter().enumerate() {
            let bytes = vector(bytes);
            // The brackets of arrays and of objects differ in this bit.
            let folded = bytes | i8x16::splat(0x20);
            let place = |found: i8x16| u64::from(found.to_bitmask()) << (i * STEP);
            block.quotes |= place(is(bytes, b'"'));
            block.backslashes |= place(is(bytes, b'\\'));
            block.brackets |= place(is(folded, b'{') | is(folded, b'}'));
            block.controls |= place(is(bytes & i8x16::splat(!0x1f), 0));
        }
        block
    }
}

/// Which of the bytes are hexadecimal digits, in either case.
pub(super) fn hex_digits(bytes: &[u8; BLOCK]) -> u64 {
    let mut digits = 0;
    for (i, bytes) in bytes.as_chunks().0.iter().enumerate() {
        let bytes = vector(bytes);
        let folded = bytes | i8x16::splat(0x20);
        let between = |bytes: i8x16, from: i8, to: i8| {
            bytes.simd_gt(i8x16::splat(from - 1)) & bytes.simd_lt(i8x16::splat(to + 1))
        };
        let found =
            between(bytes, b'0' as i8, b'9' as i8) | between(folded, b'a' as i8, b'f' as i8);
        digits |= u64::from(found.to_bitmask()) << (i * STEP);
    }
    digits
}

#[inline]
fn vector(bytes: &[u8; STEP]) -> i8x16 {
    i8x16::new(bytes.map(u8::cast_signed))
}

#[inline]
fn is(bytes: i8x16, byte: u8) -> i8x16 {
    bytes.simd_eq(i8x16::splat(byte.cast_signed()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn places(bytes: &[u8], wanted: impl Fn(u8) -> bool) -> u64 {
        bytes.iter().enumerate().map(|(i, b)| u64::from(wanted(*b)) << i).sum()
    }

    proptest! {
        #[test]
        fn eight_digits_say_what_they_say(
            digits in "[0-9]{8}|[0-:/]{8}",
            (at, other) in (0_usize..8, any::<u8>()),
        ) {
            let mut bytes: [u8; 8] = digits.as_bytes().try_into().unwrap();
            prop_assert_eq!(super::eight_digits(bytes), digits.parse().ok());
            bytes[at] = other;
            let said = std::str::from_utf8(&bytes).ok().and_then(|digits| digits.parse().ok());
            // A sign is no digit.
            let digits = bytes.iter().all(u8::is_ascii_digit);
            prop_assert_eq!(super::eight_digits(bytes), said.filter(|_| digits));
        }

        #[test]
        fn every_byte_has_its_bit(text in "[\"\\\\{}\\[\\] -~éA-Ga-g\u{0}-\u{20}\u{7f}]{64}", any in any::<[u8; BLOCK]>()) {
            for bytes in [text.as_bytes().first_chunk().unwrap(), &any] {
                let block = Block::of(bytes);
                prop_assert_eq!(block.quotes, places(bytes, |b| b == b'"'));
                prop_assert_eq!(block.backslashes, places(bytes, |b| b == b'\\'));
                prop_assert_eq!(block.brackets, places(bytes, |b| b"{}[]".contains(&b)));
                prop_assert_eq!(block.controls, places(bytes, |b| b < 0x20));
                prop_assert_eq!(hex_digits(bytes), places(bytes, |b| b.is_ascii_hexdigit()));
                let special = |b: u8| !b.is_ascii() || b < 0x20 || b == b'"' || b == b'\\';
                for step in bytes.as_chunks().0 {
                    prop_assert_eq!(u64::from(super::special(step)), places(step, special));
                }
            }
        }
    }
}
