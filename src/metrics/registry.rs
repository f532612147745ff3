//! The registry: every series that somebody asked for, by metric and labels.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Buckets, Counter, Gauge, Histogram, Ratio};

/// A metric as it is declared; `K` is [`Counter`], [`Gauge`], [`Ratio`] or [`Histogram`].
#[derive(Debug)]
pub struct Metric<K> {
    info: Info,
    kind: PhantomData<fn() -> K>,
}

/// Holds what is known of a metric without any series.
#[derive(Clone, Copy, Debug)]
pub struct Info {
    /// Its name, without the `_total` that counters are served with.
    pub name: &'static str,
    /// The unit of its values by UCUM: `s`, `By`, or what is counted in braces, `{span}`.
    pub unit: &'static str,
    /// One line about it, without a full stop.
    pub help: &'static str,
    /// Holds what it is.
    pub kind: Kind,
}

/// Names what a metric is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Rises and falls.
    Gauge,
    /// Counts values by size, with these upper bounds.
    Histogram(&'static [f64]),
}

impl Metric<Counter> {
    /// Declares a counter.
    pub const fn counter(name: &'static str, unit: &'static str, help: &'static str) -> Self {
        Metric { info: Info { name, unit, help, kind: Kind::Counter }, kind: PhantomData }
    }
}

impl Metric<Gauge> {
    /// Declares a gauge.
    pub const fn gauge(name: &'static str, unit: &'static str, help: &'static str) -> Self {
        Metric { info: Info { name, unit, help, kind: Kind::Gauge }, kind: PhantomData }
    }
}

impl Metric<Ratio> {
    /// Declares a gauge with fractions.
    pub const fn ratio(name: &'static str, unit: &'static str, help: &'static str) -> Self {
        Metric { info: Info { name, unit, help, kind: Kind::Gauge }, kind: PhantomData }
    }
}

impl Metric<Histogram> {
    /// Declares a histogram with these upper bounds, in ascending order.
    pub const fn histogram(
        name: &'static str,
        unit: &'static str,
        help: &'static str,
        bounds: &'static [f64],
    ) -> Self {
        Metric { info: Info { name, unit, help, kind: Kind::Histogram(bounds) }, kind: PhantomData }
    }

    /// Makes the numbers of a series that is shown nowhere yet: see [`Metrics::show_histogram`].
    pub fn cell(&self) -> Histogram {
        let Kind::Histogram(bounds) = self.info.kind else {
            unreachable!("a Metric<Histogram> is made with bounds")
        };
        Histogram::new(bounds)
    }
}

impl<K> Metric<K> {
    /// Returns what is known of it.
    pub const fn info(&self) -> &Info {
        &self.info
    }
}

