//! The bounded queue in front of one exporter.
//!
//! What is being sent still counts as held, so the limits bound memory, not just the waiting line. There are two:
//! in units of the sizer, as set, and in bytes, because senders choose how large a request or an item is. A
//! queue takes a batch by reservation, so that several queues can take it all or none. With
//! `block_on_overflow` a receipt (never a thread) waits in a waiting room of the same size.

use std::collections::VecDeque;
use std::ops::{Add, AddAssign, SubAssign};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use crate::metrics::Gauge;
use crate::settings::{BatchSettings, QueueSettings, Sizer};
use crate::telemetry::{Receipt, Telemetry, Verdict};

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

#[derive(Default)]
struct State {
    line: VecDeque<Item>,
    room: VecDeque<Item>,
    /// Reserved, in line and being sent.
    used: Size,
    /// In the waiting room.
    waiting: Size,
    /// Nothing waits for company any more.
    flushing: bool,
    /// Nothing new is reserved.
    closed: bool,
    /// What was reserved before has no place any more either.
    abandoned: bool,
}

/// A batch in the queue.
pub(super) struct Item {
    pub(super) telemetry: Telemetry,
    /// Answered already, unless the sender waits for the result.
    pub(super) receipt: Receipt,
    size: Size,
}

/// Measures what a batch takes of a queue, or how much a queue has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Size {
    /// In units of the sizer.
    pub(super) units: usize,
    /// In memory: its bytes, and what surrounds them.
    pub(super) bytes: usize,
}

/// Shows the level of a queue.
pub(super) struct Gauges {
    /// In units of the sizer.
    pub(super) units: Gauge,
    pub(super) bytes: Gauge,
}

/// Counts what surrounds a batch in a queue, in bytes: its place in line, its receipt, what shares its bytes.
const EACH: usize = 256;

/// The most that batches have together that are joined as one, in bytes, unless `min_size` says more: joining copies
/// them. No backend takes as much at a time.
const MAX_JOINED: usize = 16 << 20;

impl Item {
    fn refuse(self) -> Telemetry {
        self.receipt.settle(Verdict::Retry { after: None });
        self.telemetry
    }
}

/// Why a queue does not take a batch.
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

/// Where a batch would stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Line,
    WaitingRoom,
}

impl Queue {
    pub(super) fn new(settings: QueueSettings, gauges: Gauges) -> Arc<Self> {
        let limit = Size { units: settings.queue_size, bytes: settings.max_bytes() };
        Arc::new(Queue {
            state: Mutex::default(),
            ready: Notify::new(),
            turn: tokio::sync::Mutex::new(()),
            settings,
            limit,
            gauges,
        })
    }

