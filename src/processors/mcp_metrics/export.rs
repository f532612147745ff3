//! Writes the books as OTLP metrics: cumulative, since the books were begun.

use opentelemetry_proto::tonic::common::v1::{
    AnyValue, InstrumentationScope, KeyValue, any_value::Value as Any,
};
use opentelemetry_proto::tonic::resource::v1::Resource;

use super::books::Books;
use super::series::{Cell, Family, Series};
use crate::metrics::{Counter, Histogram};
use crate::otlp::wire::compose::{
    About, HistogramPoint, Metrics, NumberPoint, ScopeMetrics, Temporality, Value,
};
use crate::pipeline::surroundings;
use crate::telemetry::Nanos;
use crate::telemetry::names::{SCOPE, SERVER_PORT, SERVICE_NAME, SERVICE_VERSION};

/// The most points in one request: servers refuse requests of more than 4 MiB, as gRPC does by default.
const MOST: usize = 1000;
/// Names the component in a scope, as the Collector's own telemetry does.
const COMPONENT: &str = "otelcol.component.id";

impl Books {
    /// Writes all series with their values at `now`. Exemplars are told once.
    pub(super) fn export(&self, now: Nanos) -> Vec<Metrics> {
        let mut state = self.lock();
        let mut out = Requests::new(&self.shown.by, [self.began, now.max(self.began)]);
        for family in state.histograms.all_mut() {
            out.family(family, |out, about, times, series| {
                out.histogram(about, Temporality::Cumulative, series, |point, series| {
                    histogram(point, times, series);
                });
            });
        }
        for family in state.counters.all_mut() {
            out.family(family, |out, about, times, series| {
                out.sum(about, Temporality::Cumulative, true, series, |point, series| {
                    counter(point, times, series);
                });
            });
        }
        out.done()
    }
}

/// Requests in the making, each of a bounded number of points.
struct Requests {
    resource: Resource,
    scope: InstrumentationScope,
    times: [Nanos; 2],
    open: ScopeMetrics,
    done: Vec<Metrics>,
}

impl Requests {
    fn new(id: &str, times: [Nanos; 2]) -> Self {
        let (resource, scope) = (resource(), scope(id));
        let open = ScopeMetrics::of(&resource, &scope, 0);
        Requests { resource, scope, times, open, done: Vec::new() }
    }

    /// Adds a metric, in as many parts as it takes.
    fn family<K: Cell>(
        &mut self,
        family: &mut Family<K>,
        add: impl Fn(&mut ScopeMetrics, About<'_>, [Nanos; 2], &mut [Series<K>]),
    ) {
        let info = family.instrument.metric.info();
        let about = About { name: family.instrument.name, description: info.help, unit: info.unit };
        let mut rest = &mut family.series[..];
        while !rest.is_empty() {
            let room = MOST.saturating_sub(self.open.points()).min(rest.len());
            if room == 0 {
                self.end();
                continue;
            }
            let (now, later) = rest.split_at_mut(room);
            add(&mut self.open, about, self.times, now);
            rest = later;
        }
    }

    fn end(&mut self) {
        let fresh = ScopeMetrics::of(&self.resource, &self.scope, 0);
        let full = std::mem::replace(&mut self.open, fresh);
        if full.points() > 0 {
            self.done.push(full.finish());
        }
    }

    fn done(mut self) -> Vec<Metrics> {
        self.end();
        self.done
    }
}

fn histogram(
    point: &mut HistogramPoint<'_>,
    [start, now]: [Nanos; 2],
    series: &mut Series<Histogram>,
) {
    let buckets = series.cell.get();
    point.times(start, now);
    point.buckets(buckets.bounds, &buckets.counts, buckets.sum);
    series.exemplars().for_each(|exemplar| point.exemplar(&exemplar));
    for (label, value) in &series.labels {
        attribute(label, value, |value| point.attribute(label, value));
    }
}

fn counter(point: &mut NumberPoint<'_>, [start, now]: [Nanos; 2], series: &mut Series<Counter>) {
    point.times(start, now);
    point.int(i64::try_from(series.cell.get()).unwrap_or(i64::MAX));
    for (label, value) in &series.labels {
        attribute(label, value, |value| point.attribute(label, value));
    }
}

/// Writes the value of a label as the conventions type it.
fn attribute(label: &str, text: &str, write: impl FnOnce(Value<'_>)) {
    match (label, text.parse(), text) {
        (SERVER_PORT, Ok(port), _) => write(Value::Int(port)),
        // The SDKs' overflow attribute is a boolean.
        ("otel.metric.overflow", _, "true") => write(Value::Bool(true)),
        _ => write(Value::Text(text)),
    }
}

/// The process, as its taps tell of it: its instance is what keeps the sums of several taps apart.
fn resource() -> Resource {
    let ours = [(SERVICE_NAME, SCOPE), (SERVICE_VERSION, env!("CARGO_PKG_VERSION"))];
    let around = surroundings().iter().map(|(key, value)| (key.as_str(), value.as_str()));
    let attributes = ours.into_iter().chain(around).map(|(key, value)| text(key, value)).collect();
    Resource { attributes, ..Resource::default() }
}

fn scope(id: &str) -> InstrumentationScope {
    InstrumentationScope {
        name: SCOPE.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        attributes: vec![text(COMPONENT, id)],
        ..InstrumentationScope::default()
    }
}

fn text(key: &str, value: &str) -> KeyValue {
    let value = Some(AnyValue { value: Some(Any::StringValue(value.to_owned())) });
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}
