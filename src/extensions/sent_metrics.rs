//! Sends the metrics of the process as OTLP, at intervals and once more at the end: what a `periodic` reader of
//! `service.telemetry.metrics` asks for. It is none that `extensions` may name.
//!
//! Each sending has all of them since the start of the process, so one that fails is made good by the next: there is no
//! queue and no second try. The exporter is the one that pipelines have.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry_proto::tonic::common::v1::any_value::Value as AnyValue;
use opentelemetry_proto::tonic::common::v1::{AnyValue as Any, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use tokio::time::{Instant, sleep, timeout_at};

use super::own_metrics::Begun;
use crate::metrics::{Family, Kind, Labels, Metrics, RateLimitedLog, Reading, process};
use crate::otlp::wire::compose::{About, NumberPoint, ScopeMetrics, Temporality, Value};
use crate::pipeline::{
    BoxFuture, Build, Exporter, ExporterConfig, Extension, ExtensionConfig, Stop,
};
use crate::telemetry::names::SCOPE;
use crate::telemetry::{Clock, Nanos, Signal, Telemetry};

/// About what all of them take, in bytes.
const USUAL: usize = 64 << 10;

/// Says how they are sent.
#[derive(Clone)]
pub struct Config {
    /// Holds what sends them.
    pub exporter: Arc<dyn ExporterConfig>,
    /// From one sending to the next.
    pub interval: Duration,
    /// Says how long one may take.
    pub timeout: Duration,
    /// Attributes of the process.
    pub resource: Vec<(String, String)>,
}

impl ExtensionConfig for Config {
    fn build(&self, cx: &Build<'_>) -> anyhow::Result<Box<dyn Extension>> {
        Ok(Box::new(SentMetrics {
            places: self.exporter.places(&[Signal::Metrics]),
            exporter: self.exporter.build(cx)?,
            interval: self.interval,
            timeout: self.timeout,
            resource: resource(&self.resource),
            metrics: cx.metrics().clone(),
            begun: Begun::of(cx),
            clock: cx.clock.clone(),
            failing: RateLimitedLog::default(),
        }))
    }
}

struct SentMetrics {
    places: Vec<String>,
    exporter: Box<dyn Exporter>,
    interval: Duration,
    timeout: Duration,
    resource: Resource,
    metrics: Metrics,
    begun: Arc<Begun>,
    clock: Clock,
    failing: RateLimitedLog,
}

impl Extension for SentMetrics {
    fn open(&mut self) -> BoxFuture<'_, anyhow::Result<()>> {
        Box::pin(async {
            tracing::info!("sending metrics to {}", self.places.join(", "));
            Ok(())
        })
    }

    fn run(self: Box<Self>, mut stop: Stop) -> BoxFuture<'static, anyhow::Result<()>> {
        Box::pin(async move {
            let over = loop {
                let sending = async {
                    sleep(self.interval).await;
                    self.send(Instant::now() + self.timeout).await;
                };
                tokio::select! {
                    () = sending => {}
                    deadline = stop.given() => break deadline.over(),
                }
            };
            self.send(over.min(Instant::now() + self.timeout)).await;
            Ok(())
        })
    }
}

impl SentMetrics {
    async fn send(&self, until: Instant) {
        let mut families = process(self.begun.since.elapsed());
        families.append(&mut self.metrics.read());
        let all = telemetry(&families, &self.resource, self.begun.at, self.clock.now());
        let failed = match timeout_at(until, self.exporter.export(&all)).await {
            Ok(Ok(sent)) if sent.rejected == 0 => return,
            Ok(Ok(sent)) => format!("{} of them were rejected: {}", sent.rejected, sent.message),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "no answer in time".to_owned(),
        };
        if let Some(unsaid) = self.failing.due() {
            tracing::warn!(unsaid, "own metrics were not sent, and are with the next: {failed}");
        }
    }
}

fn resource(attributes: &[(String, String)]) -> Resource {
    let attribute = |(key, value): &(String, String)| KeyValue {
        key: key.clone(),
        value: Some(Any { value: Some(AnyValue::StringValue(value.clone())) }),
        ..KeyValue::default()
    };
    Resource { attributes: attributes.iter().map(attribute).collect(), ..Resource::default() }
}

