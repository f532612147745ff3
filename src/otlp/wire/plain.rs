//! An attribute's value as the JSON it stands for, and not as OTLP/JSON, which names every kind.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::fields::{Fields, Value};
use crate::json::{MAX_DEPTH, write_utf8};
use crate::otlp::schema::{ANY_VALUE, Form};

/// Appends a value (`AnyValue`, in checked bytes) as JSON: what it would be had it been written as a JSON text.
/// Bytes are base64 and doubles that JSON lacks are their names, as OTLP/JSON has them. `None` for one that is
/// nested deeper than [`MAX_DEPTH`]; what is in `out` is no JSON then.
pub fn write_plain(any_value: &[u8], out: &mut Vec<u8>) -> Option<()> {
    value(any_value, MAX_DEPTH, out)
}

fn value(any_value: &[u8], depth: usize, out: &mut Vec<u8>) -> Option<()> {
    match choice(any_value) {
        Some((1, Value::Slice(text))) => write_utf8(out, text),
        Some((2, Value::Varint(value))) => out.extend_from_slice(bool_name(value)),
        Some((3, Value::Varint(value))) => {
            out.extend_from_slice(itoa::Buffer::new().format(value.cast_signed()).as_bytes());
        }
        Some((4, Value::Fixed64(bits))) => double(f64::from_bits(bits), out),
        Some((5, Value::Slice(array))) => {
            let deeper = depth.checked_sub(1)?;
            let mut before = b'[';
            let mut items = Fields(array);
            while let Some((number, item)) = items.field() {
                let (1, Value::Slice(item)) = (number, item) else { continue };
                out.push(before);
                value(item, deeper, out)?;
                before = b',';
            }
            out.extend_from_slice(if before == b'[' { b"[]" } else { b"]" });
        }
        Some((6, Value::Slice(list))) => {
            let deeper = depth.checked_sub(1)?;
            let mut before = b'{';
            let mut entries = Fields(list);
            while let Some((number, entry)) = entries.field() {
                let (1, Value::Slice(entry)) = (number, entry) else { continue };
                let part = |number| Fields(entry).slice(number).unwrap_or_default();
                out.push(before);
                write_utf8(out, part(1));
                out.push(b':');
                value(part(2), deeper, out)?;
                before = b',';
            }
            out.extend_from_slice(if before == b'{' { b"{}" } else { b"}" });
        }
        Some((7, Value::Slice(bytes))) => write_utf8(out, STANDARD.encode(bytes).as_bytes()),
        // An index into a profile's table says nothing here.
        _ => out.extend_from_slice(b"null"),
    }
    Some(())
}

/// The choice of a value, wherever it stands: a newer sender may write fields before it that nobody here knows.
pub(super) fn choice(any_value: &[u8]) -> Option<(u32, Value<'_>)> {
    let mut fields = Fields(any_value);
    loop {
        let (number, value) = fields.field()?;
        if let Form::Unknown = ANY_VALUE.field(number).form {
            continue;
        }
        return Some((number, value));
    }
}

fn bool_name(value: u64) -> &'static [u8] {
    if value == 0 { b"false" } else { b"true" }
}

fn double(value: f64, out: &mut Vec<u8>) {
    if value.is_finite() {
        out.extend_from_slice(format!("{value:?}").as_bytes());
    } else if value.is_nan() {
        out.extend_from_slice(b"\"NaN\"");
    } else {
        let name = if value > 0.0 { "\"Infinity\"" } else { "\"-Infinity\"" };
        out.extend_from_slice(name.as_bytes());
    }
}
