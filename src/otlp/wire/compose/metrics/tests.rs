//! Compares composed metrics with what an encoder of the messages writes, and through the check.

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1 as pb;
use opentelemetry_proto::tonic::metrics::v1::{exemplar, metric, number_data_point};
use prost::Message as _;

use super::*;
use crate::otlp::Request;
use crate::otlp::wire::check;

const EXEMPLAR: Exemplar = Exemplar { time: 5, value: 0.75, trace: [1; 16], span: [2; 8] };

fn attribute(key: &str, text: &str) -> KeyValue {
    let value = any_value::Value::StringValue(text.to_owned());
    let value = Some(AnyValue { value: Some(value) });
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}

fn exemplar() -> pb::Exemplar {
    pb::Exemplar {
        time_unix_nano: 5,
        value: Some(exemplar::Value::AsDouble(0.75)),
        trace_id: vec![1; 16],
        span_id: vec![2; 8],
        ..pb::Exemplar::default()
    }
}

fn metric(text: &str, data: metric::Data) -> pb::Metric {
    pb::Metric {
        name: "name".into(),
        description: text.into(),
        unit: "s".into(),
        data: Some(data),
        ..pb::Metric::default()
    }
}

/// The request with a resource of the attribute `text` and these metrics.
fn request(text: &str, metrics: Vec<pb::Metric>) -> ExportMetricsServiceRequest {
    let scope = Some(InstrumentationScope { name: "s".into(), ..Default::default() });
    ExportMetricsServiceRequest {
        resource_metrics: vec![pb::ResourceMetrics {
            resource: Some(resource(text)),
            scope_metrics: vec![pb::ScopeMetrics { scope, metrics, ..Default::default() }],
            ..Default::default()
        }],
    }
}

fn resource(text: &str) -> Resource {
    Resource { attributes: vec![attribute("r", text)], ..Resource::default() }
}

fn begun(text: &str, guess: usize) -> ScopeMetrics {
    let scope = InstrumentationScope { name: "s".into(), ..Default::default() };
    ScopeMetrics::of(&resource(text), &scope, guess)
}

fn histogram(text: &str, counts: &[u64], bounds: &[f64]) -> pb::HistogramDataPoint {
    pb::HistogramDataPoint {
        attributes: vec![attribute("k", text)],
        start_time_unix_nano: 1,
        time_unix_nano: 2,
        count: counts.iter().sum(),
        sum: Some(0.0),
        bucket_counts: counts.to_vec(),
        explicit_bounds: bounds.to_vec(),
        exemplars: vec![exemplar(), exemplar()],
        ..Default::default()
    }
}

/// Says where lengths grow by a byte, and however many bytes are thought of.
#[test]
fn what_is_composed_of_metrics_is_what_an_encoder_writes() {
    use number_data_point::Value::{AsDouble, AsInt};
    let number = |text: &str, value| pb::NumberDataPoint {
        attributes: vec![attribute("k", text)],
        start_time_unix_nano: 1,
        time_unix_nano: 2,
        value: Some(value),
        exemplars: vec![exemplar()],
        ..Default::default()
    };
    for long in [0, 1, 90, 119, 127, 128, 16_300, 16_384, 70_000] {
        let text = "x".repeat(long);
        let sum = pb::Sum {
            data_points: vec![number(&text, AsInt(0)), number(&text, AsInt(-7))],
            aggregation_temporality: 2,
            is_monotonic: true,
        };
        let gauge = pb::Gauge { data_points: vec![number(&text, AsDouble(0.0))] };
        let (counts, bounds) = ([0, 3, u64::MAX >> 1], [-0.5, 2.0]);
        let spread = pb::Histogram {
            data_points: vec![histogram(&text, &counts, &bounds), histogram(&text, &[0], &[])],
            aggregation_temporality: 1,
        };
        let expected = request(
            &text,
            vec![
                metric(&text, metric::Data::Sum(sum)),
                metric(&text, metric::Data::Gauge(gauge)),
                metric(&text, metric::Data::Histogram(spread)),
            ],
        );
        let about = About { name: "name", description: &text, unit: "s" };
        for guess in [0, 1000, 100_000] {
            let mut all = begun(&text, guess);
            let attribute = |point: &mut NumberPoint<'_>| {
                point.exemplar(&EXEMPLAR);
                point.attribute("k", Value::Text(&text));
            };
            all.sum(about, Temporality::Cumulative, true, [0, -7], |point, value| {
                point.times(1, 2);
                point.int(value);
                attribute(point);
            });
            all.gauge(about, [0.0], |point, value| {
                point.times(1, 2);
                point.double(value);
                attribute(point);
            });
            let points = [(&bounds[..], &counts[..]), (&[], &[0])];
            all.histogram(about, Temporality::Delta, points, |point, (bounds, counts)| {
                point.times(1, 2);
                point.buckets(bounds, counts, 0.0);
                point.exemplar(&EXEMPLAR);
                point.exemplar(&EXEMPLAR);
                point.attribute("k", Value::Text(&text));
            });
            assert_eq!(all.points(), 5);
            let (bytes, points) = all.finish().into_parts();
            assert_eq!((points, &bytes), (5, &expected.encode_to_vec()));
            let decoded = ExportMetricsServiceRequest::decode(bytes.as_slice()).unwrap();
            assert_eq!(decoded, expected);
            let found = check(Request::Metrics, bytes.clone().into()).unwrap();
            assert_eq!(found.broken(), 0);
            let checked = found.repaired().unwrap();
            assert_eq!((checked.items(), checked.bad()), (5, 0));
            assert_eq!(checked.into_bytes(), bytes, "it is regular as it is");
        }
    }
}

#[test]
fn a_metric_without_points_and_values_of_nothing_are_good_too() {
    let mut all = begun("", 0);
    all.gauge(About::default(), [(); 0], |_, ()| ());
    all.sum(About::default(), Temporality::Delta, false, [()], |_, ()| ());
    all.histogram(About::default(), Temporality::Cumulative, [()], |_, ()| ());
    let (bytes, points) = all.finish().into_parts();
    let found = check(Request::Metrics, bytes.clone().into()).unwrap();
    assert_eq!((points, found.repaired().unwrap().items()), (2, 2));
    let sent = ExportMetricsServiceRequest::decode(bytes.as_slice()).unwrap();
    assert_eq!(sent.resource_metrics[0].scope_metrics[0].metrics.len(), 3);
}

#[test]
fn requests_join() {
    let one = || {
        let mut all = begun("r", 0);
        all.gauge(About::default(), [1, 2], |point, value| point.int(value));
        all.finish()
    };
    let mut both = Metrics::default();
    both.join(one());
    both.join(one());
    let (bytes, points) = both.into_parts();
    let found = check(Request::Metrics, bytes.into()).unwrap();
    assert_eq!((points, found.repaired().unwrap().items()), (4, 4));
}
