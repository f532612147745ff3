//! One direction's way into the queue: cuts what is too long to be observed.
//!
//! Of a line longer than `max_line` bytes only the head is handed over, then how much was left out and
//! the end of it, where the members that tell an answer's kind often stand. It looks for newlines and
//! for nothing else; a read without an overlong line costs one search from its end.

use std::sync::Arc;
use std::time::Instant;

use memchr::{memchr, memrchr};

use super::Direction;
use super::queue::{Event, Handing, Kind, Note, Queue};
use crate::mcp::Edited;
use crate::receivers::tap::{Beyond, edited};

/// See the module.
#[derive(Debug)]
pub(super) struct Intake {
    queue: Arc<Queue>,
    cutter: Cutter,
}

/// Tells which side of a direction is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The one that is read from.
    Source,
    /// The one that is written to.
    Sink,
}

/// Where the current line stands.
#[derive(Debug)]
struct Cutter {
    direction: Direction,
    max_line: usize,
    /// Bytes of the current line so far, counted no further than to `max_line`.
    line: usize,
    beyond: Beyond,
}

impl Intake {
    /// The intake of one direction; lines are observed up to `max_line` bytes.
    pub(super) fn new(queue: Arc<Queue>, direction: Direction, max_line: usize) -> Self {
        let cutter = Cutter { direction, max_line, line: 0, beyond: Beyond::default() };
        Intake { queue, cutter }
    }

    /// Hands over what was read at `at`. True if [`wake`](Intake::wake) is to be called once the bytes
    /// have been forwarded.
    pub(super) fn hand_over(&mut self, read: &[u8], at: Instant) -> bool {
        let whole = self.cutter.whole(read);
        let mut handing = self.queue.lock();
        self.cutter.hand_over(whole, read, at, &mut handing);
        handing.done()
    }

    /// The same of several pieces, with what was done to those that were edited: it is told right
    /// before the bytes, which are the original ones.
    pub(super) fn hand_over_pieces<'p>(
        &mut self,
        pieces: impl Iterator<Item = (&'p [u8], Option<&'p Edited>)>,
        at: Instant,
    ) -> bool {
        let mut handing = self.queue.lock();
        for (bytes, edited) in pieces {
            if let Some(edited) = edited {
                let note = Note { direction: self.cutter.direction, kind: Kind::Edited };
                handing.offer(Event { at, note, bytes: &edited::encode(edited) });
            }
            let whole = self.cutter.whole(bytes);
            self.cutter.hand_over(whole, bytes, at, &mut handing);
        }
        handing.done()
    }

    /// Says that the direction ended, and on whose account.
    pub(super) fn eof(&mut self, end: End, at: Instant) -> bool {
        let direction = self.cutter.direction;
        let mut handing = self.queue.lock();
        end_line(&mut self.cutter.beyond, direction, &mut handing, at, false);
        if end == End::Sink {
            handing.tell(at, Note { direction: direction.reverse(), kind: Kind::Left });
        }
        handing.tell(at, Note { direction, kind: Kind::Eof });
        handing.done()
    }

    /// Wakes the observer.
    pub(super) fn wake(&self) {
        self.queue.wake();
    }

    /// Ends observation of both directions.
    pub(super) fn give_up(&self) {
        self.queue.close();
    }
}

impl Cutter {
    /// The note of a read in which no line is too long.
    fn whole(&mut self, read: &[u8]) -> Option<Note> {
        if self.line + read.len() > self.max_line {
            return None;
        }
        let plain = match memrchr(b'\n', read) {
            Some(newline) => {
                self.line = read.len() - newline - 1;
                0
            }
            None => {
                self.line += read.len();
                read.len()
            }
        };
        Some(Note { direction: self.direction, kind: Kind::Bytes { plain } })
    }

    fn hand_over(&mut self, whole: Option<Note>, read: &[u8], at: Instant, to: &mut Handing<'_>) {
        match whole {
            Some(note) => drop(to.offer(Event { at, note, bytes: read })),
            None => self.hand_over_cutting(read, at, to),
        }
    }

    fn hand_over_cutting(&mut self, read: &[u8], at: Instant, to: &mut Handing<'_>) {
        let direction = self.direction;
        let note = Note { direction, kind: Kind::Bytes { plain: 0 } };
        let offer = |handing: &mut Handing<'_>, bytes: &[u8]| {
            if !bytes.is_empty() {
                handing.offer(Event { at, note, bytes });
            }
        };
        // Everything before `from` is handed over or left out; the line begins or goes on at `start`.
        let (mut from, mut start) = (0, 0);
        while start < read.len() {
            let newline = memchr(b'\n', &read[start..]).map(|n| start + n);
            let end = newline.unwrap_or(read.len());
            let kept = (end - start).min(self.max_line - self.line);
            self.line += kept;
            if start + kept < end {
                offer(to, &read[from..start + kept]);
                self.beyond.add(&read[start + kept..end]);
                from = end;
            }
            let Some(newline) = newline else { break };
            if end_line(&mut self.beyond, direction, to, at, true) {
                from = newline + 1;
            }
            self.line = 0;
            start = newline + 1;
        }
        offer(to, &read[from..]);
    }
}

/// The line ended; false if it has nothing past the limit.
fn end_line(
    beyond: &mut Beyond,
    direction: Direction,
    to: &mut Handing<'_>,
    at: Instant,
    newline: bool,
) -> bool {
    beyond.end(|skipped, tail| {
        let note = Note { direction, kind: Kind::Cut { skipped, newline } };
        to.offer(Event { at, note, bytes: tail });
    })
}
