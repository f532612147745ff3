//! Bounds what is served at once: connections, in all and for each worker, and requests in flight.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::http::descriptors::{Share, Taken};
use crate::metrics::Gauge;

/// The connections of one receiver.
#[derive(Debug)]
pub(crate) struct Slots {
    max: usize,
    all: AtomicUsize,
    by_worker: Vec<AtomicUsize>,
    gauge: Gauge,
    descriptors: Arc<Share>,
}

/// Names what a client needs: its own connection, and one to an upstream.
const EACH: usize = 2;

/// One connection's place; dropping it makes room.
#[derive(Debug)]
pub(crate) struct Slot {
    slots: Arc<Slots>,
    pub(crate) worker: usize,
    #[expect(dead_code, reason = "held until the connection is over")]
    descriptors: Taken,
}

impl Slots {
    pub(crate) fn new(
        max: usize,
        workers: usize,
        gauge: Gauge,
        descriptors: Arc<Share>,
    ) -> Arc<Self> {
        let by_worker = (0..workers).map(|_| AtomicUsize::new(0)).collect();
        Arc::new(Slots { max, all: AtomicUsize::new(0), by_worker, gauge, descriptors })
    }

    /// A place at the worker that has the fewest; `None` if all are taken, or no descriptors are left for one. One
    /// thread asks.
    pub(crate) fn take(self: &Arc<Self>) -> Option<Slot> {
        if self.all.load(Ordering::Relaxed) >= self.max {
            return None;
        }
        let Some(descriptors) = self.descriptors.take(EACH) else {
            self.descriptors.complain();
            return None;
        };
        let load = |worker: &usize| self.by_worker[*worker].load(Ordering::Relaxed);
        let worker = (0..self.by_worker.len()).min_by_key(load)?;
        self.by_worker[worker].fetch_add(1, Ordering::Relaxed);
        self.tell(self.all.fetch_add(1, Ordering::Relaxed) + 1);
        Some(Slot { slots: Arc::clone(self), worker, descriptors })
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
pub(crate) struct Admitted {
    in_flight: Arc<AtomicUsize>,
    /// For a connection to an upstream beyond the one that its client's place includes.
    extra: Option<Taken>,
}

impl Admitted {
    /// Takes a place among at most `max`; `None` if all are taken.
    pub(crate) fn among(in_flight: &Arc<AtomicUsize>, max: usize) -> Option<Self> {
        let before = in_flight.fetch_add(1, Ordering::Relaxed);
        let admitted = Admitted { in_flight: Arc::clone(in_flight), extra: None };
        (before < max).then_some(admitted)
    }

    /// Takes a slot with a descriptor more, of those that nobody was promised; `None` if there is none.
    pub(crate) fn with_extra(mut self, descriptors: &Arc<Share>) -> Option<Self> {
        self.extra = Some(descriptors.take(1)?);
        Some(self)
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::descriptors::Descriptors;

    #[test]
    fn connections_are_spread_and_bounded() {
        let slots = Slots::new(3, 2, Gauge::default(), Descriptors::of(9).share("tap"));
        let taken: Vec<_> = (0..3).filter_map(|_| slots.take()).collect();
        assert_eq!(taken.iter().map(|slot| slot.worker).collect::<Vec<_>>(), [0, 1, 0]);
        assert!(slots.take().is_none());
        drop(taken);
        assert_eq!((slots.take().map(|slot| slot.worker), slots.gauge.get()), (Some(0), 0));
    }

    #[test]
    fn whoever_is_let_in_has_a_descriptor_for_its_upstream() {
        let descriptors = Descriptors::of(5).share("tap");
        let slots = Slots::new(100, 2, Gauge::default(), Arc::clone(&descriptors));
        let taken: Vec<_> = (0..3).map_while(|_| slots.take()).collect();
        assert_eq!(taken.len(), 2);
        let in_flight = Arc::default();
        let request = || Admitted::among(&in_flight, 100).unwrap();
        let extra = request().with_extra(&descriptors);
        assert!(extra.is_some() && request().with_extra(&descriptors).is_none());
        assert_eq!(in_flight.load(Ordering::Relaxed), 1);
        drop(extra);
        assert!(request().with_extra(&descriptors).is_some());
    }
}
