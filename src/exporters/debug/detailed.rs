//! `verbosity: detailed`: everything, in the order and with the words of the Collector's.

use std::fmt;

use opentelemetry_proto::tonic::common::v1::{InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::{
    Metric, NumberDataPoint, metric::Data, summary_data_point::ValueAtQuantile,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{Span, span::SpanKind, status::StatusCode};

use super::normal::Number;
use super::page::{Page, Timestamp, Typed};
use crate::otlp::Messages;

pub(super) fn batch(page: &mut Page, messages: &Messages) {
    match messages {
        Messages::Traces(all) => {
            for r in all {
                resource(page, r.resource.as_ref());
                for s in &r.scope_spans {
                    scope(page, s.scope.as_ref());
                    s.spans.iter().enumerate().for_each(|(i, item)| span(page, i, item));
                }
            }
        }
        Messages::Metrics(all) => {
            for r in all {
                resource(page, r.resource.as_ref());
                for s in &r.scope_metrics {
                    scope(page, s.scope.as_ref());
                    s.metrics.iter().enumerate().for_each(|(i, item)| metric(page, i, item));
                }
            }
        }
        Messages::Logs(all) => {
            for r in all {
                resource(page, r.resource.as_ref());
                for s in &r.scope_logs {
                    scope(page, s.scope.as_ref());
                    s.log_records.iter().enumerate().for_each(|(i, item)| record(page, i, item));
                }
            }
        }
    }
}

fn resource(page: &mut Page, resource: Option<&Resource>) {
    page.line(format_args!("Resource"));
    attributes(page, resource.map_or(&[], |r| &r.attributes));
}

fn scope(page: &mut Page, scope: Option<&InstrumentationScope>) {
    let (name, version) = scope.map_or(("", ""), |s| (&s.name, &s.version));
    page.line(format_args!("Scope {name} {version}"));
    attributes(page, scope.map_or(&[], |s| &s.attributes));
}

fn attributes(page: &mut Page, attributes: &[KeyValue]) {
    if attributes.is_empty() {
        return;
    }
    page.line(format_args!("Attributes:"));
    for pair in attributes {
        page.line(format_args!("     -> {}: {}", pair.key, Typed(pair.value.as_ref())));
    }
}

fn field(page: &mut Page, name: &str, value: impl fmt::Display) {
    page.line(format_args!("    {name:<15}: {value}"));
}

fn span(page: &mut Page, i: usize, span: &Span) {
    page.line(format_args!("Span #{i}"));
    field(page, "Trace ID", Hex(&span.trace_id));
    field(page, "Parent ID", Hex(&span.parent_span_id));
    field(page, "ID", Hex(&span.span_id));
    field(page, "Name", &span.name);
    field(page, "Kind", kind(span.kind));
    if !span.trace_state.is_empty() {
        field(page, "Trace state", &span.trace_state);
    }
    field(page, "Start time", Timestamp(span.start_time_unix_nano));
    field(page, "End time", Timestamp(span.end_time_unix_nano));
    let status = span.status.clone().unwrap_or_default();
    field(page, "Status code", status_code(status.code));
    field(page, "Status message", &status.message);
    attributes(page, &span.attributes);
    for (i, event) in span.events.iter().enumerate() {
        page.line(format_args!("Event #{i}"));
        field(page, "Name", &event.name);
        field(page, "Time", Timestamp(event.time_unix_nano));
        attributes(page, &event.attributes);
    }
    for (i, link) in span.links.iter().enumerate() {
        page.line(format_args!("Link #{i}"));
        field(page, "Trace ID", Hex(&link.trace_id));
        field(page, "ID", Hex(&link.span_id));
        attributes(page, &link.attributes);
    }
}

fn record(page: &mut Page, i: usize, record: &LogRecord) {
    page.line(format_args!("LogRecord #{i}"));
    field(page, "Observed time", Timestamp(record.observed_time_unix_nano));
    field(page, "Time", Timestamp(record.time_unix_nano));
    field(page, "Severity", &record.severity_text);
    field(page, "Severity number", record.severity_number);
    field(page, "Event name", &record.event_name);
    field(page, "Body", Typed(record.body.as_ref()));
    attributes(page, &record.attributes);
    field(page, "Trace ID", Hex(&record.trace_id));
    field(page, "Span ID", Hex(&record.span_id));
    field(page, "Flags", record.flags);
}

fn metric(page: &mut Page, i: usize, metric: &Metric) {
    page.line(format_args!("Metric #{i}"));
    field(page, "Name", &metric.name);
    field(page, "Description", &metric.description);
    field(page, "Unit", &metric.unit);
    match &metric.data {
        None => field(page, "Type", "none"),
        Some(Data::Gauge(d)) => {
            field(page, "Type", "Gauge");
            numbers(page, &d.data_points);
        }
        Some(Data::Sum(d)) => {
            field(page, "Type", "Sum");
            field(page, "Monotonic", d.is_monotonic);
            field(page, "Temporality", temporality(d.aggregation_temporality));
            numbers(page, &d.data_points);
        }
        Some(Data::Histogram(d)) => {
            field(page, "Type", "Histogram");
            field(page, "Temporality", temporality(d.aggregation_temporality));
            for (i, p) in d.data_points.iter().enumerate() {
                point(page, i, &p.attributes, p.start_time_unix_nano, p.time_unix_nano);
                field(page, "Count", p.count);
                summary(page, p.sum, p.min, p.max);
                field(page, "Bounds", format_args!("{:?}", p.explicit_bounds));
                field(page, "Buckets", format_args!("{:?}", p.bucket_counts));
            }
        }
        Some(Data::ExponentialHistogram(d)) => {
            field(page, "Type", "ExponentialHistogram");
            field(page, "Temporality", temporality(d.aggregation_temporality));
            for (i, p) in d.data_points.iter().enumerate() {
                point(page, i, &p.attributes, p.start_time_unix_nano, p.time_unix_nano);
                field(page, "Count", p.count);
                summary(page, p.sum, p.min, p.max);
                field(page, "Scale", p.scale);
                field(page, "Zero count", p.zero_count);
                for (name, buckets) in [("Positive", &p.positive), ("Negative", &p.negative)] {
                    if let Some(b) = buckets {
                        field(page, name, format_args!("from {} {:?}", b.offset, b.bucket_counts));
                    }
                }
            }
        }
        Some(Data::Summary(d)) => {
            field(page, "Type", "Summary");
            for (i, p) in d.data_points.iter().enumerate() {
                point(page, i, &p.attributes, p.start_time_unix_nano, p.time_unix_nano);
                field(page, "Count", p.count);
                summary(page, Some(p.sum), None, None);
                for ValueAtQuantile { quantile, value } in &p.quantile_values {
                    field(page, "Quantile", format_args!("{quantile} is {value}"));
                }
            }
        }
    }
}

fn numbers(page: &mut Page, points: &[NumberDataPoint]) {
    for (i, p) in points.iter().enumerate() {
        point(page, i, &p.attributes, p.start_time_unix_nano, p.time_unix_nano);
        field(page, "Value", Number(p.value));
    }
}

fn point(page: &mut Page, i: usize, labels: &[KeyValue], start: u64, time: u64) {
    page.line(format_args!("Data point #{i}"));
    attributes(page, labels);
    field(page, "Start time", Timestamp(start));
    field(page, "Time", Timestamp(time));
}

fn summary(page: &mut Page, sum: Option<f64>, min: Option<f64>, max: Option<f64>) {
    for (name, value) in [("Sum", sum), ("Min", min), ("Max", max)] {
        if let Some(value) = value {
            field(page, name, value);
        }
    }
}

struct Hex<'a>(&'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

fn kind(kind: i32) -> &'static str {
    match SpanKind::try_from(kind) {
        Ok(SpanKind::Internal) => "Internal",
        Ok(SpanKind::Server) => "Server",
        Ok(SpanKind::Client) => "Client",
        Ok(SpanKind::Producer) => "Producer",
        Ok(SpanKind::Consumer) => "Consumer",
        Ok(SpanKind::Unspecified) | Err(_) => "Unspecified",
    }
}

fn status_code(code: i32) -> &'static str {
    match StatusCode::try_from(code) {
        Ok(StatusCode::Ok) => "Ok",
        Ok(StatusCode::Error) => "Error",
        Ok(StatusCode::Unset) | Err(_) => "Unset",
    }
}

fn temporality(t: i32) -> &'static str {
    match t {
        1 => "Delta",
        2 => "Cumulative",
        _ => "Unspecified",
    }
}
