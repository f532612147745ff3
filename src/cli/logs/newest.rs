//! Keeps the newest of many records, by time.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use crate::cli::records::record::Record;

/// The newest records so far, at most so many.
pub(super) struct Newest {
    limit: usize,
    heap: BinaryHeap<Reverse<Kept>>,
    /// Order among equal times.
    seen: u64,
}

struct Kept {
    key: (u64, u64),
    record: Record,
}

impl Newest {
    pub(super) fn new(limit: usize) -> Self {
        Newest { limit, heap: BinaryHeap::new(), seen: 0 }
    }

    /// Takes a record; of equal times the one that comes later is the newer.
    pub(super) fn add(&mut self, record: Record) {
        self.seen += 1;
        let key = (record.time, self.seen);
        self.heap.push(Reverse(Kept { key, record }));
        if self.heap.len() > self.limit {
            self.heap.pop();
        }
    }

    /// Says whether a record of that time would be kept.
    pub(super) fn wants(&self, time: u64) -> bool {
        let oldest = self.heap.peek().map_or(0, |kept| kept.0.key.0);
        self.limit > 0 && (self.heap.len() < self.limit || time >= oldest)
    }

    /// Gives them, oldest first.
    pub(super) fn into_sorted(self) -> Vec<Record> {
        let mut kept: Vec<_> = self.heap.into_iter().map(|kept| kept.0).collect();
        kept.sort_by_key(|kept| kept.key);
        kept.into_iter().map(|kept| kept.record).collect()
    }
}

impl Ord for Kept {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key.cmp(&other.key)
    }
}

impl PartialOrd for Kept {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Kept {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl Eq for Kept {}
