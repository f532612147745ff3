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

/// A buffer that grew past this in a burst is given back once it is not needed.
const KEPT_CAPACITY: usize = 64 * 1024;

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
    /// Bytes as they were read.
    Bytes,
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
    pub(super) fn sleep(&self, patience: Duration) {
        self.rest(1, patience);
    }

    fn rest(&self, wake_at: usize, patience: Duration) {
        let mut filling = self.filling();
        if filling.closed || filling.reaches(wake_at) {
            return;
        }
        let unused = filling.held.unused();
        filling.wake_at = wake_at;
        let (mut filling, _) = self
            .changed
            .wait_timeout_while(filling, patience, |f| !f.closed && f.wake_at != usize::MAX)
            .unwrap_or_else(PoisonError::into_inner);
        filling.wake_at = usize::MAX;
        drop(filling);
        drop(unused);
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
        if event.kind == Kind::Bytes && event.bytes.is_empty() {
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
            filling.held.push(event);
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

impl Skipped {
    /// What skipping `bytes` would skip.
    pub(super) fn of(bytes: &[u8]) -> Self {
        Skipped { bytes: bytes.len() as u64, lines: memchr_iter(b'\n', bytes).count() as u64 }
    }
}

impl Event<'_> {
    /// What is missed of the traffic if this event is.
    pub(super) fn missed(&self) -> Skipped {
        let here = Skipped::of(self.bytes);
        match self.kind {
            Kind::Bytes => here,
            Kind::Cut { skipped, newline } => {
                let newline = u64::from(newline);
                Skipped { bytes: skipped + here.bytes + newline, lines: newline }
            }
            Kind::Gap(_) | Kind::Eof => Skipped::default(),
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

    /// Empties it, and gives memory back that it needed once but not this time.
    fn clear(&mut self) {
        if self.bytes.len() < self.bytes.capacity() / 4 && self.bytes.capacity() > KEPT_CAPACITY {
            self.bytes = Vec::new();
        }
        if self.records.len() * RECORD < KEPT_CAPACITY
            && self.records.capacity() * RECORD > KEPT_CAPACITY
        {
            self.records = Vec::new();
        }
        self.bytes.clear();
        self.records.clear();
    }

    /// The big buffers of an empty stretch, to be dropped outside the lock.
    fn unused(&mut self) -> Option<Held> {
        let big = self.bytes.capacity() + self.records.capacity() * RECORD > KEPT_CAPACITY;
        (self.is_empty() && big).then(|| mem::take(self))
    }

    fn size(&self) -> usize {
        self.bytes.len() + self.records.len() * RECORD
    }

    fn push(&mut self, event: Event<'_>) {
        let Event { direction, at, kind, bytes } = event;
        self.bytes.extend_from_slice(bytes);
        self.records.push(Record { direction, at, kind, length: bytes.len() });
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