    /// Keeps room for a batch: in line, else (if somebody waits for the answer and the settings say
    /// so) in the waiting room.
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
        // Nobody overtakes the waiting room.
        let place = if state.room.is_empty() && (state.used + size).fits(self.limit) {
            state.used += size;
            self.gauges.show(state.used);
            Place::Line
        } else if self.settings.block_on_overflow
            && awaited
            && (state.waiting + size).fits(self.limit)
        {
            state.waiting += size;
            Place::WaitingRoom
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
                Some(item) => break item,
                None if self.lock().closed => return None,
                None => told.await,
            }
        };
        let mut taken = Taken { queue: Arc::clone(self), size: first.size, items: vec![first] };
        if let Some(batch) = &self.settings.batch {
            self.gather(batch, &mut taken).await;
        }
        Some(taken)
    }

    /// Adds neighbours of the same signal until the batch is big enough, has no room for the next one in bytes, or
    /// has waited long enough; in a queue that is being flushed those that are there.
    async fn gather(&self, batch: &BatchSettings, taken: &mut Taken) {
        let by = batch.sizer(self.settings.sizer);
        let signal = taken.items[0].telemetry.signal();
        let mut big = units(by, &taken.items[0].telemetry);
        let most = if by == Sizer::Bytes { batch.min_size.max(MAX_JOINED) } else { MAX_JOINED };
        let deadline = Instant::now() + batch.flush_timeout.0;
        while big < batch.min_size {
            let told = self.ready.notified();
            let next = {
                let mut state = self.lock();
                match state.line.front() {
                    Some(item) if item.telemetry.signal() != signal => return,
                    Some(item) if taken.size.bytes + item.size.bytes > most => return,
                    Some(_) => state.line.pop_front(),
                    None if state.closed || state.flushing => return,
                    None => None,
                }
            };
            match next {
                Some(item) => {
                    big += units(by, &item.telemetry);
                    taken.size += item.size;
                    taken.items.push(item);
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

    /// Takes no more; what is in line can still be taken. The waiting room is sent home: given back, to
    /// be booked, with its senders told to come again.
    pub(super) fn close(&self) -> Vec<Telemetry> {
        let room = {
            let mut state = self.lock();
            state.closed = true;
            state.waiting = Size::default();
            std::mem::take(&mut state.room)
        };
        self.tell();
        room.into_iter().map(Item::refuse).collect()
    }

    /// Takes everything that is in line, to be reported as lost. Nothing gets in from here on.
    pub(super) fn abandon(&self) -> Vec<Telemetry> {
        let line = {
            let mut state = self.lock();
            state.abandoned = true;
            std::mem::take(&mut state.line)
        };
        line.into_iter().map(|item| item.telemetry).collect()
    }

    /// How much is held, and the limit.
    pub(super) fn level(&self) -> (Size, Size) {
        (self.lock().used, self.limit)
    }

    /// Has everybody look who waits, and whoever comes next.
    fn tell(&self) {
        self.ready.notify_waiters();
        self.ready.notify_one();
    }

    fn pop(&self) -> Option<Item> {
        self.lock().line.pop_front()
    }

    /// Whether the sender's answer is the queue's taking over, not the result of sending.
    fn answers(&self) -> bool {
        self.settings.enabled && !self.settings.wait_for_result
    }

    fn enter(&self, state: &mut State, mut item: Item) {
        if self.answers() {
            item.receipt.adopt();
        }
        state.line.push_back(item);
        self.ready.notify_one();
    }

    /// Gives room back and lets the waiting room move up.
    fn release(&self, size: Size) {
        let mut state = self.lock();
        state.used -= size;
        self.move_up(&mut state);
        self.gauges.show(state.used);
    }

    fn move_up(&self, state: &mut State) {
        while let Some(item) = state.room.pop_front() {
            if !(state.used + item.size).fits(self.limit) {
                state.room.push_front(item);
                break;
            }
            state.used += item.size;
            state.waiting -= item.size;
            self.enter(state, item);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Permit {
    /// Fills the room that was kept. Gives the batch back if the queue has ended meanwhile.
    pub(super) fn commit(mut self, telemetry: Telemetry, receipt: Receipt) -> Option<Telemetry> {
        let item = Item { telemetry, receipt, size: std::mem::take(&mut self.size) };
        let mut state = self.queue.lock();
        match self.place {
            Place::Line if !state.abandoned => self.queue.enter(&mut state, item),
            Place::WaitingRoom if !state.closed => {
                state.room.push_back(item);
                // Room may have come free since it was asked for.
                self.queue.move_up(&mut state);
            }
            _ => {
                drop(state);
                return Some(item.refuse());
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
            Place::WaitingRoom => {
                let mut state = self.queue.lock();
                // A queue that was closed has forgotten it.
                if !state.closed {
                    state.waiting -= self.size;
                }
            }
        }
    }
}

/// What one consumer is sending. Its room is given back when it is dropped.
pub(super) struct Taken {
    queue: Arc<Queue>,
    size: Size,
    pub(super) items: Vec<Item>,
}

impl Taken {
    /// How much memory it holds, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.size.bytes
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        // A consumer that was ended while it gathered: back in line, where it will be counted.
        let mut state = self.queue.lock();
        for item in self.items.drain(..).rev() {
            self.size -= item.size;
            state.line.push_front(item);
        }
        drop(state);
        self.queue.release(self.size);
    }
}

impl Size {
    fn of(sizer: Sizer, telemetry: &Telemetry) -> Size {
        Size { units: units(sizer, telemetry), bytes: telemetry.wire().len() + EACH }
    }

    fn fits(self, limit: Size) -> bool {
        self.units <= limit.units && self.bytes <= limit.bytes
    }
}

impl Add for Size {
    type Output = Size;

    fn add(self, more: Size) -> Size {
        Size { units: self.units + more.units, bytes: self.bytes + more.bytes }
    }
}

impl AddAssign for Size {
    fn add_assign(&mut self, more: Size) {
        *self = *self + more;
    }
}

impl SubAssign for Size {
    fn sub_assign(&mut self, less: Size) {
        self.units -= less.units;
        self.bytes -= less.bytes;
    }
}

impl Gauges {
    fn show(&self, used: Size) {
        self.units.set(i64::try_from(used.units).unwrap_or(i64::MAX));
        self.bytes.set(i64::try_from(used.bytes).unwrap_or(i64::MAX));
    }
}

/// An empty batch takes room too.
fn units(sizer: Sizer, telemetry: &Telemetry) -> usize {
    let size = match sizer {
        Sizer::Requests => 1,
        Sizer::Items => telemetry.items(),
        Sizer::Bytes => telemetry.wire().len(),
    };
    size.max(1)
}
