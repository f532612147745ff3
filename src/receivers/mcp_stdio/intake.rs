//! One direction's way into the queue: cuts what is too long to be observed.
//!
//! Of a line longer than `max_line` bytes only the head is handed over, then how much was left out and
//! the end of it, where the members that tell an answer's kind often stand. It looks for newlines and
//! for nothing else; a read without an overlong line costs one search from its end.

use std::sync::Arc;
use std::time::Instant;

use memchr::{memchr, memrchr};

use super::Direction;
use super::queue::Queue;

/// How much of the end of a cut line is handed over. An answer's `isError` or a trailing id fits easily.
const TAIL: usize = 4096;

/// See the module.
#[derive(Debug)]
pub(super) struct Intake {
    queue: Arc<Queue>,
    direction: Direction,
    max_line: usize,
    /// Bytes of the current line so far, counted no further than to `max_line`.
    line: usize,
    /// Bytes of the current line past `max_line`, those in `tail` not included.
    left_out: u64,
    tail: Vec<u8>,
}

impl Intake {
    /// The intake of one direction; lines are observed up to `max_line` bytes.
    pub(super) fn new(queue: Arc<Queue>, direction: Direction, max_line: usize) -> Self {
        Intake { queue, direction, max_line, line: 0, left_out: 0, tail: Vec::new() }
    }

    /// Hands over what was read at `at`. True if [`wake`](Intake::wake) is to be called once the bytes
    /// have been forwarded.
    pub(super) fn hand_over(&mut self, read: &[u8], at: Instant) -> bool {
        if self.line + read.len() > self.max_line {
            return self.hand_over_cutting(read, at);
        }
        self.line = match memrchr(b'\n', read) {
            Some(newline) => read.len() - newline - 1,
            None => self.line + read.len(),
        };
        let mut handing = self.queue.lock();
        handing.bytes(self.direction, at, read);
        handing.done()
    }

    /// Says that the direction ended.
    pub(super) fn eof(&mut self, at: Instant) -> bool {
        let mut handing = self.queue.lock();
        if self.left_out + self.tail.len() as u64 > 0 {
            handing.cut(self.direction, at, self.left_out, &self.tail);
        }
        handing.eof(self.direction, at);
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
        let mut handing = self.queue.lock();
        let (mut from, mut position) = (0, 0);
        while position < read.len() {
            let end = memchr(b'\n', &read[position..]).map_or(read.len(), |n| position + n);
            let kept = (end - position).min(self.max_line - self.line);
            self.line += kept;
            if position + kept < end {
                handing.bytes(self.direction, at, &read[from..position + kept]);
                leave_out(&mut self.tail, &mut self.left_out, &read[position + kept..end]);
                from = end;
            }
            if end < read.len() {
                if self.left_out + self.tail.len() as u64 > 0 {
                    handing.cut(self.direction, at, self.left_out, &self.tail);
                    (self.left_out, self.tail) = (0, Vec::new());
                }
                self.line = 0;
            }
            position = end + 1;
        }
        handing.bytes(self.direction, at, &read[from..]);
        handing.done()
    }
}

/// Adds to the end of a line that is too long, which keeps its last bytes only.
fn leave_out(tail: &mut Vec<u8>, left_out: &mut u64, bytes: &[u8]) {
    let total = tail.len() + bytes.len();
    let dropped = total.saturating_sub(TAIL);
    tail.drain(..dropped.min(tail.len()));
    tail.extend_from_slice(&bytes[bytes.len() - bytes.len().min(TAIL)..]);
    *left_out += dropped as u64;
}
