//! The messages of OTLP as JSON objects, in the order of the .proto files.

use opentelemetry_proto::tonic::common::v1::{
    AnyValue, EntityRef, InstrumentationScope, KeyValue, any_value::Value,
};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::summary_data_point::ValueAtQuantile;
use opentelemetry_proto::tonic::metrics::v1::{
    Exemplar, ExponentialHistogramDataPoint, HistogramDataPoint, Metric, NumberDataPoint,
    ResourceMetrics, ScopeMetrics, SummaryDataPoint, exemplar, metric::Data, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};

use super::object::{Object, object};

/// Appends a `TracesData` document, without a newline.
pub fn write_traces(out: &mut Vec<u8>, all: &[ResourceSpans]) {
    object(out, |o| o.messages("resourceSpans", all, resource_spans));
}

/// Appends a `MetricsData` document, without a newline.
pub fn write_metrics(out: &mut Vec<u8>, all: &[ResourceMetrics]) {
    object(out, |o| o.messages("resourceMetrics", all, resource_metrics));
}

/// Appends a `LogsData` document, without a newline.
pub fn write_logs(out: &mut Vec<u8>, all: &[ResourceLogs]) {
    object(out, |o| o.messages("resourceLogs", all, resource_logs));
}

fn resource_spans(o: &mut Object<'_>, m: &ResourceSpans) {
    o.message("resource", m.resource.as_ref(), resource);
    o.messages("scopeSpans", &m.scope_spans, scope_spans);
    o.text("schemaUrl", &m.schema_url);
}

fn scope_spans(o: &mut Object<'_>, m: &ScopeSpans) {
    o.message("scope", m.scope.as_ref(), scope);
    o.messages("spans", &m.spans, span);
    o.text("schemaUrl", &m.schema_url);
}

fn span(o: &mut Object<'_>, m: &Span) {
    o.hex("traceId", &m.trace_id);
    o.hex("spanId", &m.span_id);
    o.text("traceState", &m.trace_state);
    o.hex("parentSpanId", &m.parent_span_id);
    o.u32("flags", m.flags);
    o.text("name", &m.name);
    o.i32("kind", m.kind);
    o.u64("startTimeUnixNano", m.start_time_unix_nano);
    o.u64("endTimeUnixNano", m.end_time_unix_nano);
    o.messages("attributes", &m.attributes, key_value);
    o.u32("droppedAttributesCount", m.dropped_attributes_count);
    o.messages("events", &m.events, event);
    o.u32("droppedEventsCount", m.dropped_events_count);
    o.messages("links", &m.links, link);
    o.u32("droppedLinksCount", m.dropped_links_count);
    o.message("status", m.status.as_ref(), status);
}

fn event(o: &mut Object<'_>, m: &Event) {
    o.u64("timeUnixNano", m.time_unix_nano);
    o.text("name", &m.name);
    o.messages("attributes", &m.attributes, key_value);
    o.u32("droppedAttributesCount", m.dropped_attributes_count);
}

fn link(o: &mut Object<'_>, m: &Link) {
    o.hex("traceId", &m.trace_id);
    o.hex("spanId", &m.span_id);
    o.text("traceState", &m.trace_state);
    o.messages("attributes", &m.attributes, key_value);
    o.u32("droppedAttributesCount", m.dropped_attributes_count);
    o.u32("flags", m.flags);
}

fn status(o: &mut Object<'_>, m: &Status) {
    o.text("message", &m.message);
    o.i32("code", m.code);
}

fn resource_metrics(o: &mut Object<'_>, m: &ResourceMetrics) {
    o.message("resource", m.resource.as_ref(), resource);
    o.messages("scopeMetrics", &m.scope_metrics, scope_metrics);
    o.text("schemaUrl", &m.schema_url);
}

fn scope_metrics(o: &mut Object<'_>, m: &ScopeMetrics) {
    o.message("scope", m.scope.as_ref(), scope);
    o.messages("metrics", &m.metrics, metric);
    o.text("schemaUrl", &m.schema_url);
}

