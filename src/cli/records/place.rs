//! How far a file has been read, and whether it is still the file in which that place was.
//!
//! An inode may come to be another file's, and a file may be emptied and written anew between two looks, past any
//! place that was known in it: so what stood before a place is remembered, as a hash. It knows no paths and no records.

use std::fs::File;
use std::hash::{DefaultHasher, Hasher};
use std::io;
use std::os::unix::fs::FileExt;

use super::backwards::MAX_LINE;

/// Bytes that are read at once.
const BLOCK: usize = 256 << 10;
/// Bytes of a file that are read in one look; a line that is not too long fits in.
const AT_ONCE: u64 = 64 << 20;
/// Bytes before a place that are remembered: a record, with its time, fits in.
const REMEMBERED: u64 = 1 << 10;

/// Remembers how far a file has been read.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::cli) struct Place {
    /// Says where the first line begins that has not been handed out, in bytes.
    next: Mark,
    /// Up to where there is no newline after that.
    searched: Mark,
}

/// Holds an offset in a file, in bytes, and a hash of what stands before it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Mark {
    at: u64,
    hash: u64,
}

impl Place {
    /// Remembers a line's beginning, and up to where its end has been looked for.
    pub(in crate::cli) fn new(file: &File, next: u64, searched: u64) -> io::Result<Self> {
        Ok(Place { next: Mark::new(file, next)?, searched: Mark::new(file, searched)? })
    }

    /// Hands out the whole lines that were added, of the first `length` bytes, without their newlines; `None` for one
    /// that is too long. Begins anew in a file that is not what it was. What comes after the last newline is looked
    /// at again only once its end is there. Returns whether that was all: of very much, only the first part is read.
    pub(in crate::cli) fn read(
        &mut self,
        file: &File,
        length: u64,
        mut each: impl FnMut(Option<&[u8]>),
    ) -> io::Result<bool> {
        self.find_again(file);
        let (mut next, mut at) = (self.next.at, self.searched.at);
        let (all, length) = (length, length.min(at + AT_ONCE));
        let mut block = vec![0; if at < length { BLOCK } else { 0 }];
        while at < length {
            let most = usize::try_from(length - at).unwrap_or(BLOCK).min(BLOCK);
            let read = file.read_at(&mut block[..most], at)?;
            if read == 0 {
                break;
            }
            for newline in memchr::memchr_iter(b'\n', &block[..read]) {
                let end = at + newline as u64;
                match next.checked_sub(at).and_then(|begins| usize::try_from(begins).ok()) {
                    Some(begins) => each(Some(&block[begins..newline])),
                    None => each(line(file, next, end)?.as_deref()),
                }
                next = end + 1;
            }
            at += read as u64;
            *self = Place::new(file, next, at)?;
        }
        Ok(length == all)
    }

    /// Goes back where a line that was not finished has been taken away, and to the beginning where all else has.
    fn find_again(&mut self, file: &File) {
        if !self.searched.holds(file) {
            self.searched = self.next;
            if !self.next.holds(file) {
                *self = Place::default();
            }
        }
    }
}

/// Reads a line that is not in one block; `None` if it is too long.
fn line(file: &File, begins: u64, ends: u64) -> io::Result<Option<Vec<u8>>> {
    let length = usize::try_from(ends - begins).ok().filter(|length| *length <= MAX_LINE);
    let Some(length) = length else { return Ok(None) };
    let mut line = vec![0; length];
    file.read_exact_at(&mut line, begins)?;
    Ok(Some(line))
}

impl Mark {
    fn new(file: &File, at: u64) -> io::Result<Self> {
        if at == 0 {
            return Ok(Mark::default());
        }
        let mut before = vec![0; usize::try_from(at.min(REMEMBERED)).unwrap_or(0)];
        let from = at - before.len() as u64;
        file.read_exact_at(&mut before, from)?;
        let mut hasher = DefaultHasher::new();
        hasher.write(&before);
        Ok(Mark { at, hash: hasher.finish() })
    }

