//! Generated OTLP for property tests: every message, every field, all kinds of metric, odd ids, empty
//! messages. Doubles are finite; what JSON does to the others has tests of its own.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, EntityRef, InstrumentationScope, KeyValue, KeyValueList, any_value::Value,
};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::summary_data_point::ValueAtQuantile;
use opentelemetry_proto::tonic::metrics::v1::{
    Exemplar, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram,
    HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, Summary,
    SummaryDataPoint, exemplar, metric, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::{Messages, ids};

pub(crate) fn traces() -> impl Strategy<Value = ExportTraceServiceRequest> {
    let scope = (option::of(scope()), vec(span(), 0..4), text())
        .prop_map(|(scope, spans, schema_url)| ScopeSpans { scope, spans, schema_url });
    (vec((option::of(resource()), vec(scope, 0..3), text()), 0..3)).prop_map(|all| {
        let of = |(resource, scope_spans, schema_url)| ResourceSpans {
            resource,
            scope_spans,
            schema_url,
        };
        ExportTraceServiceRequest { resource_spans: all.into_iter().map(of).collect() }
    })
}

pub(crate) fn metrics() -> impl Strategy<Value = ExportMetricsServiceRequest> {
    let scope = (option::of(scope()), vec(metric(), 0..4), text())
        .prop_map(|(scope, metrics, schema_url)| ScopeMetrics { scope, metrics, schema_url });
    (vec((option::of(resource()), vec(scope, 0..3), text()), 0..3)).prop_map(|all| {
        let of = |(resource, scope_metrics, schema_url)| ResourceMetrics {
            resource,
            scope_metrics,
            schema_url,
        };
        ExportMetricsServiceRequest { resource_metrics: all.into_iter().map(of).collect() }
    })
}

pub(crate) fn logs() -> impl Strategy<Value = ExportLogsServiceRequest> {
    let scope = (option::of(scope()), vec(record(), 0..4), text())
        .prop_map(|(scope, log_records, schema_url)| ScopeLogs { scope, log_records, schema_url });
    (vec((option::of(resource()), vec(scope, 0..3), text()), 0..3)).prop_map(|all| {
        let of =
            |(resource, scope_logs, schema_url)| ResourceLogs { resource, scope_logs, schema_url };
        ExportLogsServiceRequest { resource_logs: all.into_iter().map(of).collect() }
    })
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), "[a-z.]{1,12}", any::<String>()]
}

fn double() -> impl Strategy<Value = f64> {
    use proptest::num::f64::{NEGATIVE, NORMAL, POSITIVE, SUBNORMAL, ZERO};
    prop_oneof![Just(0.0), Just(1.0), POSITIVE | NEGATIVE | NORMAL | SUBNORMAL | ZERO]
}

fn id(len: usize) -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        6 => vec(any::<u8>(), len),
        1 => Just(Vec::new()),
        1 => Just(vec![0; len]),
        1 => vec(any::<u8>(), 0..20),
    ]
}

fn nanos() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), any::<u64>()]
}

fn value() -> impl Strategy<Value = AnyValue> {
    let leaf = prop_oneof![
        text().prop_map(Value::StringValue),
        any::<bool>().prop_map(Value::BoolValue),
        any::<i64>().prop_map(Value::IntValue),
        double().prop_map(Value::DoubleValue),
        vec(any::<u8>(), 0..9).prop_map(Value::BytesValue),
    ];
    let leaf = option::weighted(0.95, leaf).prop_map(|value| AnyValue { value });
    leaf.prop_recursive(4, 12, 3, |inner| {
        let list = vec(inner.clone(), 0..3).prop_map(|values| ArrayValue { values });
        let pair = (text(), option::of(inner)).prop_map(|(key, value)| KeyValue {
            key,
            value,
            key_strindex: 0,
        });
        let map = vec(pair, 0..3).prop_map(|values| KeyValueList { values });
        prop_oneof![list.prop_map(Value::ArrayValue), map.prop_map(Value::KvlistValue)]
            .prop_map(|value| AnyValue { value: Some(value) })
    })
}

