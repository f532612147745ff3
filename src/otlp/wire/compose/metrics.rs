//! Writes metrics, one at a time under one resource and scope: sums, gauges, and histograms with explicit bounds.
//!
//! It writes what it is told and adds nothing up. Exponential histograms and summaries it does not write.

use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::metrics::v1::AggregationTemporality;
use opentelemetry_proto::tonic::resource::v1::Resource;

use super::attributes::{Attributes, Value};
use super::fields::{fixed64, header, message_of, number, slice, text};
use super::group::{Group, give_back};

/// About what a point of a number takes, in bytes, and one of a histogram.
const USUAL_NUMBER: usize = 200;
const USUAL_HISTOGRAM: usize = 600;

/// Holds an `ExportMetricsServiceRequest` in the making.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    bytes: Vec<u8>,
    points: usize,
}

/// Holds metrics of one resource and one scope, one after the other.
#[derive(Debug)]
pub struct ScopeMetrics(Group);

/// Names a metric and says what its values are.
#[derive(Clone, Copy, Debug, Default)]
pub struct About<'a> {
    /// `name`
    pub name: &'a str,
    /// `description`
    pub description: &'a str,
    /// `unit`, by UCUM.
    pub unit: &'a str,
}

/// Says what the value of a point covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Temporality {
    /// All since a start that stays.
    Cumulative,
    /// All since the point before.
    Delta,
}

/// Shows one measurement of those in a point, and the span in which it was made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Exemplar {
    /// Says when it was made, in nanoseconds since the epoch.
    pub time: u64,
    /// Holds what was measured.
    pub value: f64,
    /// The trace of the span.
    pub trace: [u8; 16],
    /// The span.
    pub span: [u8; 8],
}

/// Writes one point of a sum or a gauge.
#[derive(Debug)]
pub struct NumberPoint<'a>(&'a mut Vec<u8>);

/// Writes one point of a histogram.
#[derive(Debug)]
pub struct HistogramPoint<'a>(&'a mut Vec<u8>);

impl Metrics {
    /// Adds another request.
    pub fn join(&mut self, other: Metrics) {
        if self.bytes.is_empty() {
            *self = other;
            return;
        }
        self.points += other.points;
        self.bytes.extend_from_slice(&other.bytes);
    }

    /// Gives the bytes, and how many data points are in them. No more than a little of the memory that was
    /// reserved is kept.
    pub fn into_parts(mut self) -> (Vec<u8>, usize) {
        give_back(&mut self.bytes);
        (self.bytes, self.points)
    }
}

impl ScopeMetrics {
    /// Begins with none; they will take about `size` bytes.
    pub fn of(resource: &Resource, scope: &InstrumentationScope, size: usize) -> Self {
        ScopeMetrics(Group::of(resource, scope, size))
    }