    fn holds(&self, file: &File) -> bool {
        Mark::new(file, self.at).is_ok_and(|now| now == *self)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use proptest::prelude::*;

    use super::*;

    fn read(place: &mut Place, file: &File) -> Vec<Option<String>> {
        let (lines, all) = look(place, file);
        assert!(all);
        lines
    }

    fn look(place: &mut Place, file: &File) -> (Vec<Option<String>>, bool) {
        let mut lines = Vec::new();
        let length = file.metadata().unwrap().len();
        let each = |line: Option<&[u8]>| {
            lines.push(line.map(|line| String::from_utf8_lossy(line).into_owned()));
        };
        let all = place.read(file, length, each).unwrap();
        (lines, all)
    }

    fn some(lines: &[&str]) -> Vec<Option<String>> {
        lines.iter().map(|line| Some((*line).to_owned())).collect()
    }

    #[test]
    fn a_file_that_was_emptied_and_grew_past_the_place_is_read_from_its_beginning() {
        let file = tempfile::tempfile().unwrap();
        let mut place = Place::default();
        file.write_all_at(b"one\ntwo\n", 0).unwrap();
        assert_eq!(read(&mut place, &file), some(&["one", "two"]));
        // A newline stands before the place in each, and the last is no longer than the one before.
        for anew in ["in the middle\n", "six\nten\nthirty\n", "seven\nten\nthree\n"] {
            file.set_len(0).unwrap();
            file.write_all_at(anew.as_bytes(), 0).unwrap();
            assert_eq!(read(&mut place, &file), some(&anew.lines().collect::<Vec<_>>()));
            assert_eq!(read(&mut place, &file), []);
        }
    }

    #[test]
    fn a_line_that_was_cut_off_and_written_anew_is_read_and_none_before_it_again() {
        let file = tempfile::tempfile().unwrap();
        let mut place = Place::default();
        file.write_all_at(b"one\ntorn tw", 0).unwrap();
        assert_eq!(read(&mut place, &file), some(&["one"]));
        file.set_len(4).unwrap();
        assert_eq!(read(&mut place, &file), []);
        file.write_all_at(b"torn tw", 4).unwrap();
        assert_eq!(read(&mut place, &file), []);
        file.write_all_at(b"2\n3\nand more\n", 4).unwrap();
        assert_eq!(read(&mut place, &file), some(&["2", "3", "and more"]));
    }

    #[test]
    fn what_waits_for_its_end_is_not_read_again_and_a_line_may_be_too_long() {
        let mut file = tempfile::tempfile().unwrap();
        let mut place = Place::default();
        let long = vec![b'x'; MAX_LINE + 1];
        file.write_all(&long).unwrap();
        assert_eq!(read(&mut place, &file), []);
        assert_eq!((place.next.at, place.searched.at), (0, long.len() as u64));
        file.write_all(b"\nlast\n").unwrap();
        assert_eq!(read(&mut place, &file), [None, Some("last".to_owned())]);
    }

    #[test]
    fn very_much_is_read_in_parts() {
        let file = tempfile::tempfile().unwrap();
        let mut place = Place::default();
        file.write_all_at(b"one\n", 0).unwrap();
        file.write_all_at(b"\nlast\n", AT_ONCE).unwrap();
        assert_eq!(look(&mut place, &file), (some(&["one"]), false));
        assert_eq!(look(&mut place, &file), (vec![None, Some("last".to_owned())], true));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn lines_are_those_of_the_file_however_it_grew(
            lengths in prop::collection::vec(prop_oneof![0usize..10, 262_000usize..263_000], 0..10),
            cuts in prop::collection::vec(0usize..1_000_000, 0..6),
        ) {
            let lines: Vec<String> = lengths.iter().map(|n| "a".repeat(*n)).collect();
            let text: String = lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(text.len())).collect();
            cuts.push(text.len());
            cuts.sort_unstable();
            let mut file = tempfile::tempfile().unwrap();
            let (mut place, mut all, mut written) = (Place::default(), Vec::new(), 0);
            for cut in cuts {
                file.write_all(&text.as_bytes()[written..cut]).unwrap();
                written = cut;
                all.extend(read(&mut place, &file));
            }
            prop_assert!(all == lines.into_iter().map(Some).collect::<Vec<_>>());
        }
    }
}
