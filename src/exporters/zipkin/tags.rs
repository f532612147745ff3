//! Attribute values as text, for a model that knows nothing else.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};

use crate::json::write_string;

/// A value as a tag has it: strings as they are, lists and maps as JSON, the empty value as no text.
pub(super) fn text(value: Option<&AnyValue>) -> Cow<'_, str> {
    match value.and_then(|value| value.value.as_ref()) {
        None | Some(Value::StringValueStrindex(_)) => Cow::Borrowed(""),
        Some(Value::StringValue(text)) => Cow::Borrowed(text),
        Some(Value::BoolValue(yes)) => Cow::Borrowed(if *yes { "true" } else { "false" }),
        Some(Value::IntValue(n)) => Cow::Owned(n.to_string()),
        Some(Value::DoubleValue(x)) => Cow::Owned(double(*x)),
        Some(Value::BytesValue(bytes)) => Cow::Owned(STANDARD.encode(bytes)),
        Some(nested @ (Value::ArrayValue(_) | Value::KvlistValue(_))) => {
            let mut out = Vec::new();
            json(&mut out, Some(nested));
            Cow::Owned(String::from_utf8_lossy(&out).into_owned())
        }
    }
}

/// Attributes as a JSON object.
pub(super) fn object(out: &mut Vec<u8>, attributes: &[KeyValue]) {
    out.push(b'{');
    for (i, attribute) in attributes.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        write_string(out, &attribute.key);
        out.push(b':');
        json(out, attribute.value.as_ref().and_then(|value| value.value.as_ref()));
    }
    out.push(b'}');
}

/// A value as JSON. What is no JSON number is a string, and so are bytes. No deeper than the wire
/// check lets values be.
fn json(out: &mut Vec<u8>, value: Option<&Value>) {
    match value {
        None | Some(Value::StringValueStrindex(_)) => out.extend_from_slice(b"null"),
        Some(Value::StringValue(text)) => write_string(out, text),
        Some(Value::BoolValue(yes)) => {
            out.extend_from_slice(if *yes { b"true" } else { b"false" });
        }
        Some(Value::IntValue(n)) => out.extend_from_slice(n.to_string().as_bytes()),
        Some(Value::DoubleValue(x)) if x.is_finite() => {
            out.extend_from_slice(double(*x).as_bytes())
        }
        Some(Value::DoubleValue(x)) => write_string(out, &double(*x)),
        Some(Value::BytesValue(bytes)) => write_string(out, &STANDARD.encode(bytes)),
        Some(Value::ArrayValue(list)) => {
            out.push(b'[');
            for (i, item) in list.values.iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                json(out, item.value.as_ref());
            }
            out.push(b']');
        }
        Some(Value::KvlistValue(map)) => object(out, &map.values),
    }
}

/// The shortest text that reads back as the same double, and OTLP/JSON's words for what is none.
fn double(x: f64) -> String {
    if x.is_nan() {
        "NaN".to_owned()
    } else if x.is_infinite() {
        if x > 0.0 { "Infinity" } else { "-Infinity" }.to_owned()
    } else if x == 0.0 && x.is_sign_negative() {
        // ECMAScript writes it without its sign.
        "-0".to_owned()
    } else {
        ryu_js::Buffer::new().format_finite(x).to_owned()
    }
}
