//! The books: counters by name and labels, kept in this process. The Collector's names where it has
//! one, so that its dashboards work; serving them over HTTP is an extension's job.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// All counters and gauges of the process. Clones share.
#[derive(Clone, Debug, Default)]
pub struct Vitals(Arc<Mutex<BTreeMap<Series, Cell>>>);

type Series = (&'static str, Vec<(&'static str, String)>);

#[derive(Clone, Debug)]
enum Cell {
    Counter(Arc<AtomicU64>),
    Gauge(Arc<AtomicI64>),
}

/// A count that only grows.
#[derive(Clone, Debug, Default)]
pub struct Counter(Arc<AtomicU64>);

/// A level.
#[derive(Clone, Debug, Default)]
pub struct Gauge(Arc<AtomicI64>);

/// One series with its value at the time of asking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Metric name.
    pub name: &'static str,
    /// Labels, in the order they were given.
    pub labels: Vec<(&'static str, String)>,
    /// Value.
    pub value: i128,
    /// Whether it only grows.
    pub monotonic: bool,
}

impl Vitals {
    /// The counter of that name and those labels, made the first time.
    pub fn counter(&self, name: &'static str, labels: &[(&'static str, &str)]) -> Counter {
        match self.cell(name, labels, || Cell::Counter(Arc::default())) {
            Cell::Counter(cell) => Counter(cell),
            Cell::Gauge(_) => unreachable!("{name} is a counter everywhere"),
        }
    }

    /// The gauge of that name and those labels, made the first time.
    pub fn gauge(&self, name: &'static str, labels: &[(&'static str, &str)]) -> Gauge {
        match self.cell(name, labels, || Cell::Gauge(Arc::default())) {
            Cell::Gauge(cell) => Gauge(cell),
            Cell::Counter(_) => unreachable!("{name} is a gauge everywhere"),
        }
    }

    /// Every series, by name and labels.
    pub fn samples(&self) -> Vec<Sample> {
        let map = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        map.iter()
            .map(|((name, labels), cell)| {
                let (value, monotonic) = match cell {
                    Cell::Counter(n) => (i128::from(n.load(Ordering::Relaxed)), true),
                    Cell::Gauge(n) => (i128::from(n.load(Ordering::Relaxed)), false),
                };
                Sample { name, labels: labels.clone(), value, monotonic }
            })
            .collect()
    }

    fn cell(
        &self,
        name: &'static str,
        labels: &[(&'static str, &str)],
        make: impl FnOnce() -> Cell,
    ) -> Cell {
        let labels = labels.iter().map(|(k, v)| (*k, (*v).to_owned())).collect();
        let mut map = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        map.entry((name, labels)).or_insert_with(make).clone()
    }
}

impl Counter {
    /// Adds.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// The value now.
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

    /// The level now.
    pub fn get(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}