fn attributes() -> impl Strategy<Value = Vec<KeyValue>> {
    let pair =
        (text(), option::weighted(0.9, value()), prop_oneof![9 => Just(0), 1 => any::<i32>()]);
    let pair = pair.prop_map(|(key, value, key_strindex)| KeyValue { key, value, key_strindex });
    vec(pair, 0..3)
}

fn resource() -> impl Strategy<Value = Resource> {
    // Never empty: the independent JSON reader refuses an entity without all of its members.
    let word = "[a-z]{1,9}";
    let entity = (word, word, vec(text(), 1..3), vec(text(), 1..3)).prop_map(
        |(schema_url, r#type, id_keys, description_keys)| EntityRef {
            schema_url,
            r#type,
            id_keys,
            description_keys,
        },
    );
    (attributes(), any::<u32>(), vec(entity, 0..2)).prop_map(
        |(attributes, dropped_attributes_count, entity_refs)| Resource {
            attributes,
            dropped_attributes_count,
            entity_refs,
        },
    )
}

fn scope() -> impl Strategy<Value = InstrumentationScope> {
    (text(), text(), attributes(), any::<u32>()).prop_map(
        |(name, version, attributes, dropped_attributes_count)| InstrumentationScope {
            name,
            version,
            attributes,
            dropped_attributes_count,
        },
    )
}

pub(crate) fn span() -> impl Strategy<Value = Span> {
    let event = (nanos(), text(), attributes(), any::<u32>()).prop_map(
        |(time_unix_nano, name, attributes, dropped_attributes_count)| Event {
            time_unix_nano,
            name,
            attributes,
            dropped_attributes_count,
        },
    );
    let link = (id(16), id(8), text(), attributes(), any::<u32>(), any::<u32>()).prop_map(
        |(trace_id, span_id, trace_state, attributes, dropped_attributes_count, flags)| Link {
            trace_id,
            span_id,
            trace_state,
            attributes,
            dropped_attributes_count,
            flags,
        },
    );
    let status = (text(), any::<i32>()).prop_map(|(message, code)| Status { message, code });
    let head = (id(16), id(8), id(8), text(), text(), any::<i32>(), nanos(), nanos());
    let tail =
        (attributes(), vec(event, 0..3), vec(link, 0..2), option::of(status), any::<[u32; 4]>());
    (head, tail).prop_map(|(head, (attributes, events, links, status, counts))| {
        let (trace_id, span_id, parent_span_id, name, trace_state, kind, start, end) = head;
        Span {
            trace_id,
            span_id,
            parent_span_id,
            trace_state,
            name,
            kind,
            flags: counts[0],
            start_time_unix_nano: start,
            end_time_unix_nano: end,
            attributes,
            dropped_attributes_count: counts[1],
            events,
            dropped_events_count: counts[2],
            links,
            dropped_links_count: counts[3],
            status,
        }
    })
}

fn record() -> impl Strategy<Value = LogRecord> {
    let head = (nanos(), nanos(), any::<i32>(), text(), option::of(value()), attributes());
    let tail = (any::<u32>(), any::<u32>(), id(16), id(8), text());
    (head, tail).prop_map(|(head, (dropped, flags, trace_id, span_id, event_name))| {
        let (time, observed, severity_number, severity_text, body, attributes) = head;
        LogRecord {
            time_unix_nano: time,
            observed_time_unix_nano: observed,
            severity_number,
            severity_text,
            body,
            attributes,
            dropped_attributes_count: dropped,
            flags,
            trace_id,
            span_id,
            event_name,
        }
    })
}

