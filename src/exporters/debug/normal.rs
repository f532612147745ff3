//! `verbosity: normal`: a line a span, data point or log record.

use std::fmt;

use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::{Metric, metric::Data, number_data_point};
use opentelemetry_proto::tonic::trace::v1::{Span, status::StatusCode};

use super::page::{Page, Paint, TimeOfDay, Typed, elapsed, size};
use crate::otlp::Messages;
use crate::telemetry::{Nanos, names};

pub(super) fn batch(page: &mut Page, messages: &Messages) {
    match messages {
        Messages::Traces(all) => {
            let scopes = all.iter().flat_map(|r| &r.scope_spans);
            scopes.flat_map(|s| &s.spans).for_each(|s| span(page, s));
        }
        Messages::Metrics(all) => {
            let scopes = all.iter().flat_map(|r| &r.scope_metrics);
            scopes.flat_map(|s| &s.metrics).for_each(|m| metric(page, m));
        }
        Messages::Logs(all) => {
            let scopes = all.iter().flat_map(|r| &r.scope_logs);
            scopes.flat_map(|s| &s.log_records).for_each(|r| record(page, r));
        }
    }
}

/// `18:42:02.120  tools/call search_web            12.3ms  client_error    120B > 4.1kB  -32602`
fn span(page: &mut Page, span: &Span) {
    let code = span.status.as_ref().map_or(0, |status| status.code);
    let failed = code == StatusCode::Error as i32;
    let outcome = text(&span.attributes, names::OUTCOME).unwrap_or(match code {
        _ if failed => "error",
        1 => "ok",
        _ => "-",
    });
    let (start, end) = (span.start_time_unix_nano, span.end_time_unix_nano);
    // One time alone is no duration.
    let took = match start == 0 || end == 0 {
        true => "-".to_owned(),
        false => elapsed(end.saturating_sub(start)),
    };
    let bytes = |name| int(&span.attributes, name).map(size);
    let sizes = match (bytes(names::REQUEST_SIZE), bytes(names::RESPONSE_SIZE)) {
        (Some(request), Some(response)) => format!("{request:>7} > {response}"),
        (Some(request), None) => format!("{request:>7}"),
        _ => String::new(),
    };
    // An error code says more than the outcome; where it is the same word, once is enough.
    let error = text(&span.attributes, names::ERROR_TYPE).filter(|error| *error != outcome);
    let error = error.unwrap_or_default();
    let rest = format!("{sizes:<18} {error}");
    let paint =
        if failed { Some(Paint::Red) } else { Some(Paint::Green).filter(|_| outcome == "ok") };
    page.cells(&[
        (Some(Paint::Dim), format_args!("{}", TimeOfDay(span.start_time_unix_nano))),
        (None, format_args!("  {:<36} {took:>8}  ", span.name)),
        (paint, format_args!("{outcome:<14}")),
        (Some(Paint::Dim), format_args!(" {}", rest.trim_end())),
    ]);
}

/// `18:42:02.120  INFO   something happened`
fn record(page: &mut Page, record: &LogRecord) {
    let time = match record.time_unix_nano {
        0 => record.observed_time_unix_nano,
        time => time,
    };
    let paint = (record.severity_number >= 17).then_some(Paint::Red);
    page.cells(&[
        (Some(Paint::Dim), format_args!("{}", TimeOfDay(time))),
        (paint, format_args!("  {:<5}", record.severity_text)),
        (None, format_args!("  {}{}", record.event_name, Spaced(record.body.as_ref()))),
        (Some(Paint::Dim), format_args!("{}", Labels(&record.attributes))),
    ]);
}

fn metric(page: &mut Page, metric: &Metric) {
    let mut point = |time: Nanos, attributes: &[KeyValue], value: fmt::Arguments<'_>| {
        page.cells(&[
            (Some(Paint::Dim), format_args!("{}", TimeOfDay(time))),
            (None, format_args!("  {:<36} {value} {}", metric.name, metric.unit)),
            (Some(Paint::Dim), format_args!("{}", Labels(attributes))),
        ]);
    };
    match &metric.data {
        None => {}
        Some(Data::Gauge(d)) => {
            for p in &d.data_points {
                point(p.time_unix_nano, &p.attributes, format_args!("{}", Number(p.value)));
            }
        }
        Some(Data::Sum(d)) => {
            for p in &d.data_points {
                point(p.time_unix_nano, &p.attributes, format_args!("{}", Number(p.value)));
            }
        }
        Some(Data::Histogram(d)) => {
            for p in &d.data_points {
                let sum = p.sum.unwrap_or_default();
                let value = format_args!("count {} sum {sum}", p.count);
                point(p.time_unix_nano, &p.attributes, value);
            }
        }
        Some(Data::ExponentialHistogram(d)) => {
            for p in &d.data_points {
                let sum = p.sum.unwrap_or_default();
                let value = format_args!("count {} sum {sum}", p.count);
                point(p.time_unix_nano, &p.attributes, value);
            }
        }
        Some(Data::Summary(d)) => {
            for p in &d.data_points {
                let value = format_args!("count {} sum {}", p.count, p.sum);
                point(p.time_unix_nano, &p.attributes, value);
            }
        }
    }
}

pub(super) struct Number(pub(super) Option<number_data_point::Value>);

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => f.write_str("-"),
            Some(number_data_point::Value::AsDouble(v)) => write!(f, "{v}"),
            Some(number_data_point::Value::AsInt(v)) => write!(f, "{v}"),
        }
    }
}

/// A text as it is, another value with its type, after a space.
struct Spaced<'a>(Option<&'a AnyValue>);

impl fmt::Display for Spaced<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => Ok(()),
            Some(AnyValue { value: Some(Value::StringValue(v)) }) => write!(f, " {v}"),
            other => write!(f, " {}", Typed(other)),
        }
    }
}

/// ` key=value key=value`
struct Labels<'a>(&'a [KeyValue]);

impl fmt::Display for Labels<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for pair in self.0 {
            write!(f, " {}=", pair.key)?;
            match pair.value.as_ref().and_then(|v| v.value.as_ref()) {
                Some(Value::StringValue(v)) => f.write_str(v)?,
                Some(Value::IntValue(v)) => write!(f, "{v}")?,
                Some(Value::DoubleValue(v)) => write!(f, "{v}")?,
                Some(Value::BoolValue(v)) => write!(f, "{v}")?,
                _ => write!(f, "{}", Typed(pair.value.as_ref()))?,
            }
        }
        Ok(())
    }
}

fn value<'a>(attributes: &'a [KeyValue], name: &str) -> Option<&'a Value> {
    let pair = attributes.iter().find(|pair| pair.key == name)?;
    pair.value.as_ref()?.value.as_ref()
}

fn text<'a>(attributes: &'a [KeyValue], name: &str) -> Option<&'a str> {
    match value(attributes, name)? {
        Value::StringValue(v) => Some(v),
        _ => None,
    }
}

fn int(attributes: &[KeyValue], name: &str) -> Option<i64> {
    match value(attributes, name)? {
        Value::IntValue(v) => Some(*v),
        _ => None,
    }
}
