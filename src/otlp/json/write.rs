//! From protobuf to OTLP/JSON without anything in between: fields become members as they are met, in the order of
//! the bytes.

use std::ptr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::json::write_utf8;
use crate::otlp::request::{MAX_DEPTH, Request};
use crate::otlp::schema::{Form, KEY_VALUE, Message, Presence};
use crate::otlp::wire::fields::{Fields, Value, plain_attribute, plain_int, plain_text};

/// Appends an export request as one JSON document, without a newline. The bytes are such as
/// [`check`](crate::otlp::wire::check) lets pass: it does not look again whether texts are UTF-8.
pub fn write(out: &mut Vec<u8>, request: Request, wire: &[u8]) {
    message(out, Message::of(request), wire, MAX_DEPTH);
}

/// One message as an object, with `depth` more levels allowed below it.
fn message(out: &mut Vec<u8>, schema: &Message, wire: &[u8], depth: u32) {
    let mut fields = Fields(wire);
    // The number of the list that is being written, and whether field 1 was there.
    let (mut list, mut first) = (0, false);
    out.push(b'{');
    let start = out.len();
    while let Some((number, value)) = fields.field() {
        let field = schema.field(number);
        if let Form::Unknown = field.form {
            continue;
        }
        if number == list {
            out.push(b',');
            element(out, field.form, value, depth);
            continue;
        }
        if list != 0 {
            out.push(b']');
            list = 0;
        }
        first |= number == 1;
        if field.presence == Presence::Implicit && field.form.is_default(value) {
            continue;
        }
        // Without its comma for the first.
        out.extend_from_slice(&field.key.as_bytes()[usize::from(out.len() == start)..]);
        if field.list {
            list = number;
            out.push(b'[');
        }
        element(out, field.form, value, depth);
    }
    if list != 0 {
        out.push(b']');
    }
    if let Some(wanted) = schema.wanted.filter(|_| !first) {
        out.extend_from_slice(&wanted.as_bytes()[usize::from(out.len() == start)..]);
    }
    out.push(b'}');
}

/// A value, or one of the values of a list.
fn element(out: &mut Vec<u8>, form: Form, value: Value<'_>, depth: u32) {
    match (form, value) {
        (Form::Text | Form::Texts, Value::Slice(text)) => write_utf8(out, text),
        (Form::Messages(schema), Value::Slice(inner))
            if ptr::eq(schema, &KEY_VALUE) && depth > 1 && usual_attribute(out, inner) => {}
        (
            Form::Message(schema) | Form::Messages(schema) | Form::Items(schema),
            Value::Slice(inner),
        ) if depth > 0 => message(out, schema, inner, depth - 1),
        (Form::Id(_), Value::Slice(id)) => hex(out, id),
        (Form::Fixed64, Value::Fixed64(value)) => quoted(out, value),
        (Form::Fixed32, Value::Fixed32(value)) => decimal(out, value),
        // What is too large for its type is cut off, as decoders do.
        (Form::I32 | Form::Enum(_), Value::Varint(value)) => decimal(out, value as i32),
        (Form::U32, Value::Varint(value)) => decimal(out, value as u32),
        (Form::S32, Value::Varint(value)) => decimal(out, zigzag(value as u32)),
        (Form::I64, Value::Varint(value)) => quoted(out, value as i64),
        (Form::Sfixed64, Value::Fixed64(value)) => quoted(out, value as i64),
        (Form::Double, Value::Fixed64(bits)) => double(out, f64::from_bits(bits)),
        (Form::Bool, Value::Varint(value)) => {
            out.extend_from_slice(if value == 0 { b"false" } else { b"true" });
        }
        (Form::Bytes, Value::Slice(bytes)) => write_utf8(out, STANDARD.encode(bytes).as_bytes()),
        (Form::Varints, Value::Slice(packed)) => numbers(out, packed, Fields::varint, quoted),
        (Form::Fixed64s, Value::Slice(packed)) => numbers(out, packed, Fields::fixed64, quoted),
        (Form::Doubles, Value::Slice(packed)) => {
            numbers(out, packed, Fields::fixed64, |out, bits| double(out, f64::from_bits(bits)));
        }
        // Nothing that passes the check; still a document.
        _ => out.extend_from_slice(b"null"),
    }
}

