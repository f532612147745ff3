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
use super::relay::End;

/// How much of the end of a cut line is handed over: some peers write the id last.
const TAIL: usize = 4096;

/// See the module.
#[derive(Debug)]
pub(super) struct Intake {
    queue: Arc<Queue>,
    direction: Direction,
    max_line: usize,
    /// Bytes of the current line so far, counted no further than to `max_line`.
    line: usize,
    beyond: Beyond,
}

/// What the current line has past the limit.
#[derive(Debug, Default)]
struct Beyond {
    /// Bytes that are not kept.
    left_out: u64,
    /// The last bytes, at most [`TAIL`].
    tail: Vec<u8>,
}

impl Intake {
    /// The intake of one direction; lines are observed up to `max_line` bytes.
    pub(super) fn new(queue: Arc<Queue>, direction: Direction, max_line: usize) -> Self {
        Intake { queue, direction, max_line, line: 0, beyond: Beyond::default() }
    }

    /// Hands over what was read at `at`. True if [`wake`](Intake::wake) is to be called once the bytes
    /// have been forwarded.
    pub(super) fn hand_over(&mut self, read: &[u8], at: Instant) -> bool {
        if self.line + read.len() > self.max_line {
            return self.hand_over_cutting(read, at);
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
        let kind = Kind::Bytes { plain };
        let mut handing = self.queue.lock();
        handing.offer(Event { at, note: Note { direction: self.direction, kind }, bytes: read });
        handing.done()
    }

    /// Says that the direction ended, and on whose account.
    pub(super) fn eof(&mut self, end: End, at: Instant) -> bool {
        let mut handing = self.queue.lock();
        self.beyond.end(&mut handing, self.direction, at, false);
        if end == End::Sink {
            let reader = self.direction.reverse();
            handing.tell(at, Note { direction: reader, kind: Kind::Left });
        }
        handing.tell(at, Note { direction: self.direction, kind: Kind::Eof });
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

    fn hand_over_cutting(&mut self, read: &[u8], at: Instant) -> bool {
        let direction = self.direction;
        let note = Note { direction, kind: Kind::Bytes { plain: 0 } };
        let offer = |handing: &mut Handing<'_>, bytes: &[u8]| {
            if !bytes.is_empty() {
                handing.offer(Event { at, note, bytes });
            }
        };
        let mut handing = self.queue.lock();
        // Everything before `from` is handed over or left out; the line begins or goes on at `start`.
        let (mut from, mut start) = (0, 0);
        while start < read.len() {
            let newline = memchr(b'\n', &read[start..]).map(|n| start + n);
            let end = newline.unwrap_or(read.len());
            let kept = (end - start).min(self.max_line - self.line);
            self.line += kept;
            if start + kept < end {
                offer(&mut handing, &read[from..start + kept]);
                self.beyond.add(&read[start + kept..end]);
                from = end;
            }
            let Some(newline) = newline else { break };
            if self.beyond.end(&mut handing, direction, at, true) {
                from = newline + 1;
            }
            self.line = 0;
            start = newline + 1;
        }
        offer(&mut handing, &read[from..]);
        handing.done()
    }
}

impl Beyond {
    fn add(&mut self, bytes: &[u8]) {
        let dropped = (self.tail.len() + bytes.len()).saturating_sub(TAIL);
        self.tail.drain(..dropped.min(self.tail.len()));
        self.tail.extend_from_slice(&bytes[bytes.len().saturating_sub(TAIL)..]);
        self.left_out += dropped as u64;
    }

    /// The line ended; false if it has nothing past the limit.
    fn end(
        &mut self,
        to: &mut Handing<'_>,
        direction: Direction,
        at: Instant,
        newline: bool,
    ) -> bool {
        let cut = !self.tail.is_empty();
        if cut {
            let kind = Kind::Cut { skipped: self.left_out, newline };
            to.offer(Event { at, note: Note { direction, kind }, bytes: &self.tail });
            self.left_out = 0;
            self.tail.clear();
        }
        cut
    }
}
