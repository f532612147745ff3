//! An attribute's value as the JSON it stands for, and not as OTLP/JSON, which names every kind.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};

use crate::json::{MAX_DEPTH, write_string};

/// Appends a value as JSON: what it would be had it been written as a JSON text. Bytes are base64 and
/// doubles that JSON lacks are their names, as OTLP/JSON has them. `None` for one that is nested deeper
/// than [`MAX_DEPTH`]; what is in `out` is no JSON then.
pub fn write_plain(value: &AnyValue, out: &mut Vec<u8>) -> Option<()> {
    write_nested(value, MAX_DEPTH, out)
}

fn write_nested(value: &AnyValue, depth: usize, out: &mut Vec<u8>) -> Option<()> {
    let deeper = depth.checked_sub(1);
    match &value.value {
        // An index into a profile's table says nothing here.
        None | Some(Value::StringValueStrindex(_)) => out.extend_from_slice(b"null"),
        Some(Value::StringValue(text)) => write_string(out, text),
        Some(Value::BoolValue(value)) => out.extend_from_slice(value.to_string().as_bytes()),
        Some(Value::IntValue(value)) => out.extend_from_slice(value.to_string().as_bytes()),
        Some(Value::DoubleValue(value)) if value.is_finite() => {
            out.extend_from_slice(format!("{value:?}").as_bytes());
        }
        Some(Value::DoubleValue(value)) if value.is_nan() => out.extend_from_slice(b"\"NaN\""),
        Some(Value::DoubleValue(value)) => {
            let name = if *value > 0.0 { "\"Infinity\"" } else { "\"-Infinity\"" };
            out.extend_from_slice(name.as_bytes());
        }
        Some(Value::BytesValue(bytes)) => write_string(out, &STANDARD.encode(bytes)),
        Some(Value::ArrayValue(array)) => {
            let mut before = b'[';
            for item in &array.values {
                out.push(before);
                write_nested(item, deeper?, out)?;
                before = b',';
            }
            deeper?;
            out.extend_from_slice(if before == b'[' { b"[]" } else { b"]" });
        }
        Some(Value::KvlistValue(list)) => {
            let mut before = b'{';
            for KeyValue { key, value, .. } in &list.values {
                out.push(before);
                write_string(out, key);
                out.push(b':');
                write_nested(value.as_ref().unwrap_or(&AnyValue::default()), deeper?, out)?;
                before = b',';
            }
            deeper?;
            out.extend_from_slice(if before == b'{' { b"{}" } else { b"}" });
        }
    }
    Some(())
}