/// The labels of a series, in the order in which they were given.
pub type Labels = Vec<(&'static str, String)>;

/// Says how many series one metric may have. What comes after shares one more, labelled [`OVERFLOW`]: the sum stays
/// right though nobody can tell any more what it is made of.
pub const MAX_SERIES: usize = 2000;

/// The label of the series that takes what has no series of its own, by OpenTelemetry's specification of
/// cardinality limits.
pub const OVERFLOW: (&str, &str) = ("otel.metric.overflow", "true");

/// All metrics of the process that have series. Clones share.
#[derive(Clone, Debug, Default)]
pub struct Metrics(Arc<Mutex<Families>>, Arc<Mutex<Vec<Teller>>>);

type Families = BTreeMap<&'static str, (Info, BTreeMap<Labels, Cell>)>;

/// Takes gauges that are told while metrics are read: levels that nobody keeps, such as ages.
#[derive(Debug, Default)]
pub struct Levels(BTreeMap<&'static str, Family>);

/// Holds what is asked for such gauges.
#[derive(Clone)]
struct Teller(Arc<dyn Fn(&mut Levels) + Send + Sync>);

#[derive(Clone, Debug)]
enum Cell {
    Counter(Counter),
    Gauge(Gauge),
    Ratio(Ratio),
    Histogram(Histogram),
}

/// One metric with its series, at the time of asking.
#[derive(Clone, Debug)]
pub struct Family {
    /// Holds what it is.
    pub info: Info,
    /// Its series, by their labels.
    pub series: Vec<(Labels, Reading)>,
}

/// One series of a counter or a gauge, with its value at the time of asking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Metric name.
    pub name: &'static str,
    /// Labels, in the order in which they were given.
    pub labels: Labels,
    /// Value.
    pub value: i128,
}

/// Names what a series says.
#[derive(Clone, Debug, PartialEq)]
pub enum Reading {
    /// Of a counter.
    Counter(u64),
    /// Of a gauge.
    Gauge(i64),
    /// Of a gauge with fractions.
    Ratio(f64),
    /// Of a counter of time, in seconds: what the process took of it.
    Seconds(f64),
    /// Of a histogram.
    Histogram(Buckets),
}

impl Metrics {
    /// Gives the counter of that metric with those labels; it starts at 0 the first time.
    pub fn counter(&self, of: &Metric<Counter>, labels: &[(&'static str, &str)]) -> Counter {
        match self.cell(&of.info, labels, || Cell::Counter(Counter::default())) {
            Cell::Counter(counter) => counter,
            _ => unreachable!("{} is declared once, as a counter", of.info.name),
        }
    }

    /// Shows a counter that there is already as that metric with those labels, unless there is such a series.
    pub fn show(&self, of: &Metric<Counter>, labels: &[(&'static str, &str)], counter: &Counter) {
        self.cell(&of.info, labels, || Cell::Counter(counter.clone()));
    }

    /// Shows a histogram that there is already, likewise.
    pub fn show_histogram(
        &self,
        of: &Metric<Histogram>,
        labels: &[(&'static str, &str)],
        histogram: &Histogram,
    ) {
        self.cell(&of.info, labels, || Cell::Histogram(histogram.clone()));
    }

    /// Gives the gauge of that metric with those labels; it starts at 0 the first time.
    pub fn gauge(&self, of: &Metric<Gauge>, labels: &[(&'static str, &str)]) -> Gauge {
        match self.cell(&of.info, labels, || Cell::Gauge(Gauge::default())) {
            Cell::Gauge(gauge) => gauge,
            _ => unreachable!("{} is declared once, as a gauge", of.info.name),
        }
    }

    /// Gives the gauge with fractions of that metric with those labels; it starts at 0 the first time.
    pub fn ratio(&self, of: &Metric<Ratio>, labels: &[(&'static str, &str)]) -> Ratio {
        match self.cell(&of.info, labels, || Cell::Ratio(Ratio::default())) {
            Cell::Ratio(ratio) => ratio,
            _ => unreachable!("{} is declared once, as a gauge with fractions", of.info.name),
        }
    }

    /// Gives the histogram of that metric with those labels; it starts empty the first time.
    pub fn histogram(&self, of: &Metric<Histogram>, labels: &[(&'static str, &str)]) -> Histogram {
        match self.cell(&of.info, labels, || Cell::Histogram(of.cell())) {
            Cell::Histogram(histogram) => histogram,
            _ => unreachable!("{} is declared once, as a histogram", of.info.name),
        }
    }

    /// Forgets every series that has all of these labels: what it told of is gone. Whoever still holds such a
    /// series counts on unseen.
    pub fn retire(&self, all_of: &[(&str, &str)]) {
        let has = |labels: &Labels, (label, value): &(&str, &str)| {
            labels.iter().any(|(l, v)| l == label && v == value)
        };
        let mut families = self.lock();
        for (_, series) in families.values_mut() {
            series.retain(|labels, _| !all_of.iter().all(|label| has(labels, label)));
        }
        families.retain(|_, (_, series)| !series.is_empty());
    }

    /// Has `tell` asked for gauges whenever metrics are read, from now on. It must be quick and must not wait.
    pub fn on_read(&self, tell: impl Fn(&mut Levels) + Send + Sync + 'static) {
        self.tellers().push(Teller(Arc::new(tell)));
    }

    /// Reads all of them, by name and labels.
    pub fn read(&self) -> Vec<Family> {
        let read = |(info, series): &(Info, BTreeMap<Labels, Cell>)| Family {
            info: *info,
            series: series.iter().map(|(labels, cell)| (labels.clone(), cell.read())).collect(),
        };
        let mut all: Vec<Family> = self.lock().values().map(read).collect();
        let (mut levels, tellers) = (Levels::default(), self.tellers().clone());
        tellers.iter().for_each(|Teller(tell)| tell(&mut levels));
        for family in levels.0.into_values() {
            match all.binary_search_by_key(&family.info.name, |known| known.info.name) {
                Ok(at) => all[at].series.extend(family.series),
                Err(at) => all.insert(at, family),
            }
        }
        all
    }

    /// Reads all counters and gauges, by name and labels.
    pub fn samples(&self) -> Vec<Sample> {
        let flat = |family: Family| {
            let name = family.info.name;
            family.series.into_iter().filter_map(move |(labels, reading)| {
                let value = match reading {
                    Reading::Counter(n) => i128::from(n),
                    Reading::Gauge(n) => i128::from(n),
                    Reading::Ratio(_) | Reading::Seconds(_) | Reading::Histogram(_) => return None,
                };
                Some(Sample { name, labels, value })
            })
        };
        self.read().into_iter().flat_map(flat).collect()
    }

    fn cell(
        &self,
        info: &Info,
        labels: &[(&'static str, &str)],
        make: impl FnOnce() -> Cell,
    ) -> Cell {
        let owned = |labels: &[(&'static str, &str)]| -> Labels {
            labels.iter().map(|(label, value)| (*label, (*value).to_owned())).collect()
        };
        let mut families = self.lock();
        let (_, series) = families.entry(info.name).or_insert_with(|| (*info, BTreeMap::new()));
        let mut wanted = owned(labels);
        if series.len() >= MAX_SERIES && !series.contains_key(&wanted) {
            wanted = owned(&[OVERFLOW]);
        }
        series.entry(wanted).or_insert_with(make).clone()
    }

    fn lock(&self) -> MutexGuard<'_, Families> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tellers(&self) -> MutexGuard<'_, Vec<Teller>> {
        self.1.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Levels {
    /// Tells the level of that metric with those labels, once. What is told beyond [`MAX_SERIES`] is left out.
    pub fn gauge(&mut self, of: &Metric<Gauge>, labels: &[(&'static str, &str)], level: i64) {
        let labels = labels.iter().map(|(label, value)| (*label, (*value).to_owned())).collect();
        let none = || Family { info: of.info, series: Vec::new() };
        let family = self.0.entry(of.info.name).or_insert_with(none);
        if family.series.len() < MAX_SERIES {
            family.series.push((labels, Reading::Gauge(level)));
        }
    }
}

impl fmt::Debug for Teller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Teller")
    }
}

impl Cell {
    fn read(&self) -> Reading {
        match self {
            Cell::Counter(counter) => Reading::Counter(counter.get()),
            Cell::Gauge(gauge) => Reading::Gauge(gauge.get()),
            Cell::Ratio(ratio) => Reading::Ratio(ratio.get()),
            Cell::Histogram(histogram) => Reading::Histogram(histogram.get()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static SENT: Metric<Counter> = Metric::counter("sent", "{item}", "Items sent");
    static LEVEL: Metric<Gauge> = Metric::gauge("level", "By", "Bytes held");

    #[test]
    fn a_series_is_one_however_often_it_is_asked_for() {
        let metrics = Metrics::default();
        metrics.counter(&SENT, &[("exporter", "a")]).add(1);
        metrics.clone().counter(&SENT, &[("exporter", "a")]).add(2);
        metrics.counter(&SENT, &[("exporter", "b")]).add(4);
        metrics.gauge(&LEVEL, &[]).set(-1);
        let all = metrics.read();
        let names: Vec<&str> = all.iter().map(|family| family.info.name).collect();
        assert_eq!(names, ["level", "sent"]);
        assert_eq!(all[0].series, [(vec![], Reading::Gauge(-1))]);
        let label = |value: &str| vec![("exporter", value.to_owned())];
        assert_eq!(
            all[1].series,
            [(label("a"), Reading::Counter(3)), (label("b"), Reading::Counter(4))]
        );
    }

    #[test]
    fn what_is_retired_is_gone_and_comes_back_at_nothing() {
        let metrics = Metrics::default();
        let old = metrics.counter(&SENT, &[("exporter", "a"), ("signal", "traces")]);
        old.add(5);
        metrics.counter(&SENT, &[("exporter", "b"), ("signal", "traces")]);
        metrics.retire(&[("exporter", "a"), ("signal", "traces")]);
        assert_eq!(metrics.read()[0].series.len(), 1);
        old.add(5);
        let new = metrics.counter(&SENT, &[("exporter", "a"), ("signal", "traces")]);
        assert_eq!(new.get(), 0);
        metrics.retire(&[("signal", "traces")]);
        assert!(metrics.read().is_empty(), "a metric without series is not told of");
    }

    #[test]
    fn levels_that_nobody_keeps_are_told_at_each_reading() {
        let metrics = Metrics::default();
        metrics.counter(&SENT, &[]).add(1);
        let asked = Counter::default();
        let count = asked.clone();
        metrics.on_read(move |levels| {
            count.add(1);
            levels.gauge(&LEVEL, &[("tap", "a")], i64::try_from(count.get()).unwrap());
        });
        assert_eq!(asked.get(), 0);
        for n in 1..3 {
            let all = metrics.read();
            let names: Vec<&str> = all.iter().map(|family| family.info.name).collect();
            assert_eq!(names, ["level", "sent"]);
            assert_eq!(all[0].series, [(vec![("tap", "a".to_owned())], Reading::Gauge(n))]);
        }
        metrics.gauge(&LEVEL, &[]).set(7);
        assert_eq!(metrics.read()[0].series.len(), 2, "beside one that is kept");
    }

    #[test]
    fn series_without_end_share_one() {
        let metrics = Metrics::default();
        for n in 0..MAX_SERIES + 10 {
            metrics.counter(&SENT, &[("tool", &n.to_string())]).add(1);
        }
        metrics.counter(&SENT, &[("tool", "0")]).add(1);
        let all = metrics.read();
        assert_eq!(all[0].series.len(), MAX_SERIES + 1);
        let overflow = vec![(OVERFLOW.0, OVERFLOW.1.to_owned())];
        assert!(all[0].series.contains(&(overflow, Reading::Counter(10))));
        let first = vec![("tool", "0".to_owned())];
        assert!(
            all[0].series.contains(&(first, Reading::Counter(2))),
            "what has a series keeps it"
        );
    }
}
