//! Reads the lines of a file from its end, in bounded memory.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// The longest line that is read, in bytes; files are rotated at 16 MiB.
pub(in crate::cli) const MAX_LINE: usize = 32 << 20;
/// Bytes that are read at once, at first.
const BLOCK: u64 = 64 << 10;

/// The lines of a file, last first.
pub(in crate::cli) struct Backwards<'a> {
    file: &'a File,
    /// Counts the bytes that are not read yet.
    before: u64,
    /// Holds bytes that are read and not handed out: they end where the last line handed out began.
    rest: Vec<u8>,
    block: u64,
    /// Lines that were too long and are left out.
    pub(in crate::cli) too_long: u64,
}

/// Holds a line without its newline, and where it begins, in bytes.
pub(in crate::cli) struct Line {
    pub(in crate::cli) begins: u64,
    /// `None` if it is too long.
    pub(in crate::cli) text: Option<Vec<u8>>,
}

impl<'a> Backwards<'a> {
    /// Those of its first `length` bytes. What comes after the last newline is a line, too.
    pub(in crate::cli) fn new(file: &'a File, length: u64) -> Self {
        Backwards { file, before: length, rest: Vec::new(), block: BLOCK, too_long: 0 }
    }

    /// Gives the next line before, without its newline; `None` at the beginning of the file. Counts and leaves out
    /// what is too long.
    pub(in crate::cli) fn line(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            match self.any_line()? {
                None => return Ok(None),
                Some(Line { text: Some(text), .. }) => return Ok(Some(text)),
                Some(_) => self.too_long += 1,
            }
        }
    }

    /// Gives the next line before, which may be too long.
    pub(in crate::cli) fn any_line(&mut self) -> io::Result<Option<Line>> {
        let mut searched = 0;
        let mut long = false;
        loop {
            let unsearched = self.rest.len() - searched;
            if let Some(at) = memchr::memrchr(b'\n', &self.rest[..unsearched]) {
                let line = self.rest.split_off(at + 1);
                self.rest.truncate(at);
                self.block = BLOCK;
                long |= line.len() > MAX_LINE;
                let begins = self.before + at as u64 + 1;
                return Ok(Some(Line { begins, text: (!long).then_some(line) }));
            }
            searched = self.rest.len();
            if searched > MAX_LINE {
                long = true;
                self.rest.clear();
                searched = 0;
            }
            if self.before == 0 {
                let last = std::mem::take(&mut self.rest);
                let line = Line { begins: 0, text: (!long).then_some(last) };
                return Ok((long || searched > 0).then_some(line));
            }
            self.read_more()?;
        }
    }

    fn read_more(&mut self) -> io::Result<()> {
        let size = self.block.min(self.before);
        let mut block = vec![0; usize::try_from(size).unwrap_or(0)];
        self.file.read_exact_at(&mut block, self.before - size)?;
        self.before -= size;
        block.append(&mut self.rest);
        self.rest = block;
        // A long line is not moved too often.
        self.block = (self.block * 2).min(4 << 20);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use proptest::prelude::*;

    use super::*;

    /// The lines, and how many were too long.
    fn lines(text: &[u8]) -> (Vec<Vec<u8>>, u64) {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(text).unwrap();
        let mut back = Backwards::new(&file, text.len() as u64);
        let mut lines = Vec::new();
        while let Some(line) = back.line().unwrap() {
            lines.push(line);
        }
        lines.reverse();
        (lines, back.too_long)
    }

    #[test]
    fn a_line_that_is_too_long_is_left_out_and_those_around_it_stay() {
        let text = [b"first\n", vec![b'x'; MAX_LINE + (9 << 20)].as_slice(), b"\nlast\n"].concat();
        assert!(lines(&text) == (vec![b"first".to_vec(), b"last".to_vec(), Vec::new()], 1));
        let text = [vec![b'x'; MAX_LINE + (9 << 20)].as_slice(), b"\nlast"].concat();
        assert!(lines(&text) == (vec![b"last".to_vec()], 1));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn lines_are_those_of_the_file(
            lengths in prop::collection::vec(prop_oneof![0usize..10, 65_000usize..66_000], 0..20),
        ) {
            let text: Vec<u8> =
                lengths.iter().flat_map(|n| [vec![b'a'; *n], vec![b'\n']].concat()).collect();
            let mut expected: Vec<_> = text.split(|b| *b == b'\n').map(<[u8]>::to_vec).collect();
            if expected.first().is_some_and(Vec::is_empty) {
                expected.remove(0);
            }
            prop_assert!(lines(&text) == (expected, 0));
        }
    }
}
