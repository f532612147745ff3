//! Defines what the two relay threads tell the observer: the records of this tap's queue.

use memchr::memchr_iter;

use super::Direction;
use crate::receivers::tap;

/// The queue of a stdio tap.
pub(super) type Queue = tap::Queue<Note>;
/// A stretch of both directions.
#[cfg(test)]
pub(super) type Held = tap::Held<Note>;
/// One record with its bytes: those of [`Kind::Bytes`], the tail of [`Kind::Cut`], what was done by
/// [`Kind::Edited`], else none.
pub type Event<'a> = tap::Event<'a, Note>;
/// The right to hand over.
pub(super) type Handing<'a> = tap::Handing<'a, Note>;

/// Says which way something happened, and what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Note {
    /// Says which way.
    pub direction: Direction,
    /// Names what happened.
    pub kind: Kind,
}

/// Names what happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Bytes as they were read. The first `plain` of them are known to hold no newline.
    Bytes {
        /// Saves looking again.
        plain: usize,
    },
    /// A line ended that was too long: `skipped` bytes are left out here, the record's own bytes come
    /// after them.
    Cut {
        /// Says how many bytes were left out.
        skipped: u64,
        /// The line had a newline, which is not handed over.
        newline: bool,
    },
    /// There was no room.
    Gap(Skipped),
    /// The line that comes next is a request that was edited; the bytes say how.
    Edited,
    /// The side that sends this way is going: it reads no more.
    Left,
    /// The tap was told to stop, and the server will be. Said with the client's direction, because it comes
    /// from there as a rule.
    Stopped,
    /// The direction ended.
    Eof,
}

/// Counts what was not handed over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Skipped {
    /// All bytes, newlines included.
    pub bytes: u64,
    /// Newlines among them.
    pub lines: u64,
}

impl Note {
    /// Counts what is missed of the traffic if a record with these bytes is.
    pub(super) fn missed(&self, bytes: &[u8]) -> Skipped {
        let here = bytes.len() as u64;
        match self.kind {
            Kind::Bytes { plain } => {
                let lines = memchr_iter(b'\n', &bytes[plain..]).count() as u64;
                Skipped { bytes: here, lines }
            }
            Kind::Cut { skipped, newline } => {
                let newline = u64::from(newline);
                Skipped { bytes: skipped + here + newline, lines: newline }
            }
            Kind::Gap(_) | Kind::Edited | Kind::Left | Kind::Stopped | Kind::Eof => {
                Skipped::default()
            }
        }
    }

    fn gap(direction: Direction, skipped: Skipped) -> Option<Self> {
        (skipped.bytes > 0).then_some(Note { direction, kind: Kind::Gap(skipped) })
    }
}

impl tap::Note for Note {
    /// By direction.
    type Skipped = [Skipped; 2];

    fn skip(&self, bytes: &[u8], skipped: &mut [Skipped; 2]) {
        let (sum, missed) = (&mut skipped[self.direction as usize], self.missed(bytes));
        sum.bytes += missed.bytes;
        sum.lines += missed.lines;
    }

    fn gaps(skipped: [Skipped; 2]) -> impl Iterator<Item = Self> {
        let gap = move |way: Direction| Note::gap(way, skipped[way as usize]);
        Direction::BOTH.into_iter().filter_map(gap)
    }

    fn gap_before(&self, skipped: &mut [Skipped; 2]) -> Option<Self> {
        // Nothing comes after an end.
        let ended = self.kind == Kind::Eof;
        ended
            .then(|| std::mem::take(&mut skipped[self.direction as usize]))
            .and_then(|skipped| Note::gap(self.direction, skipped))
    }

    fn passed_over(&self, bytes: &[u8]) -> impl Iterator<Item = Self> {
        match self.kind {
            Kind::Bytes { .. } | Kind::Cut { .. } => Note::gap(self.direction, self.missed(bytes)),
            // Of a line that nobody will see.
            Kind::Edited => None,
            Kind::Gap(_) | Kind::Left | Kind::Stopped | Kind::Eof => Some(*self),
        }
        .into_iter()
    }

    /// Reads of one line.
    fn join(&mut self, length: usize, next: &Self) -> bool {
        match (self.kind, next.kind) {
            (Kind::Bytes { plain }, Kind::Bytes { plain: more })
                if self.direction == next.direction && plain == length =>
            {
                self.kind = Kind::Bytes { plain: plain + more };
                true
            }
            _ => false,
        }
    }
}
