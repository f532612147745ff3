//! The one queue between the threads that forward and the observer.
//!
//! Whoever forwards hands a copy over *before* writing the bytes on, both directions into this queue, so
//! a request always precedes its answer. Handing over is a copy under a short lock: no allocation a
//! message, no waiting for room. When there is no room the queue skips and counts until the observer has
//! taken everything, then tells the gap. The observer swaps the contents out whole and naps between
//! drains, so that a message does not cost a wake-up. Nothing is parsed here.

use std::fmt::Debug;
use std::mem;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Buffers that held more than this in a burst are given back when it is quiet again.
const KEPT: usize = 64 * 1024;

/// Says what a record is about, beside its time and its bytes. Each tap has its own.
pub(in crate::receivers) trait Note: Copy + Debug + PartialEq {
    /// Sums up what was not handed over.
    type Skipped: Debug + Default;

    /// Adds what is missed of the traffic if this record is.
    fn skip(&self, bytes: &[u8], skipped: &mut Self::Skipped);

    /// The gaps to tell once there is room again.
    fn gaps(skipped: Self::Skipped) -> impl Iterator<Item = Self>;

    /// The gap that has to be told before this record, taken out of what was skipped.
    fn gap_before(&self, skipped: &mut Self::Skipped) -> Option<Self>;

    /// The records to look at instead of this one if it is passed over: those of a gap in what is observed,
    /// and itself if it is to be known all the same.
    fn passed_over(&self, bytes: &[u8]) -> impl Iterator<Item = Self>;

    /// Makes one record of this one, which has `length` bytes, and the next; `false` if they are two.
    fn join(&mut self, length: usize, next: &Self) -> bool;
}

/// Queues copies of the traffic of one tap for its observer.
#[derive(Debug)]
pub(in crate::receivers) struct Queue<N: Note> {
    filling: Mutex<Filling<N>>,
    /// Notified when the observer asked to be woken and the reason came, and when the queue closes.
    changed: Condvar,
    limit: usize,
}

#[derive(Debug)]
struct Filling<N: Note> {
    held: Held<N>,
    /// Set while there is no room; ends when the observer drains.
    skipping: bool,
    skipped: N::Skipped,
    /// The observer wants to be woken once this much is held; `MAX` while it is at work.
    wake_at: usize,
    /// Says that what is seen is not to wait for company.
    flushing: bool,
    /// That is new: the observer is not to rest before it has looked.
    news: bool,
    closed: bool,
}

/// A stretch of the traffic, in the order in which it was read.
#[derive(Debug)]
pub(in crate::receivers) struct Held<N> {
    bytes: Vec<u8>,
    records: Vec<Record<N>>,
    /// The most it ever held.
    touched: usize,
}

#[derive(Debug)]
struct Record<N> {
    at: Instant,
    note: N,
    /// Says how many of the bytes belong to this record.
    length: usize,
}

/// One record with its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event<'a, N> {
    /// Says when it happened, or when the last of the bytes had been read.
    pub at: Instant,
    /// Holds what happened.
    pub note: N,
    /// Holds what belongs to it.
    pub bytes: &'a [u8],
}

impl<N: Note> Queue<N> {
    /// A queue that holds at most `limit` bytes, bookkeeping included. What the observer has taken out
    /// comes on top, so memory is bounded by twice the limit. Empty, it holds no buffers.
    pub(in crate::receivers) fn new(limit: usize) -> Self {
        let filling = Filling {
            held: Held::default(),
            skipping: false,
            skipped: N::Skipped::default(),
            wake_at: usize::MAX,
            flushing: false,
            news: false,
            closed: false,
        };
        Queue { filling: Mutex::new(filling), changed: Condvar::new(), limit }
    }