/// Writes an attribute that is a text or a whole number, which is most of what a span is made of. `false`,
/// and nothing is written, for any other.
fn usual_attribute(out: &mut Vec<u8>, key_value: &[u8]) -> bool {
    let Some((name, value)) = plain_attribute(key_value) else { return false };
    if let Some(text) = plain_text(value) {
        out.extend_from_slice(br#"{"key":"#);
        write_utf8(out, name);
        out.extend_from_slice(br#","value":{"stringValue":"#);
        write_utf8(out, text);
    } else if let Some(number) = plain_int(value) {
        out.extend_from_slice(br#"{"key":"#);
        write_utf8(out, name);
        out.extend_from_slice(br#","value":{"intValue":"#);
        quoted(out, number);
    } else {
        return false;
    }
    out.extend_from_slice(b"}}");
    true
}

/// The numbers of a packed field, which is not empty, as an array.
fn numbers<'a>(
    out: &mut Vec<u8>,
    packed: &'a [u8],
    read: impl Fn(&mut Fields<'a>) -> Option<u64>,
    write: impl Fn(&mut Vec<u8>, u64),
) {
    let mut rest = Fields(packed);
    let mut before = b'[';
    while !rest.0.is_empty()
        && let Some(number) = read(&mut rest)
    {
        out.push(before);
        before = b',';
        write(out, number);
    }
    out.push(b']');
}

impl Form {
    /// Says whether `value` is the default of a field of this form. A message that is there never is. Nor is negative
    /// zero: its bits differ (protobuf, "Default values").
    fn is_default(self, value: Value<'_>) -> bool {
        match (self, value) {
            (Form::Message(_) | Form::Messages(_) | Form::Items(_) | Form::Texts, _) => false,
            (Form::U32 | Form::I32 | Form::Enum(_) | Form::S32, Value::Varint(value)) => {
                value as u32 == 0
            }
            (_, Value::Varint(value) | Value::Fixed64(value)) => value == 0,
            (_, Value::Fixed32(value)) => value == 0,
            (_, Value::Slice(slice)) => slice.is_empty(),
            (_, Value::Group) => true,
        }
    }
}

fn hex(out: &mut Vec<u8>, id: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.push(b'"');
    for part in id.chunks(16) {
        let mut text = [[0; 2]; 16];
        for (pair, b) in text.iter_mut().zip(part) {
            *pair = [DIGITS[usize::from(b >> 4)], DIGITS[usize::from(b & 15)]];
        }
        out.extend_from_slice(&text.as_flattened()[..2 * part.len()]);
    }
    out.push(b'"');
}

fn quoted(out: &mut Vec<u8>, value: impl itoa::Integer) {
    out.push(b'"');
    decimal(out, value);
    out.push(b'"');
}

fn decimal(out: &mut Vec<u8>, value: impl itoa::Integer) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

fn zigzag(value: u32) -> i32 {
    (value >> 1) as i32 ^ -((value & 1) as i32)
}

/// The shortest text that reads back as the same double; proto3 JSON has words for what is no number.
fn double(out: &mut Vec<u8>, value: f64) {
    if value.is_nan() {
        out.extend_from_slice(b"\"NaN\"");
    } else if value.is_infinite() {
        let word: &[u8] = if value > 0.0 { b"\"Infinity\"" } else { b"\"-Infinity\"" };
        out.extend_from_slice(word);
    } else if value == 0.0 && value.is_sign_negative() {
        // ECMAScript writes it without its sign.
        out.extend_from_slice(b"-0.0");
    } else {
        out.extend_from_slice(ryu_js::Buffer::new().format_finite(value).as_bytes());
    }
}