/// Writes them, cumulative since the start.
fn telemetry(families: &[Family], resource: &Resource, start: Nanos, now: Nanos) -> Telemetry {
    let scope = InstrumentationScope {
        name: SCOPE.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..InstrumentationScope::default()
    };
    let mut metrics = ScopeMetrics::of(resource, &scope, USUAL);
    for Family { info, series } in families {
        let about = About { name: info.name, description: info.help, unit: info.unit };
        let number = |point: &mut NumberPoint<'_>, (labels, reading): &(Labels, Reading)| {
            // A gauge has no beginning.
            point.times(if info.kind == Kind::Gauge { 0 } else { start }, now);
            match reading {
                Reading::Counter(n) => point.int(i64::try_from(*n).unwrap_or(i64::MAX)),
                Reading::Gauge(n) => point.int(*n),
                Reading::Ratio(n) | Reading::Seconds(n) => point.double(*n),
                // One is declared a histogram, and goes the other way.
                Reading::Histogram(_) => {}
            }
            for (name, value) in labels {
                point.attribute(name, Value::Text(value));
            }
        };
        match info.kind {
            Kind::Counter => metrics.sum(about, Temporality::Cumulative, true, series, number),
            Kind::Gauge => metrics.gauge(about, series, number),
            Kind::Histogram(_) => {
                let histograms = series.iter().filter_map(|(labels, reading)| match reading {
                    Reading::Histogram(buckets) => Some((labels, buckets)),
                    _ => None,
                });
                metrics.histogram(about, Temporality::Cumulative, histograms, |point, of| {
                    let (labels, buckets) = of;
                    point.times(start, now);
                    point.buckets(buckets.bounds, &buckets.counts, buckets.sum);
                    for (name, value) in labels {
                        point.attribute(name, Value::Text(value));
                    }
                });
            }
        }
    }
    metrics.finish().into()
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
    use opentelemetry_proto::tonic::metrics::v1::metric::Data;
    use prost::Message as _;

    use super::*;
    use crate::metrics::names;

    #[test]
    fn every_kind_is_written_since_the_start() {
        let metrics = Metrics::default();
        metrics.counter(&names::DROPPED, &[("reason", "gap")]).add(7);
        metrics.gauge(&names::HTTP_CONNECTIONS, &[]).set(3);
        metrics.histogram(&names::EXPORTER_ATTEMPT_SECONDS, &[("exporter", "a")]).record(0.5);
        let mut families = process(Duration::from_millis(1500));
        families.append(&mut metrics.read());
        let resource = resource(&[("service.name".into(), "mcpcol".into())]);
        let sent = telemetry(&families, &resource, 5, 9);
        let read = ExportMetricsServiceRequest::decode(&**sent.wire()).unwrap();
        let of = &read.resource_metrics[0];
        assert_eq!(of.resource.as_ref().unwrap().attributes[0].key, "service.name");
        let find = |name: &str| {
            let all = &of.scope_metrics[0].metrics;
            all.iter().find(|metric| metric.name == name).unwrap().data.clone().unwrap()
        };
        let Data::Sum(sum) = find("mcpcol_dropped_items") else { panic!("no sum") };
        let point = &sum.data_points[0];
        assert!(sum.is_monotonic && sum.aggregation_temporality == 2);
        assert_eq!((point.start_time_unix_nano, point.time_unix_nano), (5, 9));
        assert_eq!(point.attributes[0].key, "reason");
        let Data::Gauge(gauge) = find("mcpcol_http_connections") else { panic!("no gauge") };
        assert_eq!(gauge.data_points[0].start_time_unix_nano, 0);
        let Data::Histogram(histogram) = find("mcpcol_exporter_attempt_duration_seconds") else {
            panic!("no histogram")
        };
        assert_eq!((histogram.data_points[0].count, histogram.data_points[0].sum), (1, Some(0.5)));
        let Data::Sum(uptime) = find("otelcol_process_uptime") else { panic!("no sum") };
        assert!(format!("{:?}", uptime.data_points[0].value).contains("1.5"));
        assert_eq!(sent.items(), families.iter().map(|family| family.series.len()).sum::<usize>());
    }
}
