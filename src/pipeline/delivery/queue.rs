//! The bounded queue in front of one exporter.
//!
//! What is being sent still counts as held, so the limits bound memory, not just the waiting line. There are two:
//! in units of the sizer, as set, and in bytes, because senders choose how large a request or an item is. A
//! queue takes a batch by reservation, so that several queues can take it all or none. With
//! `block_on_overflow` a receipt (never a thread) waits in an overflow room of the same size. The batches themselves
//! are in a [`Store`]; the queue decides what gets in and who gets what.

use std::collections::VecDeque;
use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use super::size::{Size, units};
use super::store::{Entry, Store};
use crate::metrics::Gauge;
use crate::settings::{BatchSettings, QueueSettings, Sizer};
use crate::telemetry::{Receipt, Telemetry};

/// A bounded queue of batches.
pub(super) struct Queue {
    state: Mutex<State>,
    /// Told when something can be taken and when the queue closes.
    ready: Notify,
    /// One consumer gathers at a time, so that batches are not torn between two.
    turn: tokio::sync::Mutex<()>,
    settings: QueueSettings,
    limit: Size,
    gauges: Gauges,
}

struct State {
    line: Box<dyn Store>,
    /// The overflow room, and what it has.
    room: VecDeque<Entry>,
    /// Reserved, in line and being sent.
    used: Size,
    /// In the overflow room.
    waiting: Size,
    /// Nothing waits for company any more.
    flushing: bool,
    /// Nothing new is reserved.
    closed: bool,
    /// Says that what was reserved before has no place any more either.
    abandoned: bool,
}

/// Shows the level of a queue.
pub(super) struct Gauges {
    /// In units of the sizer.
    pub(super) units: Gauge,
    pub(super) bytes: Gauge,
}

/// The most that batches have together that are joined as one, in bytes, unless `min_size` says more: joining copies
/// them. No backend takes as much at a time.
const MAX_JOINED: usize = 16 << 20;

/// Says why a queue does not take a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// No room now.
    Full,
    /// Bigger than the whole queue: never.
    TooLarge,
}

/// Room that is kept for one batch; given back when dropped.
pub(crate) struct Permit {
    queue: Arc<Queue>,
    size: Size,
    place: Place,
}

/// Says where a batch would stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Line,
    OverflowRoom,
}

impl Queue {
    pub(super) fn new(settings: QueueSettings, gauges: Gauges, store: Box<dyn Store>) -> Arc<Self> {
        let limit = Size { units: settings.queue_size, bytes: settings.max_bytes() };
        Arc::new(Queue {
            state: Mutex::new(State::of(store)),
            ready: Notify::new(),
            turn: tokio::sync::Mutex::new(()),
            settings,
            limit,
            gauges,
        })
    }

    /// Keeps room for a batch: in line, else (if somebody waits for the answer and the settings say
    /// so) in the overflow room.
    pub(super) fn reserve(
        self: &Arc<Self>,
        telemetry: &Telemetry,
        awaited: bool,
    ) -> Result<Permit, Refusal> {
        let size = Size::of(self.settings.sizer, telemetry);
        if !size.fits(self.limit) {
            return Err(Refusal::TooLarge);
        }
        let mut state = self.lock();
        if state.closed {
            return Err(Refusal::Full);
        }
        // Nobody overtakes the overflow room.
        let place = if state.room.is_empty() && (state.used + size).fits(self.limit) {
            state.used += size;
            self.gauges.show(state.used);
            Place::Line
        } else if self.settings.block_on_overflow
            && awaited
            && (state.waiting + size).fits(self.limit)
        {
            state.waiting += size;
            Place::OverflowRoom
        } else {
            return Err(Refusal::Full);
        };
        Ok(Permit { queue: Arc::clone(self), size, place })
    }

    /// The next batch or batches to send as one; `None` once the queue is closed and empty.
    pub(super) async fn take(self: &Arc<Self>) -> Option<Taken> {
        let _turn = self.turn.lock().await;
        let first = loop {
            let told = self.ready.notified();
            match self.pop() {
                Some(entry) => break entry,
                None if self.lock().closed => return None,
                None => told.await,
            }
        };
        let mut taken = Taken::first(self, first);
        if let Some(batch) = &self.settings.batch {
            self.gather(batch, &mut taken).await;
        }
        Some(taken)
    }

    /// Adds neighbours of the same signal until the batch is big enough, has no room for the next one in bytes, or
    /// has waited long enough; in a queue that is being flushed those that are there.
    async fn gather(&self, batch: &BatchSettings, taken: &mut Taken) {
        let by = batch.sizer(self.settings.sizer);
        let signal = taken.entries[0].telemetry.signal();
        let mut big = units(by, &taken.entries[0].telemetry);
        let most = if by == Sizer::Bytes { batch.min_size.max(MAX_JOINED) } else { MAX_JOINED };
        let deadline = Instant::now() + batch.flush_timeout.0;
        while big < batch.min_size {
            let told = self.ready.notified();
            let next = {
                let mut state = self.lock();
                match state.line.first() {
                    Some((of, _)) if of != signal => return,
                    Some((_, size)) if taken.size.bytes + size.bytes > most => return,
                    Some(_) => state.line.take(),
                    None if state.closed || state.flushing => return,
                    None => None,
                }
            };
            match next {
                Some(entry) => {
                    big += units(by, &entry.telemetry);
                    taken.add(entry);
                }
                None if timeout_at(deadline, told).await.is_err() => return,
                None => {}
            }
        }
    }

