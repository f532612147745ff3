//! Searches a text for many exact byte strings at once, none of them short.
//!
//! It steps from window to window as Wu and Manber do ("A fast algorithm for multi-pattern searching", 1994): three
//! bytes at the end of a window tell how far the next one can be, mostly six bytes further. So many strings cost
//! little more than one, where an automaton looks at every byte and outgrows the caches.

/// The shortest string, in bytes: the length of a window.
pub(super) const SHORTEST: usize = 8;
/// Bytes that tell how far to step.
const BLOCK: usize = 3;
const FAR: u8 = (SHORTEST - BLOCK + 1) as u8;
/// Says how much of a string is compared wherever it may stand, in bytes. The rest of a long one is compared a limited
/// number of times, after which its beginning counts for all of it: periodic strings and texts cost no more.
const HEAD: usize = 128;
const LONG_COMPARES: usize = 256;

/// Holds strings, ready to be searched for.
pub(super) struct Needles {
    /// Sorted by the block that ends their first window.
    all: Vec<(u16, Box<[u8]>)>,
    /// Says how far to step behind a block, by its hash; 0 where a string may begin with the window.
    steps: Vec<u8>,
    /// Says where in `all` those of a block begin.
    begins: Vec<u16>,
    shift: u32,
}

impl Needles {
    /// Takes strings; shorter ones than [`SHORTEST`], and more than 65,535, are left out.
    pub(super) fn new(needles: impl IntoIterator<Item = Vec<u8>>) -> Self {
        let long = needles.into_iter().filter(|needle| needle.len() >= SHORTEST);
        let needles: Vec<Vec<u8>> = long.take(usize::from(u16::MAX)).collect();
        // A quarter of the table may be taken, but it is to fit into the nearest cache.
        let size =
            (needles.len() * usize::from(FAR) * 4).next_power_of_two().clamp(1 << 8, 1 << 15);
        let shift = 32 - size.trailing_zeros();
        let mut steps = vec![FAR; size];
        for needle in &needles {
            for (i, block) in needle[..SHORTEST].windows(BLOCK).enumerate() {
                let step = &mut steps[usize::from(hash(block, shift))];
                *step = (*step).min(FAR - 1 - i as u8);
            }
        }
        let hashed = needles.into_iter().map(|needle| {
            let block = hash(&needle[SHORTEST - BLOCK..SHORTEST], shift);
            (block, needle.into_boxed_slice())
        });
        let mut all: Vec<(u16, Box<[u8]>)> = hashed.collect();
        all.sort();
        let mut begins = vec![0; size];
        for (i, (block, _)) in all.iter().enumerate().rev() {
            begins[usize::from(*block)] = i as u16;
        }
        Needles { all, steps, begins, shift }
    }

    /// Shows where any of them stands in a text: begin and end, by their begin. Of those that begin at one place the
    /// longest is shown.
    pub(super) fn find<'n>(&'n self, text: &'n [u8]) -> impl Iterator<Item = (usize, usize)> + 'n {
        let (mut end, mut compares) = (SHORTEST, LONG_COMPARES);
        std::iter::from_fn(move || {
            while let Some(block) = text.get(end.wrapping_sub(BLOCK)..end) {
                let block = hash(block, self.shift);
                let step = self.steps[usize::from(block)];
                if step > 0 {
                    end += usize::from(step);
                    continue;
                }
                let from = end - SHORTEST;
                end += 1;
                if let Some(length) = self.at(&text[from..], block, &mut compares) {
                    return Some((from, from + length));
                }
            }
            None
        })
    }

    /// Gives the length of the longest string that stands at the beginning of a text.
    fn at(&self, text: &[u8], block: u16, compares: &mut usize) -> Option<usize> {
        let those = &self.all[usize::from(self.begins[usize::from(block)])..];
        let those = those.iter().take_while(|(of, _)| *of == block);
        let fits = those.filter_map(|(_, needle)| {
            let head = &needle[..needle.len().min(HEAD)];
            if !text.starts_with(head) {
                return None;
            }
            if needle.len() == head.len() {
                return Some(needle.len());
            }
            match compares.checked_sub(1) {
                Some(left) => *compares = left,
                None => return Some(head.len()),
            }
            text.starts_with(needle).then_some(needle.len())
        });
        fits.max()
    }
}

fn hash(block: &[u8], shift: u32) -> u16 {
    let [a, b, c] = [0, 1, 2].map(|i| u32::from(block[i]));
    ((a | b << 8 | c << 16).wrapping_mul(0x9e37_79b1) >> shift) as u16
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The rule as it is said: at every place the longest that stands there.
    fn said(needles: &[Vec<u8>], text: &[u8]) -> Vec<(usize, usize)> {
        let longest = |from: usize| {
            let there =
                needles.iter().filter(|n| n.len() >= SHORTEST && text[from..].starts_with(n));
            there.map(|n| (from, from + n.len())).max()
        };
        (0..text.len()).filter_map(longest).collect()
    }

    proptest! {
        #[test]
        fn it_finds_what_the_rule_says(
            needles in proptest::collection::vec("[ab]{6,20}|[a-d]{8,10}", 0..40),
            text in "[ab]{0,200}|[a-d]{0,400}",
            planted in "[a-z]{0,12}",
        ) {
            let needles: Vec<Vec<u8>> = needles.into_iter().map(String::into_bytes).collect();
            let planted = needles.first().map_or(Vec::new(), |first| [planted.as_bytes(), first, planted.as_bytes()].concat());
            let text = [text.as_bytes(), &planted].concat();
            let found: Vec<_> = Needles::new(needles.clone()).find(&text).collect();
            prop_assert_eq!(found, said(&needles, &text));
        }
    }

    #[test]
    fn a_long_string_that_nearly_stands_everywhere_costs_little() {
        let mut needle = b"ab".repeat(2000);
        needle.push(b'c');
        let text = b"ab".repeat(1 << 15);
        // Its beginning counts for it, after a while.
        let needles = Needles::new([needle]);
        let first = needles.find(&text).next();
        assert_eq!(first, Some((LONG_COMPARES * 2, LONG_COMPARES * 2 + HEAD)));
    }
}
