//! Bounds what is served at once: connections, in all and for each worker, and requests in flight.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::pipeline::Gauge;

/// The connections of one receiver.
#[derive(Debug)]
pub(super) struct Slots {
    max: usize,
    all: AtomicUsize,
    by_worker: Vec<AtomicUsize>,
    gauge: Gauge,
}

/// One connection's place; dropping it makes room.
#[derive(Debug)]
pub(super) struct Slot {
    slots: Arc<Slots>,
    pub(super) worker: usize,
}

impl Slots {
    pub(super) fn new(max: usize, workers: usize, gauge: Gauge) -> Arc<Self> {
        let by_worker = (0..workers).map(|_| AtomicUsize::new(0)).collect();
        Arc::new(Slots { max, all: AtomicUsize::new(0), by_worker, gauge })
    }

    /// A place at the worker that has the fewest; `None` if all are taken. One thread asks.
    pub(super) fn take(self: &Arc<Self>) -> Option<Slot> {
        if self.all.load(Ordering::Relaxed) >= self.max {
            return None;
        }
        let load = |worker: &usize| self.by_worker[*worker].load(Ordering::Relaxed);
        let worker = (0..self.by_worker.len()).min_by_key(load)?;
        self.by_worker[worker].fetch_add(1, Ordering::Relaxed);
        self.tell(self.all.fetch_add(1, Ordering::Relaxed) + 1);
        Some(Slot { slots: Arc::clone(self), worker })
    }

    fn tell(&self, now: usize) {
        self.gauge.set(i64::try_from(now).unwrap_or(i64::MAX));
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.slots.by_worker[self.worker].fetch_sub(1, Ordering::Relaxed);
        self.slots.tell(self.slots.all.fetch_sub(1, Ordering::Relaxed) - 1);
    }
}

/// Holds one request's place among all that are in flight; dropping it makes room.
#[derive(Debug)]
pub(super) struct Admitted(Arc<AtomicUsize>);

impl Admitted {
    /// Takes a place among at most `max`; `None` if all are taken.
    pub(super) fn among(in_flight: &Arc<AtomicUsize>, max: usize) -> Option<Self> {
        let before = in_flight.fetch_add(1, Ordering::Relaxed);
        let admitted = Admitted(Arc::clone(in_flight));
        (before < max).then_some(admitted)
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_spread_and_bounded() {
        let slots = Slots::new(3, 2, Gauge::default());
        let taken: Vec<_> = (0..3).filter_map(|_| slots.take()).collect();
        assert_eq!(taken.iter().map(|slot| slot.worker).collect::<Vec<_>>(), [0, 1, 0]);
        assert!(slots.take().is_none());
        drop(taken);
        assert_eq!((slots.take().map(|slot| slot.worker), slots.gauge.get()), (Some(0), 0));
    }
}
