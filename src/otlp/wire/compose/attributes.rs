//! Writes attributes, of whatever message, and their values.

use opentelemetry_proto::tonic::common::v1::any_value;
use prost::encoding::{WireType, encode_varint, encoded_len_varint};

use super::fields::{header, header_len, length_delimited, slice, text};

/// The field number of a span's attributes.
const SPAN_ATTRIBUTES: u32 = 9;

/// The `attributes` of a message in the making.
#[derive(Debug)]
pub struct Attributes<'a> {
    out: &'a mut Vec<u8>,
    /// Their field number.
    number: u32,
}

/// A value of an attribute.
#[derive(Clone, Copy, Debug)]
pub enum Value<'a> {
    /// `string_value`
    Text(&'a str),
    /// `int_value`
    Int(i64),
    /// `bool_value`
    Bool(bool),
    /// `double_value`
    Double(f64),
    /// One that holds nothing.
    Empty,
    /// Any.
    Other(&'a any_value::Value),
    /// A list of strings.
    Texts(&'a [String]),
}

impl<'a> Attributes<'a> {
    /// Those of a span, written to other memory: for [`part`](Self::part).
    pub fn of_span(out: &'a mut Vec<u8>) -> Self {
        Attributes::of(out, SPAN_ATTRIBUTES)
    }

    /// Those of a message whose attributes have that field number.
    pub(in crate::otlp) fn of(out: &'a mut Vec<u8>, number: u32) -> Self {
        Attributes { out, number }
    }

    /// Adds one. Names must differ.
    #[inline(always)]
    pub fn add(&mut self, name: &str, value: Value<'_>) {
        key_value(self.out, self.number, name, value);
    }

    /// Adds attributes that were written before, to a message with the same field number for them.
    pub fn part(&mut self, fields: &[u8]) {
        self.out.extend_from_slice(fields);
    }
}

/// A `KeyValue`. As most are, its lengths take one byte each: those are written here, in as few pieces as
/// can be, where the name is known when this is compiled. A oneof keeps its choice, default or not.
#[inline(always)]
fn key_value(out: &mut Vec<u8>, number: u32, name: &str, value: Value<'_>) {
    let inner = match value {
        Value::Text(text) => text.len() + 2,
        Value::Int(value) => encoded_len_varint(value.cast_unsigned()) + 1,
        _ => return any_key_value(out, number, name, value),
    };
    if name.is_empty() || name.len() + inner + 4 >= 0x80 {
        return any_key_value(out, number, name, value);
    }
    let (all, inner, name_len) = ((name.len() + inner + 4) as u8, inner as u8, name.len() as u8);
    out.reserve(usize::from(all) + 2);
    out.extend_from_slice(&[length_delimited(number), all, length_delimited(1), name_len]);
    out.extend_from_slice(name.as_bytes());
    match value {
        Value::Text(text) => {
            out.extend_from_slice(&[length_delimited(2), inner, length_delimited(1), inner - 2]);
            out.extend_from_slice(text.as_bytes());
        }
        Value::Int(value) => {
            out.extend_from_slice(&[length_delimited(2), inner, 3 << 3]);
            encode_varint(value.cast_unsigned(), out);
        }
        _ => {}
    }
}

#[inline(never)]
fn any_key_value(out: &mut Vec<u8>, number: u32, name: &str, value: Value<'_>) {
    let inner = match value {
        Value::Text(text) => header_len(text.len()) + text.len(),
        Value::Bool(_) => 2,
        Value::Int(value) => 1 + encoded_len_varint(value.cast_unsigned()),
        Value::Double(_) => 1 + size_of::<f64>(),
        Value::Empty => 0,
        Value::Other(value) => value.encoded_len(),
        Value::Texts(texts) => {
            let list = texts_len(texts);
            header_len(list) + list
        }
    };
    let key = if name.is_empty() { 0 } else { header_len(name.len()) + name.len() };
    header(out, number, key + header_len(inner) + inner);
    text(out, 1, name);
    header(out, 2, inner);
    match value {
        Value::Text(text) => slice(out, 1, text.as_bytes()),
        Value::Bool(value) => out.extend_from_slice(&[2 << 3, value.into()]),
        Value::Int(value) => {
            out.push(3 << 3);
            encode_varint(value.cast_unsigned(), out);
        }
        Value::Double(value) => {
            out.push(4 << 3 | WireType::SixtyFourBit as u8);
            out.extend_from_slice(&value.to_le_bytes());
        }
        Value::Empty => {}
        Value::Other(value) => value.encode(out),
        Value::Texts(texts) => {
            header(out, 5, texts_len(texts));
            for text in texts {
                header(out, 1, header_len(text.len()) + text.len());
                slice(out, 1, text.as_bytes());
            }
        }
    }
}

/// Says how long an `ArrayValue` of these strings is, in bytes.
fn texts_len(texts: &[String]) -> usize {
    let value = |text: &String| header_len(text.len()) + text.len();
    texts.iter().map(|text| header_len(value(text)) + value(text)).sum()
}