    /// Adds a sum with a point for each of `points`, as `write` writes it. A monotonic one only grows.
    pub fn sum<T>(
        &mut self,
        about: About<'_>,
        temporality: Temporality,
        monotonic: bool,
        points: impl IntoIterator<Item = T>,
        mut write: impl FnMut(&mut NumberPoint<'_>, T),
    ) {
        let points = points.into_iter();
        self.metric(about, 7, |out| {
            let count = each(out, points, USUAL_NUMBER, |out, of| write(&mut NumberPoint(out), of));
            number(out, 2, temporality.number());
            number(out, 3, monotonic.into());
            count
        });
    }

    /// Adds a gauge, likewise.
    pub fn gauge<T>(
        &mut self,
        about: About<'_>,
        points: impl IntoIterator<Item = T>,
        mut write: impl FnMut(&mut NumberPoint<'_>, T),
    ) {
        let points = points.into_iter();
        self.metric(about, 5, |out| {
            each(out, points, USUAL_NUMBER, |out, of| write(&mut NumberPoint(out), of))
        });
    }

    /// Adds a histogram, likewise.
    pub fn histogram<T>(
        &mut self,
        about: About<'_>,
        temporality: Temporality,
        points: impl IntoIterator<Item = T>,
        mut write: impl FnMut(&mut HistogramPoint<'_>, T),
    ) {
        let points = points.into_iter();
        self.metric(about, 9, |out| {
            let write = |out: &mut Vec<u8>, of| write(&mut HistogramPoint(out), of);
            let count = each(out, points, USUAL_HISTOGRAM, write);
            number(out, 2, temporality.number());
            count
        });
    }

    /// Tells how many bytes they take.
    pub fn size(&self) -> usize {
        self.0.size()
    }

    /// Counts their data points.
    pub fn points(&self) -> usize {
        self.0.count()
    }

    /// Ends them: the request that they are.
    pub fn finish(self) -> Metrics {
        let (bytes, points) = self.0.finish();
        Metrics { bytes, points }
    }

    /// Adds a metric whose data stand in the field `kind`; `data` says how many points it writes there.
    fn metric(&mut self, about: About<'_>, kind: u32, data: impl FnOnce(&mut Vec<u8>) -> usize) {
        let mut points = 0;
        self.0.add_all(USUAL_HISTOGRAM, |out| {
            text(out, 1, about.name);
            text(out, 2, about.description);
            text(out, 3, about.unit);
            message_of(out, kind, USUAL_HISTOGRAM, |out| points = data(out));
            points
        });
    }
}

/// Writes `data_points`, the first field of whatever has any, and counts them.
fn each<T>(
    out: &mut Vec<u8>,
    points: impl Iterator<Item = T>,
    usual: usize,
    mut write: impl FnMut(&mut Vec<u8>, T),
) -> usize {
    let mut count = 0;
    for point in points {
        count += 1;
        message_of(out, 1, usual, |out| write(out, point));
    }
    count
}

impl Temporality {
    fn number(self) -> u64 {
        let number = match self {
            Temporality::Cumulative => AggregationTemporality::Cumulative,
            Temporality::Delta => AggregationTemporality::Delta,
        };
        number as u64
    }
}

impl NumberPoint<'_> {
    /// Writes `start_time_unix_nano` and `time_unix_nano`.
    pub fn times(&mut self, start: u64, time: u64) {
        times(self.0, start, time);
    }

    /// Writes the value, a whole number, zero too.
    pub fn int(&mut self, value: i64) {
        fixed64(self.0, 6, value.cast_unsigned(), true);
    }

    /// Writes the value, any other number, zero too.
    pub fn double(&mut self, value: f64) {
        fixed64(self.0, 4, value.to_bits(), true);
    }

    /// Adds one of `exemplars`.
    pub fn exemplar(&mut self, exemplar: &Exemplar) {
        exemplar.write(self.0, 5);
    }

    /// Adds one of `attributes`. Names must differ.
    pub fn attribute(&mut self, name: &str, value: Value<'_>) {
        Attributes::of(self.0, 7).add(name, value);
    }
}

impl HistogramPoint<'_> {
    /// Writes `start_time_unix_nano` and `time_unix_nano`.
    pub fn times(&mut self, start: u64, time: u64) {
        times(self.0, start, time);
    }

    /// Writes `count`, `sum`, `bucket_counts` and `explicit_bounds`. There is one more bucket than there are bounds: the
    /// values above all of them.
    pub fn buckets(&mut self, bounds: &[f64], counts: &[u64], sum: f64) {
        debug_assert_eq!(counts.len(), bounds.len() + 1);
        fixed64(self.0, 4, counts.iter().sum(), false);
        fixed64(self.0, 5, sum.to_bits(), true);
        packed(self.0, 6, counts.iter().copied());
        packed(self.0, 7, bounds.iter().map(|bound| bound.to_bits()));
    }

    /// Adds one of `exemplars`.
    pub fn exemplar(&mut self, exemplar: &Exemplar) {
        exemplar.write(self.0, 8);
    }

    /// Adds one of `attributes`. Names must differ.
    pub fn attribute(&mut self, name: &str, value: Value<'_>) {
        Attributes::of(self.0, 9).add(name, value);
    }
}

impl Exemplar {
    /// Names what one takes, in bytes.
    const LEN: usize = 9 + 9 + 10 + 18;

    fn write(&self, out: &mut Vec<u8>, field: u32) {
        message_of(out, field, Exemplar::LEN, |out| {
            fixed64(out, 2, self.time, false);
            fixed64(out, 3, self.value.to_bits(), true);
            slice(out, 4, &self.span);
            slice(out, 5, &self.trace);
        });
    }
}

fn times(out: &mut Vec<u8>, start: u64, time: u64) {
    fixed64(out, 2, start, false);
    fixed64(out, 3, time, false);
}

/// Writes a list of numbers of eight bytes each, unless it is empty.
fn packed(out: &mut Vec<u8>, field: u32, numbers: impl ExactSizeIterator<Item = u64>) {
    if numbers.len() > 0 {
        header(out, field, 8 * numbers.len());
        numbers.for_each(|number| out.extend_from_slice(&number.to_le_bytes()));
    }
}

#[cfg(test)]
mod tests;
