//! Cuts what is too long to be observed: of a line, or of a body, the beginning is kept up to a limit, then
//! how much was left out is told and its last bytes, where peers often put `id` and `error`.
//!
//! It looks for line ends and for nothing else. Bytes that fit cost one search from their end.

use memchr::{memchr, memchr2, memrchr, memrchr2};

use super::OverflowTail;

/// Says what ends a unit, which is what is cut when it is too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::receivers) enum Ends {
    /// A line feed.
    Lines,
    /// A line feed or a carriage return.
    EventLines,
    /// Nothing: all bytes are one unit.
    Never,
}

/// Carries one piece of what is observed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::receivers) enum Piece<'a> {
    /// Bytes as they came; never empty.
    Bytes(&'a [u8]),
    /// The end of a unit that was too long.
    Cut {
        /// Says how many bytes are left out here.
        skipped: u64,
        /// The bytes that come after those, up to the end of the unit.
        tail: &'a [u8],
        /// Holds what ended it; empty if it is at the end of all.
        end: &'a [u8],
    },
}

/// Cuts the units of one stream of bytes.
#[derive(Debug)]
pub(in crate::receivers) struct Cutter {
    ends: Ends,
    /// The longest unit that is kept whole, in bytes.
    max: usize,
    /// Bytes of the current unit that are kept.
    used: usize,
    beyond: OverflowTail,
}

impl Ends {
    fn first(self, bytes: &[u8]) -> Option<usize> {
        match self {
            Ends::Lines => memchr(b'\n', bytes),
            Ends::EventLines => memchr2(b'\n', b'\r', bytes),
            Ends::Never => None,
        }
    }

    fn last(self, bytes: &[u8]) -> Option<usize> {
        match self {
            Ends::Lines => memrchr(b'\n', bytes),
            Ends::EventLines => memrchr2(b'\n', b'\r', bytes),
            Ends::Never => None,
        }
    }
}

impl Cutter {
    /// Keeps units of up to `max` bytes whole.
    pub(in crate::receivers) fn new(ends: Ends, max: usize) -> Self {
        Cutter { ends, max, used: 0, beyond: OverflowTail::default() }
    }

    /// Says whether nothing of so many bytes would have to be left out, wherever units end among them.
    pub(in crate::receivers) fn has_room(&self, length: usize) -> bool {
        self.used + length <= self.max
    }

    /// Takes bytes of which nothing has to be left out, and says before which of them no unit ends. `None` if
    /// they have to be [`cut`](Cutter::cut).
    pub(in crate::receivers) fn whole(&mut self, bytes: &[u8]) -> Option<usize> {
        if !self.has_room(bytes.len()) {
            return None;
        }
        match self.ends.last(bytes) {
            Some(end) => {
                self.used = bytes.len() - end - 1;
                Some(0)
            }
            None => {
                self.used += bytes.len();
                Some(bytes.len())
            }
        }
    }

    /// Takes bytes and hands on what is observed of them.
    pub(in crate::receivers) fn cut(&mut self, bytes: &[u8], mut each: impl FnMut(Piece<'_>)) {
        // Everything before `from` is handed on or left out; the unit begins or goes on at `start`.
        let (mut from, mut start) = (0, 0);
        while start < bytes.len() {
            let end = self.ends.first(&bytes[start..]).map_or(bytes.len(), |at| start + at);
            let kept = start + (end - start).min(self.max - self.used);
            self.used += kept - start;
            if kept < end {
                pass(&bytes[from..kept], &mut each);
                self.beyond.add(&bytes[kept..end]);
                from = end;
            }
            if end == bytes.len() {
                break;
            }
            start = end + 1;
            if self.end_unit(&bytes[end..start], &mut each) {
                from = start;
            }
        }
        pass(&bytes[from..], &mut each);
    }

    /// Takes the end of all.
    pub(in crate::receivers) fn end(&mut self, mut each: impl FnMut(Piece<'_>)) {
        self.end_unit(&[], &mut each);
    }

    /// The unit ended; `true` if something of it was left out, which is told with its end.
    fn end_unit(&mut self, end: &[u8], each: &mut impl FnMut(Piece<'_>)) -> bool {
        self.used = 0;
        self.beyond.end(|skipped, tail| each(Piece::Cut { skipped, tail, end }))
    }
}

fn pass(bytes: &[u8], each: &mut impl FnMut(Piece<'_>)) {
    if !bytes.is_empty() {
        each(Piece::Bytes(bytes));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::mcp::TAIL;

    /// Gives what is observed of bytes that come in these pieces: kept bytes, and how much was left out where.
    fn observed(ends: Ends, max: usize, pieces: &[&[u8]]) -> (Vec<u8>, Vec<(usize, u64)>) {
        let (mut cutter, mut kept, mut left_out) = (Cutter::new(ends, max), Vec::new(), Vec::new());
        let mut take = |piece: Piece<'_>| match piece {
            Piece::Bytes(bytes) => kept.extend_from_slice(bytes),
            Piece::Cut { skipped, tail, end } => {
                left_out.push((kept.len(), skipped));
                kept.extend_from_slice(tail);
                kept.extend_from_slice(end);
            }
        };
        for piece in pieces {
            match cutter.whole(piece) {
                Some(_) => take(Piece::Bytes(piece)),
                None => cutter.cut(piece, &mut take),
            }
        }
        cutter.end(&mut take);
        (kept, left_out)
    }

    #[test]
    fn of_a_long_unit_beginning_and_end_are_kept() {
        let long: Vec<u8> = (0..10_000u32).map(|n| b'a' + (n % 26) as u8).collect();
        let bytes = [b"x\n".as_slice(), &long, b"\ny"].concat();
        let kept = [b"x\n".as_slice(), &long[..100], &long[10_000 - TAIL..], b"\ny"].concat();
        let left_out = vec![(102, (10_000 - 100 - TAIL) as u64)];
        assert_eq!(observed(Ends::Lines, 100, &[&bytes]), (kept, left_out));
        let (kept, left_out) = observed(Ends::Never, 100, &[&bytes]);
        assert_eq!((kept.len(), left_out.len()), (100 + TAIL, 1));
    }

    #[test]
    fn bytes_that_fit_are_known_to_end_no_unit_or_to_end_one() {
        let mut cutter = Cutter::new(Ends::Lines, 4);
        assert_eq!(cutter.whole(b"ab"), Some(2));
        assert_eq!(cutter.whole(b"\rd"), Some(2));
        assert_eq!(cutter.whole(b"\n"), None, "the line end counts until it is found");
        let mut cutter = Cutter::new(Ends::EventLines, 4);
        assert_eq!(
            (cutter.whole(b"a\rb"), cutter.has_room(3), cutter.has_room(4)),
            (Some(0), true, false)
        );
    }

    proptest! {
        #[test]
        fn nothing_goes_by_untold_and_boundaries_decide_nothing(
            bytes in prop::collection::vec(prop_oneof![Just(b'\n'), Just(b'\r'), any::<u8>()], 0..400),
            size in 1usize..50,
            max in 1usize..60,
            ends in prop::sample::select(vec![Ends::Lines, Ends::EventLines, Ends::Never]),
        ) {
            let (kept, left_out) = observed(ends, max, &[&bytes]);
            let skipped: u64 = left_out.iter().map(|(_, skipped)| skipped).sum();
            prop_assert_eq!(kept.len() as u64 + skipped, bytes.len() as u64);
            prop_assert_eq!(observed(ends, max, &bytes.chunks(size).collect::<Vec<_>>()), (kept, left_out));
        }
    }
}