fn exemplars() -> impl Strategy<Value = Vec<Exemplar>> {
    let value = prop_oneof![
        double().prop_map(exemplar::Value::AsDouble),
        any::<i64>().prop_map(exemplar::Value::AsInt)
    ];
    let one = (attributes(), nanos(), id(8), id(16), option::of(value)).prop_map(
        |(filtered_attributes, time_unix_nano, span_id, trace_id, value)| Exemplar {
            filtered_attributes,
            time_unix_nano,
            span_id,
            trace_id,
            value,
        },
    );
    vec(one, 0..2)
}

fn numbers() -> impl Strategy<Value = Vec<NumberDataPoint>> {
    let value = prop_oneof![
        double().prop_map(number_data_point::Value::AsDouble),
        any::<i64>().prop_map(number_data_point::Value::AsInt)
    ];
    let point = (attributes(), nanos(), nanos(), exemplars(), any::<u32>(), option::of(value));
    let point =
        point.prop_map(|(attributes, start, time, exemplars, flags, value)| NumberDataPoint {
            attributes,
            start_time_unix_nano: start,
            time_unix_nano: time,
            exemplars,
            flags,
            value,
        });
    vec(point, 0..3)
}

fn histograms() -> impl Strategy<Value = Vec<HistogramDataPoint>> {
    let head = (attributes(), nanos(), nanos(), any::<u64>(), option::of(double()));
    let tail = (vec(any::<u64>(), 0..4), vec(double(), 0..4), exemplars(), any::<u32>());
    let ends = (option::of(double()), option::of(double()));
    let point = (head, tail, ends).prop_map(|(head, tail, (min, max))| {
        let (attributes, start, time, count, sum) = head;
        let (bucket_counts, explicit_bounds, exemplars, flags) = tail;
        HistogramDataPoint {
            attributes,
            start_time_unix_nano: start,
            time_unix_nano: time,
            count,
            sum,
            bucket_counts,
            explicit_bounds,
            exemplars,
            flags,
            min,
            max,
        }
    });
    vec(point, 0..3)
}

fn exponentials() -> impl Strategy<Value = Vec<ExponentialHistogramDataPoint>> {
    let buckets = || {
        let one = (any::<i32>(), vec(any::<u64>(), 0..4));
        option::of(one.prop_map(|(offset, bucket_counts)| Buckets { offset, bucket_counts }))
    };
    let head = (attributes(), nanos(), nanos(), any::<u64>(), option::of(double()), any::<i32>());
    let tail = (any::<u64>(), buckets(), buckets(), any::<u32>(), exemplars());
    let ends = (option::of(double()), option::of(double()), double());
    let point = (head, tail, ends).prop_map(|(head, tail, (min, max, zero_threshold))| {
        let (attributes, start, time, count, sum, scale) = head;
        let (zero_count, positive, negative, flags, exemplars) = tail;
        ExponentialHistogramDataPoint {
            attributes,
            start_time_unix_nano: start,
            time_unix_nano: time,
            count,
            sum,
            scale,
            zero_count,
            positive,
            negative,
            flags,
            exemplars,
            min,
            max,
            zero_threshold,
        }
    });
    vec(point, 0..3)
}

fn summaries() -> impl Strategy<Value = Vec<SummaryDataPoint>> {
    let at = (double(), double()).prop_map(|(quantile, value)| ValueAtQuantile { quantile, value });
    let head = (attributes(), nanos(), nanos(), any::<u64>(), double());
    let point = (head, vec(at, 0..3), any::<u32>()).prop_map(|(head, quantile_values, flags)| {
        let (attributes, start, time, count, sum) = head;
        SummaryDataPoint {
            attributes,
            start_time_unix_nano: start,
            time_unix_nano: time,
            count,
            sum,
            quantile_values,
            flags,
        }
    });
    vec(point, 0..3)
}

