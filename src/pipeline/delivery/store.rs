//! Keeps the batches of a queue until they are sent: the trait, and the store that is memory alone.
//!
//! A store keeps the order and answers for what it took. It bounds nothing and wakes nobody: that is the queue's.

use std::collections::VecDeque;

use super::size::Size;
use crate::telemetry::{Receipt, Signal, Telemetry, Verdict};

/// A batch in a queue.
pub(super) struct Entry {
    pub(super) telemetry: Telemetry,
    /// Settled already, unless the sender waits for the result.
    pub(super) receipt: Receipt,
    pub(super) size: Size,
    /// Given by the store: says to it which one is done.
    pub(super) id: u64,
}

impl Entry {
    pub(super) fn new(telemetry: Telemetry, receipt: Receipt, size: Size) -> Self {
        Entry { telemetry, receipt, size, id: 0 }
    }

    /// Tells the sender to come again, and gives the batch back to be booked.
    pub(super) fn refuse(self) -> Telemetry {
        self.receipt.settle(Verdict::Retry { after: None });
        self.telemetry
    }
}

/// Keeps the batches of one exporter, first in first out. All is called under the queue's lock, so nothing here may
/// wait, not for a disk either.
pub(super) trait Store: Send {
    /// Adds an entry at the end of the line and gives it its id. Settles its receipt, then or once it is kept as well as
    /// this store promises, unless the sender waits for the result.
    fn put(&mut self, entry: Entry);

    /// Tells of the entry that is next in line.
    fn first(&self) -> Option<(Signal, Size)>;

    /// Takes the entry that is next in line, to be sent. The store goes on keeping it until it is [done](Self::done).
    fn take(&mut self) -> Option<Entry>;

    /// Puts an entry that was taken back in front of the line.
    fn put_back(&mut self, entry: Entry);

    /// Lets go of an entry of which each item was sent or dropped.
    fn done(&mut self, id: u64);

    /// Says whether the next process finds what is not done when this one ends: then that is held, not lost.
    fn lasts(&self) -> bool;

    /// Ends the line. Gives what was in it and is lost by that, to be booked.
    fn end(&mut self) -> Vec<Telemetry>;
}

/// Keeps batches in memory: what is not sent when the process ends is lost.
pub(super) struct MemoryStore {
    line: VecDeque<Entry>,
    /// The sender's answer is this store's taking over, not the result of sending.
    answers: bool,
}

impl MemoryStore {
    pub(super) fn new(answers: bool) -> Self {
        MemoryStore { line: VecDeque::new(), answers }
    }
}

impl Store for MemoryStore {
    fn put(&mut self, mut entry: Entry) {
        if self.answers {
            entry.receipt.adopt();
        }
        self.line.push_back(entry);
    }

    fn first(&self) -> Option<(Signal, Size)> {
        self.line.front().map(|entry| (entry.telemetry.signal(), entry.size))
    }

    fn take(&mut self) -> Option<Entry> {
        self.line.pop_front()
    }

    fn put_back(&mut self, entry: Entry) {
        self.line.push_front(entry);
    }

    fn done(&mut self, _: u64) {}

    fn lasts(&self) -> bool {
        false
    }

    fn end(&mut self) -> Vec<Telemetry> {
        self.line.drain(..).map(|entry| entry.telemetry).collect()
    }
}
