//! Many bytes at once: what stands where in sixteen of a string, and in sixty-four of anything.
//!
//! Bits are in the order of the bytes, the first lowest. It knows bytes only: what is inside of a string
//! is for its callers to say.

use wide::i8x16;

/// How many bytes of a string are looked at together.
pub(super) const STEP: usize = 16;
/// How many bytes are looked at together where only brackets and quotes matter.
pub(super) const BLOCK: usize = 64;

/// Where the bytes stand that decide where a value ends.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Block {
    pub(super) quotes: u64,
    pub(super) backslashes: u64,
    /// All four kinds.
    pub(super) brackets: u64,
}

/// Which of the bytes are not printable ASCII, or are quotes or backslashes.
#[inline]
pub(super) fn special(bytes: &[u8; STEP]) -> u32 {
    let bytes = vector(bytes);
    // Bytes that are not ASCII are negative.
    let special = is(bytes, b'"') | is(bytes, b'\\') | bytes.simd_lt(i8x16::splat(0x20));
    special.to_bitmask()
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
        }
        block
    }
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
        fn every_byte_has_its_bit(text in "[\"\\\\{}\\[\\] -~é\u{0}-\u{20}\u{7f}]{64}", any in any::<[u8; BLOCK]>()) {
            for bytes in [text.as_bytes().first_chunk().unwrap(), &any] {
                let block = Block::of(bytes);
                prop_assert_eq!(block.quotes, places(bytes, |b| b == b'"'));
                prop_assert_eq!(block.backslashes, places(bytes, |b| b == b'\\'));
                prop_assert_eq!(block.brackets, places(bytes, |b| b"{}[]".contains(&b)));
                let special = |b: u8| !b.is_ascii() || b < 0x20 || b == b'"' || b == b'\\';
                for step in bytes.as_chunks().0 {
                    prop_assert_eq!(u64::from(super::special(step)), places(step, special));
                }
            }
        }
    }
}
