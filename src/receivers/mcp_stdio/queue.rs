//! The one queue between the two relay threads and the observer.
//!
//! A relay hands a copy over *before* it writes the bytes on, both directions into this queue, so a
//! request always precedes its answer. Handing over is a copy under a short lock: no allocation a
//! message, no waiting for room. When there is no room the queue skips and counts until the observer
//! has taken everything, then tells the gap. The observer swaps the contents out whole and naps
//! between drains, so that a message does not cost a wake-up. Nothing is parsed here.

use std::mem;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use memchr::memchr_iter;

use super::Direction;

/// Buffers that held more than this in a burst are given back when it is quiet again.
const KEPT: usize = 64 * 1024;

/// What a record costs besides its bytes: many tiny reads must not grow the queue either.
const RECORD: usize = size_of::<Record>();

/// See the module.
#[derive(Debug)]
pub(super) struct Queue {
    filling: Mutex<Filling>,
    /// Notified when the observer asked to be woken and the reason came, and when the queue closes.
    changed: Condvar,
    limit: usize,
}

#[derive(Debug)]
struct Filling {
    held: Held,
    /// Set while there is no room; ends when the observer drains.
    skipping: bool,
    skipped: [Skipped; 2],
    /// The observer wants to be woken once this much is held; `MAX` while it is at work.
    wake_at: usize,
    closed: bool,
}

/// What was not handed over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Skipped {
    /// All bytes, newlines included.
    pub(super) bytes: u64,
    /// Newlines among them.
    pub(super) lines: u64,
}

/// A stretch of both directions, in the order in which it was read.
#[derive(Debug, Default)]
pub(super) struct Held {
    bytes: Vec<u8>,
    records: Vec<Record>,
    /// The most it ever held.
    touched: usize,
}

#[derive(Debug)]
struct Record {
    direction: Direction,
    at: Instant,
    kind: Kind,
    /// How many of the bytes belong to this record.
    length: usize,
}

/// What a record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Bytes as they were read. The first `plain` of them are known to hold no newline.
    Bytes {
        /// Saves looking again.
        plain: usize,
    },
    /// A line ended that was too long: `skipped` bytes are left out here, the record's own bytes come
    /// after them.
    Cut {
        /// How many bytes were left out.
        skipped: u64,
        /// The line had a newline, which is not handed over.
        newline: bool,
    },
    /// There was no room.
    Gap(Skipped),
    /// The side that sends this way is going: it was told to, or it reads no more.
    Left,
    /// The direction ended.
    Eof,
}

/// One record with its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Event<'a> {
    /// Which way.
    pub(super) direction: Direction,
    /// When the bytes had been read.
    pub(super) at: Instant,
    /// What happened.
    pub(super) kind: Kind,
    /// The bytes of [`Kind::Bytes`], the tail of [`Kind::Cut`], else none.
    pub(super) bytes: &'a [u8],
}

impl Queue {
    /// A queue that holds at most `limit` bytes, bookkeeping included. What the observer has taken out
    /// comes on top, so memory is bounded by twice the limit. Empty, it holds no buffers.
    pub(super) fn new(limit: usize) -> Self {
        let filling = Filling {
            held: Held::default(),
            skipping: false,
            skipped: [Skipped::default(); 2],
            wake_at: usize::MAX,
            closed: false,
        };
        Queue { filling: Mutex::new(filling), changed: Condvar::new(), limit }
    }

    /// The lock under which one read is handed over, piece by piece.
    pub(super) fn lock(&self) -> Handing<'_> {
        Handing { filling: self.filling(), limit: self.limit }
    }

    /// Wakes the observer; for whoever was told so by [`Handing::done`].
    pub(super) fn wake(&self) {
        self.changed.notify_one();
    }

    /// Takes everything held, in exchange for the emptied `held`; what was skipped meanwhile follows as
    /// gaps. False once the queue is closed: then this was the last.
    pub(super) fn drain(&self, held: &mut Held) -> bool {
        held.clear();
        let (skipped, closed) = {
            let mut filling = self.filling();
            mem::swap(&mut filling.held, held);
            filling.skipping = filling.closed;
            (mem::take(&mut filling.skipped), filling.closed)
        };
        // Whatever is held came before what was skipped, and whatever comes later comes after it.
        for direction in Direction::BOTH {
            held.push_gap(direction, skipped[direction as usize]);
        }
        !closed
    }

    /// Lets the observer rest for `nap`; only a queue that fills up or closes cuts it short.
    pub(super) fn nap(&self, nap: Duration) {
        self.rest(self.limit / 2, nap);
    }

    /// Lets the observer rest until something is handed over, the queue closes or `patience` is over.
    /// In the last case it is quiet, and memory that a burst took is given back, that of the emptied
    /// `held` too.
    pub(super) fn sleep(&self, patience: Duration, held: &mut Held) {
        if !self.rest(1, patience) {
            let unused = self.filling().held.give_back();
            // Freed here, not under the lock.
            drop((unused, held.give_back()));
        }
    }

    /// True if something cut it short.
    fn rest(&self, wake_at: usize, patience: Duration) -> bool {
        let mut filling = self.filling();
        if filling.closed || filling.reaches(wake_at) {
            return true;
        }
        filling.wake_at = wake_at;
        let (mut filling, rest) = self
            .changed
            .wait_timeout_while(filling, patience, |f| !f.closed && f.wake_at != usize::MAX)
            .unwrap_or_else(PoisonError::into_inner);
        filling.wake_at = usize::MAX;
        !rest.timed_out()
    }

    /// Ends observation: what comes from now on is only counted.
    pub(super) fn close(&self) {
        let mut filling = self.filling();
        filling.closed = true;
        filling.skipping = true;
        drop(filling);
        self.changed.notify_one();
    }

    #[cfg(test)]
    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    fn filling(&self) -> MutexGuard<'_, Filling> {
        // Nothing panics between two consistent states; and if it did, traffic goes on.
        self.filling.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to hand over, while it lasts.
