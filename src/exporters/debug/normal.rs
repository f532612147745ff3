//! `verbosity: normal`: a line a data point or log record; those of spans are in `spans`.

use std::fmt;

use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs};
use opentelemetry_proto::tonic::metrics::v1::{
    Metric, ResourceMetrics, metric::Data, number_data_point,
};

use super::page::{Page, Paint, Typed, tame};
use super::spans::{LONGEST_PARTY, server};
use super::zone::Zone;
use crate::telemetry::Nanos;

pub(super) fn metrics(page: &mut Page, zone: &Zone, all: &[ResourceMetrics]) {
    let scopes = all.iter().flat_map(|r| &r.scope_metrics);
    scopes.flat_map(|s| &s.metrics).for_each(|m| metric(page, zone, m));
}

pub(super) fn logs(page: &mut Page, zone: &Zone, all: &[ResourceLogs]) {
    for of in all {
        let resource = of.resource.as_ref().map_or(&[][..], |resource| &resource.attributes);
        for r in of.scope_logs.iter().flat_map(|scope| &scope.log_records) {
            record(page, zone, server(resource, &r.attributes), r);
        }
    }
}

/// `18:42:02.120+01  files  INFO   something happened`
fn record(page: &mut Page, zone: &Zone, server: &str, record: &LogRecord) {
    let time = match record.time_unix_nano {
        0 => record.observed_time_unix_nano,
        time => time,
    };
    let paint = (record.severity_number >= 17).then_some(Paint::Red);
    page.cells(&[
        (Some(Paint::Dim), &zone.time(time)),
        (Some(Paint::Cyan), &Spaced(server)),
        (paint, &format_args!("  {:<5}", record.severity_text)),
        (None, &format_args!("  {}{}", record.event_name, Body(record.body.as_ref()))),
        (Some(Paint::Dim), &format_args!("{}", Labels(&record.attributes))),
    ]);
}

fn metric(page: &mut Page, zone: &Zone, metric: &Metric) {
    let mut point = |time: Nanos, attributes: &[KeyValue], value: fmt::Arguments<'_>| {
        page.cells(&[
            (Some(Paint::Dim), &zone.time(time)),
            (None, &format_args!("  {:<36} {value} {}", metric.name, metric.unit)),
            (Some(Paint::Dim), &format_args!("{}", Labels(attributes))),
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
struct Body<'a>(Option<&'a AnyValue>);

impl fmt::Display for Body<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => Ok(()),
            Some(AnyValue { value: Some(Value::StringValue(v)) }) => write!(f, " {v}"),
            other => write!(f, " {}", Typed(other)),
        }
    }
}

/// Writes a name after two spaces, cut where it is too long; nothing for none.
struct Spaced<'a>(&'a str);

impl fmt::Display for Spaced<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            "" => Ok(()),
            name => write!(f, "  {}", tame(name, LONGEST_PARTY)),
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
