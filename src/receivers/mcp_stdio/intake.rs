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
use crate::receivers::tap::Beyond;

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
        end_line(&mut self.beyond, self.direction, &mut handing, at, false);
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
            if end_line(&mut self.beyond, direction, &mut handing, at, true) {
                from = newline + 1;
            }
            self.line = 0;
            start = newline + 1;
        }
        offer(&mut handing, &read[from..]);
        handing.done()
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