fn metric(o: &mut Object<'_>, m: &Metric) {
    o.text("name", &m.name);
    o.text("description", &m.description);
    o.text("unit", &m.unit);
    match &m.data {
        None => {}
        Some(Data::Gauge(d)) => o.always_message("gauge", |o| {
            o.messages("dataPoints", &d.data_points, number_point);
        }),
        Some(Data::Sum(d)) => o.always_message("sum", |o| {
            o.messages("dataPoints", &d.data_points, number_point);
            o.i32("aggregationTemporality", d.aggregation_temporality);
            o.bool("isMonotonic", d.is_monotonic);
        }),
        Some(Data::Histogram(d)) => o.always_message("histogram", |o| {
            o.messages("dataPoints", &d.data_points, histogram_point);
            o.i32("aggregationTemporality", d.aggregation_temporality);
        }),
        Some(Data::ExponentialHistogram(d)) => o.always_message("exponentialHistogram", |o| {
            o.messages("dataPoints", &d.data_points, exponential_point);
            o.i32("aggregationTemporality", d.aggregation_temporality);
        }),
        Some(Data::Summary(d)) => o.always_message("summary", |o| {
            o.messages("dataPoints", &d.data_points, summary_point);
        }),
    }
    o.messages("metadata", &m.metadata, key_value);
}

fn number_point(o: &mut Object<'_>, m: &NumberDataPoint) {
    o.messages("attributes", &m.attributes, key_value);
    o.u64("startTimeUnixNano", m.start_time_unix_nano);
    o.u64("timeUnixNano", m.time_unix_nano);
    match m.value {
        None => {}
        Some(number_data_point::Value::AsDouble(v)) => o.always_f64("asDouble", v),
        Some(number_data_point::Value::AsInt(v)) => o.always_i64("asInt", v),
    }
    o.messages("exemplars", &m.exemplars, exemplar);
    o.u32("flags", m.flags);
}

fn histogram_point(o: &mut Object<'_>, m: &HistogramDataPoint) {
    o.messages("attributes", &m.attributes, key_value);
    o.u64("startTimeUnixNano", m.start_time_unix_nano);
    o.u64("timeUnixNano", m.time_unix_nano);
    o.u64("count", m.count);
    o.optional_f64("sum", m.sum);
    o.u64s("bucketCounts", &m.bucket_counts);
    o.f64s("explicitBounds", &m.explicit_bounds);
    o.messages("exemplars", &m.exemplars, exemplar);
    o.u32("flags", m.flags);
    o.optional_f64("min", m.min);
    o.optional_f64("max", m.max);
}

fn exponential_point(o: &mut Object<'_>, m: &ExponentialHistogramDataPoint) {
    o.messages("attributes", &m.attributes, key_value);
    o.u64("startTimeUnixNano", m.start_time_unix_nano);
    o.u64("timeUnixNano", m.time_unix_nano);
    o.u64("count", m.count);
    o.optional_f64("sum", m.sum);
    o.i32("scale", m.scale);
    o.u64("zeroCount", m.zero_count);
    o.message("positive", m.positive.as_ref(), buckets);
    o.message("negative", m.negative.as_ref(), buckets);
    o.u32("flags", m.flags);
    o.messages("exemplars", &m.exemplars, exemplar);
    o.optional_f64("min", m.min);
    o.optional_f64("max", m.max);
    o.f64("zeroThreshold", m.zero_threshold);
}

fn buckets(o: &mut Object<'_>, m: &Buckets) {
    o.i32("offset", m.offset);
    o.u64s("bucketCounts", &m.bucket_counts);
}

fn summary_point(o: &mut Object<'_>, m: &SummaryDataPoint) {
    o.messages("attributes", &m.attributes, key_value);
    o.u64("startTimeUnixNano", m.start_time_unix_nano);
    o.u64("timeUnixNano", m.time_unix_nano);
    o.u64("count", m.count);
    o.f64("sum", m.sum);
    o.messages("quantileValues", &m.quantile_values, value_at_quantile);
    o.u32("flags", m.flags);
}

