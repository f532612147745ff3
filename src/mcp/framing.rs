//! Newline framing of the stdio transport: bytes in at any boundary, lines out.
//!
//! Splits on 0x0A and on nothing else. A line inside one chunk is handed on where it stands; only what
//! a chunk leaves open is copied, and of a line longer than the limit only its head and its last
//! bytes. After a loss of observation the next line is marked: it may lack its beginning.

use super::partial::{Cut, Partial};

/// One line without its newline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// The line, or its head if it was cut.
    pub text: &'a [u8],
    /// Holds what is known of the rest of a line that was too long.
    pub cut: Option<Cut<'a>>,
    /// The first line after a loss: its beginning may be missing.
    pub torn: bool,
    /// Its newline came. Without one it is what its sender left, maybe in the middle of it.
    pub ended: bool,
}

/// The framing state of one direction.
#[derive(Debug, Default)]
pub struct Lines {
    /// The line in progress.
    line: Partial,
    torn: bool,
}

impl Lines {
    /// Takes bytes in and hands every line that ends in them to `each`. `max` is the longest line
    /// that is handed on whole.
    pub fn push(&mut self, chunk: &[u8], max: usize, mut each: impl FnMut(Line<'_>)) {
        let mut start = 0;
        for end in memchr::memchr_iter(b'\n', chunk) {
            let line = &chunk[start..end];
            start = end + 1;
            if self.line.is_empty() && line.len() <= max {
                let torn = std::mem::take(&mut self.torn);
                each(Line { text: line, cut: None, torn, ended: true });
            } else {
                self.line.push(line, max);
                self.close(true, &mut each);
            }
        }
        self.line.push(&chunk[start..], max);
    }

    /// The line in progress was not observed whole: `skipped` bytes of it are missing and `tail` is
    /// its end, up to but without its newline.
    pub fn cut(&mut self, skipped: u64, tail: &[u8], max: usize, each: impl FnMut(Line<'_>)) {
        self.skip(skipped, tail, max);
        self.close(true, each);
    }

    /// The same of a line that has not ended: `tail` is the last that came of it.
    pub fn skip(&mut self, skipped: u64, tail: &[u8], max: usize) {
        self.line.skip(skipped);
        self.line.push(tail, max);
    }

    /// Observation was lost: the line in progress is gone, and the next one may lack its beginning.
    pub fn gap(&mut self) {
        self.line.clear();
        self.torn = true;
    }

    /// The direction ended: what is left is the last line.
    pub fn end(&mut self, each: impl FnMut(Line<'_>)) {
        if !self.line.is_empty() {
            self.close(false, each);
        }
    }

    fn close(&mut self, ended: bool, mut each: impl FnMut(Line<'_>)) {
        let torn = std::mem::take(&mut self.torn);
        each(Line { text: self.line.text(), cut: self.line.cut(), torn, ended });
        self.line.clear();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::mcp::TAIL;

    type Owned = (Vec<u8>, Option<(u64, Vec<u8>)>, bool);

    fn owned(line: Line<'_>) -> Owned {
        (line.text.to_vec(), line.cut.map(|c| (c.size, c.tail.to_vec())), line.torn)
    }

    fn frame(chunks: &[&[u8]], max: usize) -> Vec<Owned> {
        let (mut lines, mut out) = (Lines::default(), Vec::new());
        for chunk in chunks {
            lines.push(chunk, max, |line| out.push(owned(line)));
        }
        lines.end(|line| out.push(owned(line)));
        out
    }

    #[test]
    fn only_the_newline_byte_ends_a_line() {
        let lines = frame(&["a\r\n\n\u{2028}b\0c\x0b\x0c\u{85}\nlast".as_bytes()], 100);
        let texts: Vec<_> = lines.iter().map(|l| String::from_utf8_lossy(&l.0)).collect();
        assert_eq!(texts, ["a\r", "", "\u{2028}b\0c\x0b\x0c\u{85}", "last"]);
    }

    #[test]
    fn an_over_long_line_keeps_its_head_its_tail_and_its_size() {
        let long: Vec<u8> = (0..20_000u32).map(|i| b'a' + (i % 26) as u8).collect();
        let mut input = long.clone();
        input.extend_from_slice(b"\nnext\n");
        let lines = frame(&[&input], 100);
        assert_eq!(lines[0].0, long[..100]);
        assert_eq!(lines[0].1, Some((20_000, long[20_000 - TAIL..].to_vec())));
        assert_eq!(lines[1], (b"next".to_vec(), None, false));
    }

    #[test]
    fn bytes_that_were_not_copied_count_in_the_size_and_break_the_tail() {
        let (mut lines, mut out) = (Lines::default(), Vec::new());
        lines.push(b"x\n{head", 100, |line| out.push(owned(line)));
        lines.cut(1000, b"tail}", 100, |line| out.push(owned(line)));
        lines.push(b"y\n", 100, |line| out.push(owned(line)));
        assert_eq!(out[1], (b"{head".to_vec(), Some((1010, b"tail}".to_vec())), false));
        assert_eq!(out[2], (b"y".to_vec(), None, false));
        lines.push(b"{he", 100, |_| ());
        lines.cut(0, b"ad}", 100, |line| out.push(owned(line)));
        assert_eq!(out[3], (b"{head}".to_vec(), None, false));
    }

    #[test]
    fn a_gap_drops_the_line_in_progress_and_marks_the_next() {
        let (mut lines, mut out) = (Lines::default(), Vec::new());
        lines.push(b"begun", 100, |_| panic!("no newline yet"));
        lines.gap();
        lines.push(b"rest\nwhole\n", 100, |line| out.push(owned(line)));
        assert_eq!(out[0], (b"rest".to_vec(), None, true));
        assert_eq!(out[1], (b"whole".to_vec(), None, false));
    }

    proptest! {
        #[test]
        fn read_boundaries_do_not_matter(
            bytes in prop::collection::vec(prop_oneof![Just(b'\n'), any::<u8>()], 0..300),
            cuts in prop::collection::vec(0usize..300, 0..20),
            max in 1usize..40,
        ) {
            let mut cuts: Vec<_> = cuts.into_iter().map(|c| c.min(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let chunks: Vec<_> = cuts.windows(2).map(|w| &bytes[w[0]..w[1]]).collect();
            prop_assert_eq!(frame(&chunks, max), frame(&[&bytes], max));
        }

        #[test]
        fn nothing_grows_past_its_bound(
            sizes in prop::collection::vec((0usize..20_000, any::<bool>()), 0..8),
            max in 1usize..5000,
        ) {
            let mut lines = Lines::default();
            for (size, ends) in sizes {
                let mut chunk = vec![b'x'; size];
                chunk.extend(ends.then_some(b'\n'));
                lines.push(&chunk, max, |line| assert!(line.text.len() <= max));
                prop_assert!(lines.line.held() <= max + 2 * TAIL);
            }
        }
    }
}