    /// From now on batches do not wait for company.
    pub(super) fn flush(&self) {
        self.lock().flushing = true;
        self.tell();
    }

    /// Takes no more; what is in line can still be taken. The overflow room is refused: given back, to be booked, with
    /// its senders told to come again.
    pub(super) fn close(&self) -> Vec<Telemetry> {
        let room = {
            let mut state = self.lock();
            state.closed = true;
            state.waiting = Size::default();
            mem::take(&mut state.room)
        };
        self.tell();
        room.into_iter().map(Entry::refuse).collect()
    }

    /// Ends the line, and gives what is lost by that. Nothing gets in from here on.
    pub(super) fn abandon(&self) -> Vec<Telemetry> {
        let mut state = self.lock();
        state.abandoned = true;
        state.line.end()
    }

    /// Says whether the next process finds what this one leaves.
    pub(super) fn lasts(&self) -> bool {
        self.lock().line.lasts()
    }

    /// Says how much is held, and the limit.
    pub(super) fn level(&self) -> (Size, Size) {
        (self.lock().used, self.limit)
    }

    /// Has everybody look who waits, and whoever comes next.
    fn tell(&self) {
        self.ready.notify_waiters();
        self.ready.notify_one();
    }

    fn pop(&self) -> Option<Entry> {
        self.lock().line.take()
    }

    fn enter(&self, state: &mut State, entry: Entry) {
        state.line.put(entry);
        self.ready.notify_one();
    }

    /// Gives room back and lets the overflow room move up.
    fn release(&self, size: Size) {
        let mut state = self.lock();
        state.used -= size;
        self.move_up(&mut state);
        self.gauges.show(state.used);
    }

    fn move_up(&self, state: &mut State) {
        while let Some(entry) = state.room.pop_front() {
            if !(state.used + entry.size).fits(self.limit) {
                state.room.push_front(entry);
                break;
            }
            state.used += entry.size;
            state.waiting -= entry.size;
            self.enter(state, entry);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Permit {
    /// Fills the room that was kept. Gives the batch back if the queue has ended meanwhile.
    pub(super) fn commit(mut self, telemetry: Telemetry, receipt: Receipt) -> Option<Telemetry> {
        let entry = Entry::new(telemetry, receipt, mem::take(&mut self.size));
        let mut state = self.queue.lock();
        match self.place {
            Place::Line if !state.abandoned => self.queue.enter(&mut state, entry),
            Place::OverflowRoom if !state.closed => {
                state.room.push_back(entry);
                // Room may have come free since it was asked for.
                self.queue.move_up(&mut state);
            }
            _ => {
                drop(state);
                return Some(entry.refuse());
            }
        }
        None
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        match self.place {
            _ if self.size == Size::default() => {}
            Place::Line => self.queue.release(self.size),
            Place::OverflowRoom => {
                let mut state = self.queue.lock();
                // A queue that was closed has forgotten it.
                if !state.closed {
                    state.waiting -= self.size;
                }
            }
        }
    }
}

/// Holds what one consumer is sending. Its room is given back when it is dropped.
pub(super) struct Taken {
    queue: Arc<Queue>,
    size: Size,
    entries: Vec<Entry>,
    /// In the store, of what was given out to be sent.
    ids: Vec<u64>,
    /// Something of it was neither sent nor dropped.
    unfinished: AtomicBool,
}

impl Taken {
    fn first(queue: &Arc<Queue>, entry: Entry) -> Self {
        let (queue, size) = (Arc::clone(queue), entry.size);
        Taken {
            queue,
            size,
            entries: vec![entry],
            ids: Vec::new(),
            unfinished: AtomicBool::new(false),
        }
    }

    fn add(&mut self, entry: Entry) {
        self.size += entry.size;
        self.entries.push(entry);
    }

    /// Says how much memory it holds, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.size.bytes
    }

    /// Gives out its entries, to be sent.
    pub(super) fn give(&mut self) -> Vec<Entry> {
        self.ids.extend(self.entries.iter().map(|entry| entry.id));
        mem::take(&mut self.entries)
    }

    /// Leaves some of it unsent at the end of the process. Says whether the store has it all the same.
    pub(super) fn leave(&self) -> bool {
        self.unfinished.store(true, Ordering::Relaxed);
        self.queue.lasts()
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let mut state = self.queue.lock();
        // A consumer that was ended while it gathered: back in line, where it will be counted.
        for entry in self.entries.drain(..).rev() {
            self.size -= entry.size;
            state.line.put_back(entry);
        }
        // The parts of what was joined are of all entries: one that is left leaves all of them.
        if !*self.unfinished.get_mut() {
            self.ids.iter().for_each(|id| state.line.done(*id));
        }
        drop(state);
        self.queue.release(self.size);
    }
}

impl State {
    fn of(store: Box<dyn Store>) -> Self {
        State {
            line: store,
            room: VecDeque::new(),
            used: Size::default(),
            waiting: Size::default(),
            flushing: false,
            closed: false,
            abandoned: false,
        }
    }
}

impl Gauges {
    fn show(&self, used: Size) {
        self.units.set(i64::try_from(used.units).unwrap_or(i64::MAX));
        self.bytes.set(i64::try_from(used.bytes).unwrap_or(i64::MAX));
    }
}