fn metric() -> impl Strategy<Value = Metric> {
    let data = prop_oneof![
        numbers().prop_map(|data_points| metric::Data::Gauge(Gauge { data_points })),
        (numbers(), any::<i32>(), any::<bool>()).prop_map(|(data_points, t, is_monotonic)| {
            metric::Data::Sum(Sum { data_points, aggregation_temporality: t, is_monotonic })
        }),
        (histograms(), any::<i32>()).prop_map(|(data_points, aggregation_temporality)| {
            metric::Data::Histogram(Histogram { data_points, aggregation_temporality })
        }),
        (exponentials(), any::<i32>()).prop_map(|(data_points, aggregation_temporality)| {
            let data = ExponentialHistogram { data_points, aggregation_temporality };
            metric::Data::ExponentialHistogram(data)
        }),
        summaries().prop_map(|data_points| metric::Data::Summary(Summary { data_points })),
    ];
    (text(), text(), text(), attributes(), option::weighted(0.9, data)).prop_map(
        |(name, description, unit, metadata, data)| Metric {
            name,
            description,
            unit,
            metadata,
            data,
        },
    )
}

/// Says whether the ids of a decoded span are usable: the rule of [`ids`](super::ids).
pub(crate) fn usable(span: &Span) -> bool {
    ids::given(&span.trace_id, ids::TRACE_ID)
        && ids::given(&span.span_id, ids::SPAN_ID)
        && ids::absent_or(&span.parent_span_id, ids::SPAN_ID)
        && span.links.iter().all(|link| usable_pair(&link.trace_id, &link.span_id))
}

/// Says whether two ids that may be missing have their lengths.
pub(crate) fn usable_pair(trace: &[u8], span: &[u8]) -> bool {
    ids::absent_or(trace, ids::TRACE_ID) && ids::absent_or(span, ids::SPAN_ID)
}

/// Hands out every list of attributes of decoded messages for change.
pub(crate) fn each_list(messages: &mut Messages, mut each: impl FnMut(&mut Vec<KeyValue>)) {
    use opentelemetry_proto::tonic::metrics::v1::metric::Data;
    macro_rules! points {
        ($data:expr) => {
            for point in &mut $data.data_points {
                each(&mut point.attributes);
                point.exemplars.iter_mut().for_each(|e| each(&mut e.filtered_attributes));
            }
        };
    }
    match messages {
        Messages::Traces(all) => {
            for r in all {
                r.resource.iter_mut().for_each(|r| each(&mut r.attributes));
                for s in &mut r.scope_spans {
                    s.scope.iter_mut().for_each(|s| each(&mut s.attributes));
                    for span in &mut s.spans {
                        each(&mut span.attributes);
                        span.events.iter_mut().for_each(|e| each(&mut e.attributes));
                        span.links.iter_mut().for_each(|l| each(&mut l.attributes));
                    }
                }
            }
        }
        Messages::Logs(all) => {
            for r in all {
                r.resource.iter_mut().for_each(|r| each(&mut r.attributes));
                for s in &mut r.scope_logs {
                    s.scope.iter_mut().for_each(|s| each(&mut s.attributes));
                    s.log_records.iter_mut().for_each(|r| each(&mut r.attributes));
                }
            }
        }
        Messages::Metrics(all) => {
            for r in all {
                r.resource.iter_mut().for_each(|r| each(&mut r.attributes));
                for s in &mut r.scope_metrics {
                    s.scope.iter_mut().for_each(|s| each(&mut s.attributes));
                    for metric in &mut s.metrics {
                        each(&mut metric.metadata);
                        match &mut metric.data {
                            Some(Data::Gauge(d)) => points!(d),
                            Some(Data::Sum(d)) => points!(d),
                            Some(Data::Histogram(d)) => points!(d),
                            Some(Data::ExponentialHistogram(d)) => points!(d),
                            Some(Data::Summary(d)) => {
                                d.data_points.iter_mut().for_each(|p| each(&mut p.attributes));
                            }
                            None => {}
                        }
                    }
                }
            }
        }
    }
}
