//! The series of one metric, within a bound: what comes after shares one more.
//!
//! The numbers are cells of [`metrics`](crate::metrics), so that the Prometheus port shows what OTLP is sent. Exemplars
//! are beside them.

use std::borrow::Cow;
use std::collections::HashMap;

use crate::metrics::{Counter, Histogram, Labels, Metric, Metrics, OVERFLOW};
use crate::otlp::wire::compose::Exemplar;

/// A metric under both of its names.
#[derive(Debug)]
pub(super) struct Instrument<K: 'static> {
    /// In OTLP.
    pub(super) name: &'static str,
    /// On the Prometheus port, with its unit and what it counts.
    pub(super) metric: &'static Metric<K>,
}

/// The numbers of a series.
pub(super) trait Cell: Clone + 'static {
    /// None yet.
    fn new(of: &Metric<Self>) -> Self;
    /// Shows them on the Prometheus port.
    fn show(&self, on: &Metrics, of: &Metric<Self>, labels: &[(&'static str, &str)]);
}

/// All series of one metric.
pub(super) struct Family<K: 'static> {
    pub(super) instrument: Instrument<K>,
    pub(super) series: Vec<Series<K>>,
    places: HashMap<Labels, u32>,
}

/// One series.
pub(super) struct Series<K> {
    pub(super) labels: Labels,
    pub(super) cell: K,
    /// The last of each bucket since they were taken; none of a counter.
    exemplars: Vec<Option<Exemplar>>,
}

/// Says where series are shown, and under which label of their own.
#[derive(Clone, Debug)]
pub(super) struct Shown {
    pub(super) metrics: Metrics,
    /// The id of the processor.
    pub(super) by: String,
}

impl Shown {
    fn show<K: Cell>(&self, of: &Metric<K>, series: &Series<K>) {
        let own = [("processor", self.by.as_str())];
        let told = series.labels.iter().map(|(label, value)| (*label, value.as_str()));
        let labels: Vec<_> = own.into_iter().chain(told).collect();
        series.cell.show(&self.metrics, of, &labels);
    }
}

impl<K: Cell> Family<K> {
    /// One without series.
    pub(super) fn new(name: &'static str, metric: &'static Metric<K>) -> Self {
        let instrument = Instrument { name, metric };
        Family { instrument, series: Vec::new(), places: HashMap::new() }
    }

    /// Finds the series with these labels, and makes it unless there are `max`: then it is the one that overflows.
    pub(super) fn place(
        &mut self,
        labels: &[(&'static str, Cow<'_, str>)],
        max: usize,
        shown: &Shown,
    ) -> u32 {
        let told = labels.iter().map(|(label, value)| (*label, value.as_ref().to_owned()));
        let mut labels: Labels = told.collect();
        if let Some(place) = self.places.get(&labels) {
            return *place;
        }
        if self.series.len() >= max {
            labels = vec![(OVERFLOW.0, OVERFLOW.1.to_owned())];
            if let Some(place) = self.places.get(&labels) {
                return *place;
            }
        }
        let place = u32::try_from(self.series.len()).unwrap_or(u32::MAX);
        let metric = self.instrument.metric;
        let series = Series { labels: labels.clone(), cell: K::new(metric), exemplars: Vec::new() };
        shown.show(metric, &series);
        self.series.push(series);
        self.places.insert(labels, place);
        place
    }

    /// Shows all of them, if a reload had taken them away.
    pub(super) fn show(&self, shown: &Shown) {
        self.series.iter().for_each(|series| shown.show(self.instrument.metric, series));
    }
}

impl Family<Histogram> {
    /// Counts a value in a series.
    pub(super) fn record(&mut self, place: u32, value: f64, exemplar: Option<Exemplar>) {
        let Some(series) = self.series.get_mut(place as usize) else { return };
        series.cell.record(value);
        if let (Some(exemplar), Some(bucket)) = (exemplar, series.cell.bucket(value)) {
            if series.exemplars.len() <= bucket {
                series.exemplars.resize(bucket + 1, None);
            }
            series.exemplars[bucket] = Some(exemplar);
        }
    }
}

impl Family<Counter> {
    /// Adds to a series.
    pub(super) fn add(&mut self, place: u32, n: u64) {
        if let Some(series) = self.series.get(place as usize) {
            series.cell.add(n);
        }
    }
}

impl<K> Series<K> {
    /// Takes the exemplars, by bucket.
    pub(super) fn exemplars(&mut self) -> impl Iterator<Item = Exemplar> {
        self.exemplars.iter_mut().filter_map(Option::take)
    }
}

impl Cell for Histogram {
    fn new(of: &Metric<Self>) -> Self {
        of.cell()
    }

    fn show(&self, on: &Metrics, of: &Metric<Self>, labels: &[(&'static str, &str)]) {
        on.show_histogram(of, labels, self);
    }
}

impl Cell for Counter {
    fn new(_: &Metric<Self>) -> Self {
        Counter::default()
    }

    fn show(&self, on: &Metrics, of: &Metric<Self>, labels: &[(&'static str, &str)]) {
        on.show(of, labels, self);
    }
}
