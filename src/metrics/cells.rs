//! The numbers themselves: atomics that any thread may change and read, without a lock.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// Counts something; only grows, and wraps at 2^64.
#[derive(Clone, Debug, Default)]
pub struct Counter(Arc<AtomicU64>);

/// Holds a level that rises and falls.
#[derive(Clone, Debug, Default)]
pub struct Gauge(Arc<AtomicI64>);

/// Holds a level that has fractions.
#[derive(Clone, Debug, Default)]
pub struct Ratio(Arc<AtomicU64>);

/// Counts values by size: how many were at most each of its bounds, how many there were, and their sum.
#[derive(Clone, Debug)]
pub struct Histogram(Arc<Cells>);

#[derive(Debug)]
struct Cells {
    bounds: &'static [f64],
    /// One more than there are bounds.
    counts: Box<[AtomicU64]>,
    /// The bits of an `f64`.
    sum: AtomicU64,
}

/// The state of a histogram at one time.
#[derive(Clone, Debug, PartialEq)]
pub struct Buckets {
    /// The upper bounds, which belong to their buckets, in ascending order.
    pub bounds: &'static [f64],
    /// Says how many values fell into each bucket, the last one without a bound.
    pub counts: Vec<u64>,
    /// Their sum.
    pub sum: f64,
}

impl Counter {
    /// Adds.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// Returns the value now.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Gauge {
    /// Sets the level.
    pub fn set(&self, n: i64) {
        self.0.store(n, Ordering::Relaxed);
    }

    /// Raises the level.
    pub fn add(&self, n: usize) {
        self.0.fetch_add(i64::try_from(n).unwrap_or(i64::MAX), Ordering::Relaxed);
    }

    /// Lowers the level.
    pub fn take(&self, n: usize) {
        self.0.fetch_sub(i64::try_from(n).unwrap_or(i64::MAX), Ordering::Relaxed);
    }

    /// Returns the level now.
    pub fn get(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Ratio {
    /// Sets the level.
    pub fn set(&self, level: f64) {
        self.0.store(level.to_bits(), Ordering::Relaxed);
    }

    /// Returns the level now.
    pub fn get(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::Relaxed))
    }
}

impl Histogram {
    pub(super) fn new(bounds: &'static [f64]) -> Self {
        let counts = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Histogram(Arc::new(Cells { bounds, counts, sum: AtomicU64::new(0) }))
    }

    /// Finds the bucket that a value belongs to, by its place. NaN belongs to none.
    pub fn bucket(&self, value: f64) -> Option<usize> {
        (!value.is_nan()).then(|| self.0.bounds.partition_point(|bound| *bound < value))
    }

    /// Counts a value. NaN is left out: it would spoil the sum.
    pub fn record(&self, value: f64) {
        let Some(bucket) = self.bucket(value) else { return };
        self.0.counts[bucket].fetch_add(1, Ordering::Relaxed);
        let add = |bits| Some((f64::from_bits(bits) + value).to_bits());
        // The closure always answers, so this cannot fail.
        self.0.sum.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).ok();
    }

    /// Returns the state now. Values that are counted meanwhile may be in one part of it and not in another.
    pub fn get(&self) -> Buckets {
        Buckets {
            bounds: self.0.bounds,
            counts: self.0.counts.iter().map(|n| n.load(Ordering::Relaxed)).collect(),
            sum: f64::from_bits(self.0.sum.load(Ordering::Relaxed)),
        }
    }
}

impl Buckets {
    /// Returns how many values there were.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_falls_into_the_first_bucket_whose_bound_it_does_not_exceed() {
        let histogram = Histogram::new(&[0.5, 1.0, 2.0]);
        for value in [0.0, 0.5, 0.6, 1.0, 2.0, 2.1, f64::INFINITY, f64::NAN] {
            histogram.record(value);
        }
        let buckets = histogram.get();
        assert_eq!(buckets.counts, [2, 2, 1, 2]);
        assert_eq!(buckets.count(), 7);
        assert_eq!(buckets.sum, f64::INFINITY);
    }

    #[test]
    fn threads_lose_nothing() {
        let (counter, histogram) = (Counter::default(), Histogram::new(&[1.0]));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..1000 {
                        counter.add(2);
                        histogram.record(0.25);
                    }
                });
            }
        });
        assert_eq!(counter.get(), 8000);
        assert_eq!((histogram.get().counts, histogram.get().sum), (vec![4000, 0], 1000.0));
    }

    #[test]
    fn clones_share() {
        let gauge = Gauge::default();
        gauge.clone().add(3);
        gauge.clone().take(5);
        assert_eq!(gauge.get(), -2);
        gauge.set(7);
        assert_eq!(gauge.clone().get(), 7);
    }
}
