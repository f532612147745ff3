//! Attributes wherever they stand: every list of a batch, one attribute of a list, a value as JSON.

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;

use crate::otlp::json::write_plain;
use crate::otlp::wire::compose;
use crate::privacy::Reason;
use crate::telemetry::Model;

// Looking and changing go the same way and differ in what they borrow, so one text makes both.
macro_rules! walk {
    ($model:ident, $each:ident, $($borrow:tt)+) => {{
        macro_rules! each {
            ($holder:expr, $list:ident) => {
                if let Some(holder) = $($borrow)+ $holder {
                    $each($($borrow)+ holder.$list);
                }
            };
        }
        macro_rules! points {
            ($data:expr) => {
                for point in $($borrow)+ $data.data_points {
                    $each($($borrow)+ point.attributes);
                    for exemplar in $($borrow)+ point.exemplars {
                        $each($($borrow)+ exemplar.filtered_attributes);
                    }
                }
            };
        }
        match $model {
            Model::Traces(all) => for resource in all {
                each!(resource.resource, attributes);
                for scope in $($borrow)+ resource.scope_spans {
                    each!(scope.scope, attributes);
                    for span in $($borrow)+ scope.spans {
                        $each($($borrow)+ span.attributes);
                        for event in $($borrow)+ span.events {
                            $each($($borrow)+ event.attributes);
                        }
                        for link in $($borrow)+ span.links {
                            $each($($borrow)+ link.attributes);
                        }
                    }
                }
            },
            Model::Logs(all) => for resource in all {
                each!(resource.resource, attributes);
                for scope in $($borrow)+ resource.scope_logs {
                    each!(scope.scope, attributes);
                    for record in $($borrow)+ scope.log_records {
                        $each($($borrow)+ record.attributes);
                    }
                }
            },
            Model::Metrics(all) => for resource in all {
                each!(resource.resource, attributes);
                for scope in $($borrow)+ resource.scope_metrics {
                    each!(scope.scope, attributes);
                    for metric in $($borrow)+ scope.metrics {
                        $each($($borrow)+ metric.metadata);
                        match $($borrow)+ metric.data {
                            Some(Data::Gauge(data)) => points!(data),
                            Some(Data::Sum(data)) => points!(data),
                            Some(Data::Histogram(data)) => points!(data),
                            Some(Data::ExponentialHistogram(data)) => points!(data),
                            Some(Data::Summary(data)) => {
                                for point in $($borrow)+ data.data_points {
                                    $each($($borrow)+ point.attributes);
                                }
                            }
                            None => {}
                        }
                    }
                }
            },
        }
    }};
}

/// Shows every list of attributes.
pub(super) fn visit(model: &Model, each: &mut impl FnMut(&[KeyValue])) {
    walk!(model, each, &);
}

/// Hands out every list of attributes for change.
pub(super) fn visit_mut(model: &mut Model, each: &mut impl FnMut(&mut [KeyValue])) {
    walk!(model, each, &mut);
}

/// The attribute of that name.
pub(super) fn find<'a>(list: &'a [KeyValue], name: &str) -> Option<&'a KeyValue> {
    list.iter().find(|attribute| attribute.key == name)
}

/// The value of an attribute, if it is a string.
pub(super) fn text(attribute: &KeyValue) -> Option<&str> {
    attribute.value.as_ref().and_then(string)
}

/// A value, if it is a string.
pub(super) fn string(value: &AnyValue) -> Option<&str> {
    match &value.value {
        Some(Value::StringValue(text)) => Some(text),
        _ => None,
    }
}

/// An attribute.
pub(super) fn attribute(name: &str, value: compose::Value<'_>) -> KeyValue {
    KeyValue { key: name.to_owned(), value: Some(any(value)), ..KeyValue::default() }
}

/// A value of its own.
pub(super) fn any(value: compose::Value<'_>) -> AnyValue {
    let value = match value {
        compose::Value::Text(text) => Some(Value::StringValue(text.to_owned())),
        compose::Value::Int(value) => Some(Value::IntValue(value)),
        compose::Value::Bool(value) => Some(Value::BoolValue(value)),
        compose::Value::Double(value) => Some(Value::DoubleValue(value)),
        compose::Value::Empty => None,
        compose::Value::Other(value) => Some(value.clone()),
    };
    AnyValue { value }
}

/// Puts an attribute into a list, in place of an older one of its name.
pub(super) fn set(list: &mut Vec<KeyValue>, new: KeyValue) {
    match list.iter_mut().find(|attribute| attribute.key == new.key) {
        Some(attribute) => attribute.value = new.value,
        None => list.push(new),
    }
}

/// A list of strings.
pub(super) fn strings(all: impl Iterator<Item = String>) -> Value {
    let values = all.map(|text| AnyValue { value: Some(Value::StringValue(text)) }).collect();
    Value::ArrayValue(ArrayValue { values })
}

/// Appends a value as JSON.
pub(super) fn write_json(value: &AnyValue, out: &mut Vec<u8>) -> Result<(), Reason> {
    write_plain(value, out).ok_or(Reason::Depth)
}