    /// The lock under which one read is handed over, piece by piece.
    pub(in crate::receivers) fn lock(&self) -> Handing<'_, N> {
        Handing { filling: self.filling(), limit: self.limit }
    }

    /// Wakes the observer; for whoever was told so by [`Handing::done`].
    pub(in crate::receivers) fn wake(&self) {
        self.changed.notify_one();
    }

    /// Takes everything held, in exchange for the emptied `held`; what was skipped meanwhile follows as
    /// gaps. False once the queue is closed: then this was the last.
    pub(in crate::receivers) fn drain(&self, held: &mut Held<N>) -> bool {
        held.clear();
        let (skipped, closed) = {
            let mut filling = self.filling();
            mem::swap(&mut filling.held, held);
            filling.skipping = filling.closed;
            (mem::take(&mut filling.skipped), filling.closed)
        };
        // Whatever is held came before what was skipped, and whatever comes later comes after it.
        for note in N::gaps(skipped) {
            held.push(Event { at: Instant::now(), note, bytes: &[] });
        }
        !closed
    }

    /// Lets the observer rest for `nap`; only a queue that fills up or closes cuts it short.
    pub(in crate::receivers) fn nap(&self, nap: Duration) {
        self.rest(self.limit / 2, nap);
    }

    /// Lets the observer rest until something is handed over, the queue closes or `patience` is over.
    /// In the last case it is quiet, and memory that a burst took is given back, that of the emptied
    /// `held` too.
    pub(in crate::receivers) fn sleep(&self, patience: Duration, held: &mut Held<N>) {
        if !self.rest(1, patience) {
            let unused = self.filling().held.give_back();
            // Freed here, not under the lock.
            drop((unused, held.give_back()));
        }
    }

    /// True if something cut it short.
    fn rest(&self, wake_at: usize, patience: Duration) -> bool {
        let mut filling = self.filling();
        if filling.closed || mem::take(&mut filling.news) || filling.reaches(wake_at) {
            return true;
        }
        filling.wake_at = wake_at;
        let (mut filling, rest) = self
            .changed
            .wait_timeout_while(filling, patience, |f| !f.closed && f.wake_at != usize::MAX)
            .unwrap_or_else(PoisonError::into_inner);
        filling.wake_at = usize::MAX;
        filling.news = false;
        !rest.timed_out()
    }

    /// From now on what is seen does not wait for company: the end is near.
    pub(in crate::receivers) fn flush(&self) {
        let mut filling = self.filling();
        filling.flushing = true;
        filling.news = true;
        filling.wake_at = usize::MAX;
        drop(filling);
        self.changed.notify_one();
    }

    /// Says whether [`flush`](Queue::flush) was called.
    pub(in crate::receivers) fn flushing(&self) -> bool {
        self.filling().flushing
    }

    /// Ends observation: what comes from now on is only counted.
    pub(in crate::receivers) fn close(&self) {
        let mut filling = self.filling();
        filling.closed = true;
        filling.skipping = true;
        drop(filling);
        self.changed.notify_one();
    }

    #[cfg(test)]
    pub(in crate::receivers) fn limit(&self) -> usize {
        self.limit
    }

    fn filling(&self) -> MutexGuard<'_, Filling<N>> {
        // Nothing panics between two consistent states; and if it did, traffic goes on.
        self.filling.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to hand over, while it lasts.
pub(in crate::receivers) struct Handing<'a, N: Note> {
    filling: MutexGuard<'a, Filling<N>>,
    limit: usize,
}

impl<N: Note> Handing<'_, N> {
    /// Takes it if there is room, else counts what is missed and says `false`.
    pub(in crate::receivers) fn offer(&mut self, event: Event<'_, N>) -> bool {
        let filling = &mut *self.filling;
        if filling.held.size() + Held::<N>::RECORD + event.bytes.len() > self.limit {
            filling.skipping = true;
        }
        if filling.skipping {
            event.note.skip(event.bytes, &mut filling.skipped);
        } else {
            filling.held.reserve(self.limit);
            filling.held.push(event);
        }
        !filling.skipping
    }

    /// Takes a record without bytes whether there is room or not. For what happens a bounded number of
    /// times, such as an end.
    pub(in crate::receivers) fn tell(&mut self, at: Instant, note: N) {
        let filling = &mut *self.filling;
        if filling.closed {
            return;
        }
        if let Some(gap) = note.gap_before(&mut filling.skipped) {
            filling.held.push(Event { at, note: gap, bytes: &[] });
        }
        filling.held.push(Event { at, note, bytes: &[] });
    }

    /// Lets go; true if the observer is to be woken.
    pub(in crate::receivers) fn done(mut self) -> bool {
        let asked = self.filling.wake_at;
        let wake = asked != usize::MAX && self.filling.reaches(asked);
        if wake {
            self.filling.wake_at = usize::MAX;
        }
        wake
    }
}

impl<N: Note> Filling<N> {
    fn reaches(&self, level: usize) -> bool {
        self.skipping || self.held.size() >= level
    }
}

impl<N> Default for Held<N> {
    fn default() -> Self {
        Held { bytes: Vec::new(), records: Vec::new(), touched: 0 }
    }
}

impl<N> Held<N> {
    /// Says whether it holds nothing.
    pub(in crate::receivers) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }
}

impl<N: Note> Held<N> {
    /// Costs of a record besides its bytes: many tiny reads must not grow the queue either.
    const RECORD: usize = size_of::<Record<N>>();

    /// Its records with their bytes, in order.
    pub(in crate::receivers) fn events(&self) -> impl Iterator<Item = Event<'_, N>> {
        let mut rest = self.bytes.as_slice();
        self.records.iter().map(move |record| {
            let (bytes, after) = rest.split_at(record.length);
            rest = after;
            Event { at: record.at, note: record.note, bytes }
        })
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
            self.records.reserve_exact(limit / Self::RECORD);
        }
    }

    fn give_back(&mut self) -> Option<Held<N>> {
        (self.is_empty() && self.touched > KEPT).then(|| mem::take(self))
    }

    fn size(&self) -> usize {
        self.bytes.len() + self.records.len() * Self::RECORD
    }

    /// Records that belong together become one with the last one's stamp: what they tell is complete
    /// only then, and who looks at it finds it in one piece.
    fn push(&mut self, event: Event<'_, N>) {
        let Event { at, note, bytes } = event;
        self.bytes.extend_from_slice(bytes);
        if let Some(before) = self.records.last_mut()
            && before.note.join(before.length, &note)
        {
            before.length += bytes.len();
            before.at = at;
            return;
        }
        self.records.push(Record { at, note, length: bytes.len() });
    }
}
