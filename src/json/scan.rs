//! Many bytes at once: what stands where in sixteen of a string and in sixty-four of anything, and what
//! eight digits say.
//!
//! Bits are in the order of the bytes, the first lowest. It knows bytes only: what is inside of a string
//! is for its callers to say.

use wide::i8x16;

/// Says how many bytes of a string are looked at together.
pub(super) const STEP: usize = 16;
/// Says how many bytes are looked at together where only brackets and quotes matter.
pub(super) const BLOCK: usize = 64;

/// Says which of the bytes are control characters that JSON forbids, not ASCII, quotes or backslashes.
#[inline]
pub(super) fn special(bytes: &[u8; STEP]) -> u32 {
    let bytes = vector(bytes);
    // Bytes that are not ASCII are negative.
    let special = is(bytes, b'"') | is(bytes, b'\\') | bytes.simd_lt(i8x16::splat(0x20));
    special.to_bitmask()
}

/// Gives what eight decimal digits say, if that is what the bytes are.
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

/// Says which of the bytes are quotes, and which are backslashes.
#[inline]
pub(super) fn quotes_and_backslashes(bytes: &[u8; BLOCK]) -> (u64, u64) {
    (places(bytes, |bytes| is(bytes, b'"')), places(bytes, |bytes| is(bytes, b'\\')))
}

/// Says which of the bytes are brackets, of all four kinds.
#[inline]
pub(super) fn brackets(bytes: &[u8; BLOCK]) -> u64 {
    places(bytes, |bytes| {
        // The brackets of arrays and of objects differ in this bit.
        let folded = bytes | i8x16::splat(0x20);
        is(folded, b'{') | is(folded, b'}')
    })
}

/// Says which of the bytes are control characters that JSON forbids in strings.
#[inline]
pub(super) fn controls(bytes: &[u8; BLOCK]) -> u64 {
    let control = |bytes: i8x16| is(bytes & i8x16::splat(!0x1f), 0);
    let mut any = i8x16::splat(0);
    for bytes in bytes.as_chunks::<STEP>().0 {
        any |= control(vector(bytes));
    }
    // Machines write few.
    if any.to_bitmask() == 0 { 0 } else { places(bytes, control) }
}

/// Says which of the bytes are the letter of a `\u`, if they are escaped.
pub(super) fn unicode(bytes: &[u8; BLOCK]) -> u64 {
    places(bytes, |bytes| is(bytes, b'u'))
}

/// Says which of the bytes are hexadecimal digits, in either case.
pub(super) fn hex_digits(bytes: &[u8; BLOCK]) -> u64 {
    let between = |bytes: i8x16, from: u8, to: u8| {
        let (below, above) = (from.cast_signed() - 1, to.cast_signed() + 1);
        bytes.simd_gt(i8x16::splat(below)) & bytes.simd_lt(i8x16::splat(above))
    };
    places(bytes, |bytes| {
        let folded = bytes | i8x16::splat(0x20);
        between(bytes, b'0', b'9') | between(folded, b'a', b'f')
    })
}

/// Says where in a block that is found.
#[inline]
fn places(bytes: &[u8; BLOCK], find: impl Fn(i8x16) -> i8x16) -> u64 {
    let mut places = 0;
    for (i, bytes) in bytes.as_chunks::<STEP>().0.iter().enumerate() {
        places |= u64::from(find(vector(bytes)).to_bitmask()) << (i * STEP);
    }
    places
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
        fn every_byte_has_its_bit(text in "[\"\\\\{}\\[\\] -~éA-Ga-gu\u{0}-\u{20}\u{7f}]{64}", any in any::<[u8; BLOCK]>()) {
            for bytes in [text.as_bytes().first_chunk().unwrap(), &any] {
                let (quotes, backslashes) = quotes_and_backslashes(bytes);
                prop_assert_eq!(quotes, places(bytes, |b| b == b'"'));
                prop_assert_eq!(backslashes, places(bytes, |b| b == b'\\'));
                prop_assert_eq!(brackets(bytes), places(bytes, |b| b"{}[]".contains(&b)));
                prop_assert_eq!(controls(bytes), places(bytes, |b| b < 0x20));
                prop_assert_eq!(unicode(bytes), places(bytes, |b| b == b'u'));
                prop_assert_eq!(hex_digits(bytes), places(bytes, |b| b.is_ascii_hexdigit()));
                let special = |b: u8| !b.is_ascii() || b < 0x20 || b == b'"' || b == b'\\';
                for step in bytes.as_chunks().0 {
                    prop_assert_eq!(u64::from(super::special(step)), places(step, special));
                }
            }
        }
    }
}