fn value_at_quantile(o: &mut Object<'_>, m: &ValueAtQuantile) {
    o.f64("quantile", m.quantile);
    o.f64("value", m.value);
}

fn exemplar(o: &mut Object<'_>, m: &Exemplar) {
    o.messages("filteredAttributes", &m.filtered_attributes, key_value);
    o.u64("timeUnixNano", m.time_unix_nano);
    match m.value {
        None => {}
        Some(exemplar::Value::AsDouble(v)) => o.always_f64("asDouble", v),
        Some(exemplar::Value::AsInt(v)) => o.always_i64("asInt", v),
    }
    o.hex("spanId", &m.span_id);
    o.hex("traceId", &m.trace_id);
}

fn resource_logs(o: &mut Object<'_>, m: &ResourceLogs) {
    o.message("resource", m.resource.as_ref(), resource);
    o.messages("scopeLogs", &m.scope_logs, scope_logs);
    o.text("schemaUrl", &m.schema_url);
}

fn scope_logs(o: &mut Object<'_>, m: &ScopeLogs) {
    o.message("scope", m.scope.as_ref(), scope);
    o.messages("logRecords", &m.log_records, log_record);
    o.text("schemaUrl", &m.schema_url);
}

fn log_record(o: &mut Object<'_>, m: &LogRecord) {
    o.u64("timeUnixNano", m.time_unix_nano);
    o.u64("observedTimeUnixNano", m.observed_time_unix_nano);
    o.i32("severityNumber", m.severity_number);
    o.text("severityText", &m.severity_text);
    o.message("body", m.body.as_ref(), any_value);
    o.messages("attributes", &m.attributes, key_value);
    o.u32("droppedAttributesCount", m.dropped_attributes_count);
    o.u32("flags", m.flags);
    o.hex("traceId", &m.trace_id);
    o.hex("spanId", &m.span_id);
    o.text("eventName", &m.event_name);
}

fn resource(o: &mut Object<'_>, m: &Resource) {
    o.messages("attributes", &m.attributes, key_value);
    o.u32("droppedAttributesCount", m.dropped_attributes_count);
    o.messages("entityRefs", &m.entity_refs, entity_ref);
}

fn entity_ref(o: &mut Object<'_>, m: &EntityRef) {
    o.text("schemaUrl", &m.schema_url);
    o.text("type", &m.r#type);
    o.texts("idKeys", &m.id_keys);
    o.texts("descriptionKeys", &m.description_keys);
}

fn scope(o: &mut Object<'_>, m: &InstrumentationScope) {
    o.text("name", &m.name);
    o.text("version", &m.version);
    o.messages("attributes", &m.attributes, key_value);
    o.u32("droppedAttributesCount", m.dropped_attributes_count);
}

/// The key is written even when it is empty: readers exist that refuse a pair without one.
fn key_value(o: &mut Object<'_>, m: &KeyValue) {
    o.always_text("key", &m.key);
    o.message("value", m.value.as_ref(), any_value);
    o.i32("keyStrindex", m.key_strindex);
}

/// Empty lists are written out, for the readers that take `{"arrayValue":{}}` for a mistake.
fn any_value(o: &mut Object<'_>, m: &AnyValue) {
    match &m.value {
        None => {}
        Some(Value::StringValue(v)) => o.always_text("stringValue", v),
        Some(Value::BoolValue(v)) => o.always_bool("boolValue", *v),
        Some(Value::IntValue(v)) => o.always_i64("intValue", *v),
        Some(Value::DoubleValue(v)) => o.always_f64("doubleValue", *v),
        Some(Value::ArrayValue(v)) => o.always_message("arrayValue", |o| {
            o.always_messages("values", &v.values, any_value);
        }),
        Some(Value::KvlistValue(v)) => o.always_message("kvlistValue", |o| {
            o.always_messages("values", &v.values, key_value);
        }),
        Some(Value::BytesValue(v)) => o.always_base64("bytesValue", v),
        Some(Value::StringValueStrindex(v)) => o.always_i32("stringValueStrindex", *v),
    }
}