#[derive(Debug)]
pub(super) struct Handing<'a> {
    filling: MutexGuard<'a, Filling>,
    limit: usize,
}

impl Handing<'_> {
    /// Takes bytes or a cut if there is room, else counts what is missed.
    pub(super) fn offer(&mut self, event: Event<'_>) {
        if matches!(event.kind, Kind::Bytes { .. }) && event.bytes.is_empty() {
            return;
        }
        let filling = &mut *self.filling;
        if filling.held.size() + RECORD + event.bytes.len() > self.limit {
            filling.skipping = true;
        }
        if filling.skipping {
            let (sum, missed) = (&mut filling.skipped[event.direction as usize], event.missed());
            sum.bytes += missed.bytes;
            sum.lines += missed.lines;
        } else {
            filling.held.reserve(self.limit);
            filling.held.push(event);
        }
    }

    /// Says that the side that sends this way is going. Needs no room: it happens three times at most.
    pub(super) fn left(&mut self, sender: Direction, at: Instant) {
        let filling = &mut *self.filling;
        if !filling.closed {
            filling.held.push(Event { direction: sender, at, kind: Kind::Left, bytes: &[] });
        }
    }

    /// Says that the direction ended. Needs no room: it happens once.
    pub(super) fn eof(&mut self, direction: Direction, at: Instant) {
        let filling = &mut *self.filling;
        if filling.closed {
            return;
        }
        filling.held.push_gap(direction, mem::take(&mut filling.skipped[direction as usize]));
        filling.held.push(Event { direction, at, kind: Kind::Eof, bytes: &[] });
    }

    /// Lets go; true if the observer is to be woken.
    pub(super) fn done(mut self) -> bool {
        let asked = self.filling.wake_at;
        let wake = asked != usize::MAX && self.filling.reaches(asked);
        if wake {
            self.filling.wake_at = usize::MAX;
        }
        wake
    }
}

impl Event<'_> {
    /// What is missed of the traffic if this event is.
    pub(super) fn missed(&self) -> Skipped {
        let here = self.bytes.len() as u64;
        match self.kind {
            Kind::Bytes { plain } => {
                let lines = memchr_iter(b'\n', &self.bytes[plain..]).count() as u64;
                Skipped { bytes: here, lines }
            }
            Kind::Cut { skipped, newline } => {
                let newline = u64::from(newline);
                Skipped { bytes: skipped + here + newline, lines: newline }
            }
            Kind::Gap(_) | Kind::Left | Kind::Eof => Skipped::default(),
        }
    }
}

impl Filling {
    fn reaches(&self, level: usize) -> bool {
        self.skipping || self.held.size() >= level
    }
}

impl Held {
    /// What it holds, in order.
    pub(super) fn events(&self) -> impl Iterator<Item = Event<'_>> {
        let mut rest = self.bytes.as_slice();
        self.records.iter().map(move |record| {
            let (bytes, after) = rest.split_at(record.length);
            rest = after;
            Event { direction: record.direction, at: record.at, kind: record.kind, bytes }
        })
    }

    /// Whether it holds nothing.
    pub(super) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    fn clear(&mut self) {
        self.touched = self.touched.max(self.size());
        self.bytes.clear();
        self.records.clear();
    }

    /// All the room there will be, the first time it is needed: no later growth, whose copying would
    /// hold the traffic up. The kernel backs only what is touched.
    fn reserve(&mut self, limit: usize) {
        if self.bytes.capacity() < limit {
            self.bytes.reserve_exact(limit);
            self.records.reserve_exact(limit / RECORD);
        }
    }

    fn give_back(&mut self) -> Option<Held> {
        (self.is_empty() && self.touched > KEPT).then(|| mem::take(self))
    }

    fn size(&self) -> usize {
        self.bytes.len() + self.records.len() * RECORD
    }

    /// Reads of one line become one record with the last one's stamp: the line is complete only then,
    /// and who looks at it finds it in one piece.
    fn push(&mut self, event: Event<'_>) {
        let Event { direction, at, kind, bytes } = event;
        self.bytes.extend_from_slice(bytes);
        let length = bytes.len();
        let before = self.records.last_mut().filter(|before| before.direction == direction);
        if let (Some(before), Kind::Bytes { plain }) = (before, kind)
            && before.kind == (Kind::Bytes { plain: before.length })
        {
            before.kind = Kind::Bytes { plain: before.length + plain };
            before.length += length;
            before.at = at;
            return;
        }
        self.records.push(Record { direction, at, kind, length });
    }

    fn push_gap(&mut self, direction: Direction, skipped: Skipped) {
        if skipped.bytes > 0 {
            self.push(Event {
                direction,
                at: Instant::now(),
                kind: Kind::Gap(skipped),
                bytes: &[],
            });
        }
    }
}
