//! Spans written as protobuf from the start, for who makes many of them: a span is some fifty strings as
//! messages, and one piece of memory here.
//!
//! What is written decodes by construction: texts are `str`, ids arrays, lengths are those of what is there.
//! Fields that hold their default are left out, as proto3 has it, but for the time of an event that may yet
//! be changed. It does not watch over order or uniqueness; who calls each method once, in the order in
//! which they stand here, writes what an encoder of the messages would.

use opentelemetry_proto::tonic::common::v1::{InstrumentationScope, any_value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link, SpanKind};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint, message};

/// The field number of a span's attributes.
const SPAN_ATTRIBUTES: u32 = 9;
/// About what a span takes, in bytes.
const USUAL: usize = 1000;
/// About what many take.
const MANY: usize = 30_000;

/// An `ExportTraceServiceRequest` in the making.
#[derive(Clone, Debug, Default)]
pub struct Traces {
    bytes: Vec<u8>,
    spans: usize,
}

/// A `ResourceSpans` in the making.
#[derive(Debug)]
pub struct ResourceSpans<'a> {
    out: &'a mut Vec<u8>,
    spans: &'a mut usize,
}

/// A `ScopeSpans` in the making.
#[derive(Debug)]
pub struct ScopeSpans<'a> {
    out: &'a mut Vec<u8>,
    spans: &'a mut usize,
}

/// Spans of one resource and one scope, one after the other.
#[derive(Debug)]
pub struct Spans {
    /// An `ExportTraceServiceRequest` but for the lengths of what is open.
    bytes: Vec<u8>,
    resource: Open,
    scope: Open,
    count: usize,
}

/// One span in the making.
#[derive(Debug)]
pub struct Span<'a>(&'a mut Vec<u8>);

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

impl Traces {
    /// A request in memory for about `bytes` bytes.
    pub fn with_capacity(bytes: usize) -> Self {
        Traces { bytes: Vec::with_capacity(bytes), spans: 0 }
    }

    /// Adds another request.
    pub fn join(&mut self, other: Traces) {
        if self.bytes.is_empty() {
            *self = other;
            return;
        }
        self.spans += other.spans;
        self.bytes.extend_from_slice(&other.bytes);
    }

    /// Adds what `write` writes of a resource.
    pub fn resource(&mut self, write: impl FnOnce(&mut ResourceSpans<'_>)) {
        let spans = &mut self.spans;
        message_of(&mut self.bytes, 1, MANY, |out| write(&mut ResourceSpans { out, spans }));
    }

    /// How many spans are in it.
    pub fn spans(&self) -> usize {
        self.spans
    }

    /// How many bytes it takes.
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    /// Gives what was written so far.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The bytes, and how many spans are in them. They may wait in a queue, which counts what they are and
    /// not what was reserved for them, so no more than a little of that is kept.
    pub fn into_parts(mut self) -> (Vec<u8>, usize) {
        if self.bytes.capacity() > self.bytes.len() + self.bytes.len() / 4 {
            self.bytes.shrink_to_fit();
        }
        (self.bytes, self.spans)
    }
}

impl Spans {
    /// None yet; they will take about `size` bytes. Where they do, nothing is moved in the end.
    pub fn of(resource: &Resource, scope: &InstrumentationScope, size: usize) -> Self {
        let scope_len = message::encoded_len(1, scope) + size;
        let resource_len = message::encoded_len(1, resource) + header_len(scope_len) + scope_len;
        let mut bytes = Vec::with_capacity(resource_len + resource_len / 8);
        let out = &mut bytes;
        let open = Open::guess(out, 1, resource_len);
        message::encode(1, resource, out);
        let spans = Open::guess(out, 2, scope_len);
        message::encode(1, scope, out);
        Spans { bytes, resource: open, scope: spans, count: 0 }
    }

    /// Adds the span that `write` writes.
    pub fn add(&mut self, write: impl FnOnce(&mut Span<'_>)) {
        self.count += 1;
        message_of(&mut self.bytes, 2, USUAL, |out| write(&mut Span(out)));
    }

    /// How many bytes they take.
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    /// All of them.
    pub fn finish(self) -> Traces {
        let Spans { mut bytes, resource, scope, count } = self;
        scope.close(&mut bytes);
        resource.close(&mut bytes);
        Traces { bytes, spans: count }
    }
}

impl ResourceSpans<'_> {
    /// `resource`
    pub fn resource(&mut self, write: impl FnOnce(Attributes<'_>) -> u32) {
        message_of(self.out, 1, 0, |out| {
            let dropped = write(Attributes { out, number: 1 });
            number(out, 2, dropped.into());
        });
    }

    /// One of `scope_spans`.
    pub fn scope(&mut self, write: impl FnOnce(&mut ScopeSpans<'_>)) {
        let spans = &mut *self.spans;
        message_of(self.out, 2, MANY, |out| write(&mut ScopeSpans { out, spans }));
    }

    /// `schema_url`
    pub fn schema_url(&mut self, url: &str) {
        text(self.out, 3, url);
    }
}

impl ScopeSpans<'_> {
    /// `scope`. What writes its attributes says how many were dropped.
    pub fn scope(&mut self, name: &str, version: &str, write: impl FnOnce(Attributes<'_>) -> u32) {
        message_of(self.out, 1, 0, |out| {
            text(out, 1, name);
            text(out, 2, version);
            let dropped = write(Attributes { out, number: 3 });
            number(out, 4, dropped.into());
        });
    }

    /// One of `spans`.
    pub fn span(&mut self, write: impl FnOnce(&mut Span<'_>)) {
        *self.spans += 1;
        message_of(self.out, 2, USUAL, |out| write(&mut Span(out)));
    }

    /// `schema_url`
    pub fn schema_url(&mut self, url: &str) {
        text(self.out, 3, url);
    }
}

impl<'a> Span<'a> {
    /// A part of a span, for [`part`](Self::part).
    pub fn onto(out: &'a mut Vec<u8>) -> Self {
        Span(out)
    }

    /// Where it ends so far, in the memory that it is written to.
    pub fn end(&self) -> usize {
        self.0.len()
    }

    /// Fields that were written before, [onto](Self::onto) other memory.
    pub fn part(&mut self, fields: &[u8]) {
        self.0.extend_from_slice(fields);
    }

    /// `trace_id` and `span_id`.
    pub fn ids(&mut self, trace: &[u8; 16], span: &[u8; 8]) {
        slice(self.0, 1, trace);
        slice(self.0, 2, span);
    }

    /// `trace_state`
    pub fn trace_state(&mut self, state: &str) {
        text(self.0, 3, state);
    }

    /// `parent_span_id`
    pub fn parent(&mut self, span: &[u8; 8]) {
        slice(self.0, 4, span);
    }

    /// `name`
    pub fn name(&mut self, name: &str) {
        text(self.0, 5, name);
    }

    /// The same, which is not empty, in parts.
    pub fn name_in_parts(&mut self, parts: [&str; 3]) {
        header(self.0, 5, parts.iter().map(|part| part.len()).sum());
        parts.iter().for_each(|part| self.0.extend_from_slice(part.as_bytes()));
    }

    /// `kind`
    pub fn kind(&mut self, kind: SpanKind) {
        number(self.0, 6, kind as u64);
    }

    /// `start_time_unix_nano` and `end_time_unix_nano`.
    pub fn times(&mut self, start: u64, end: u64) {
        fixed64(self.0, 7, start, false);
        fixed64(self.0, 8, end, false);
    }

    /// One of `attributes`. Names must differ.
    #[inline(always)]
    pub fn attribute(&mut self, name: &str, value: Value<'_>) {
        self.attributes().add(name, value);
    }

    /// `attributes`
    pub fn attributes(&mut self) -> Attributes<'_> {
        Attributes::of_span(self.0)
    }

    /// `dropped_attributes_count`
    pub fn dropped_attributes(&mut self, count: u32) {
        number(self.0, 10, count.into());
    }

    /// One of `events`.
    pub fn event(&mut self, event: &Event) {
        message::encode(11, event, self.0);
    }

    /// The same, written here. What writes its attributes says how many were dropped. Returns where the
    /// eight bytes of its time are, which are there even if they are zero.
    pub fn event_at(
        &mut self,
        time: u64,
        name: &str,
        write: impl FnOnce(Attributes<'_>) -> u32,
    ) -> usize {
        let begin = message_of(self.0, 11, 0, |out| {
            out.push(1 << 3 | WireType::SixtyFourBit as u8);
            out.extend_from_slice(&time.to_le_bytes());
            text(out, 2, name);
            let dropped = write(Attributes { out, number: 3 });
            number(out, 4, dropped.into());
        });
        begin + 1
    }

    /// `dropped_events_count`
    pub fn dropped_events(&mut self, count: u32) {
        number(self.0, 12, count.into());
    }

    /// One of `links`.
    pub fn link(&mut self, link: &Link) {
        message::encode(13, link, self.0);
    }

    /// The same, written here.
    pub fn link_to(
        &mut self,
        trace: &[u8; 16],
        span: &[u8; 8],
        flags: u32,
        write: impl FnOnce(Attributes<'_>) -> u32,
    ) {
        message_of(self.0, 13, 0, |out| {
            slice(out, 1, trace);
            slice(out, 2, span);
            let dropped = write(Attributes { out, number: 4 });
            number(out, 5, dropped.into());
            fixed32(out, 6, flags, false);
        });
    }

    /// `dropped_links_count`
    pub fn dropped_links(&mut self, count: u32) {
        number(self.0, 14, count.into());
    }

    /// `status`, without a message.
    pub fn status(&mut self, code: StatusCode) {
        message_of(self.0, 15, 0, |out| number(out, 3, code as u64));
    }

    /// `flags`
    pub fn flags(&mut self, flags: u32) {
        fixed32(self.0, 16, flags, false);
    }
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

/// How long an `ArrayValue` of these strings is, in bytes.
fn texts_len(texts: &[String]) -> usize {
    let value = |text: &String| header_len(text.len()) + text.len();
    texts.iter().map(|text| header_len(value(text)) + value(text)).sum()
}

/// A message of about `len` bytes; returns where it begins.
fn message_of(
    out: &mut Vec<u8>,
    number: u32,
    len: usize,
    write: impl FnOnce(&mut Vec<u8>),
) -> usize {
    let open = Open::guess(out, number, len);
    write(out);
    open.close(out)
}

/// A message that is written before its length is known.
#[derive(Clone, Copy, Debug)]
pub(in crate::otlp) struct Open {
    /// Where it begins, and how much room was left for its length.
    at: usize,
    room: usize,
}

impl Open {
    /// Begins one of about `len` bytes. If its length takes another number of bytes than that one would,
    /// it is moved in the end.
    pub(in crate::otlp) fn guess(out: &mut Vec<u8>, number: u32, len: usize) -> Self {
        header(out, number, len);
        Open { at: out.len(), room: encoded_len_varint(len as u64) }
    }

    /// Ends it; returns where it begins.
    pub(in crate::otlp) fn close(self, out: &mut Vec<u8>) -> usize {
        let Open { at, room } = self;
        let len = out.len() - at;
        let takes = encoded_len_varint(len as u64);
        let begin = at - room + takes;
        if takes != room {
            out.resize(out.len().max(begin + len), 0);
            out.copy_within(at..at + len, begin);
            out.truncate(begin + len);
        }
        let mut place = &mut out[at - room..begin];
        encode_varint(len as u64, &mut place);
        begin
    }
}

/// Key and length of a field that has one. Fields up to 15 have a key of one byte.
pub(in crate::otlp) fn header(out: &mut Vec<u8>, number: u32, len: usize) {
    debug_assert!(number < 16);
    let key = length_delimited(number);
    match u8::try_from(len) {
        Ok(short @ ..0x80) => out.extend_from_slice(&[key, short]),
        _ => {
            out.push(key);
            encode_varint(len as u64, out);
        }
    }
}

fn length_delimited(number: u32) -> u8 {
    (number << 3) as u8 | WireType::LengthDelimited as u8
}

fn header_len(len: usize) -> usize {
    1 + encoded_len_varint(len as u64)
}

fn text(out: &mut Vec<u8>, number: u32, text: &str) {
    if !text.is_empty() {
        slice(out, number, text.as_bytes());
    }
}

pub(in crate::otlp) fn slice(out: &mut Vec<u8>, number: u32, bytes: &[u8]) {
    header(out, number, bytes.len());
    out.extend_from_slice(bytes);
}

/// Writes a number as a varint, the default too.
pub(in crate::otlp) fn varint(out: &mut Vec<u8>, number: u32, value: u64) {
    encode_key(number, WireType::Varint, out);
    encode_varint(value, out);
}

/// Writes a number unless it is the default.
fn number(out: &mut Vec<u8>, field: u32, value: u64) {
    if value != 0 {
        varint(out, field, value);
    }
}

/// Writes a number of four bytes unless it is the default, which is written if it is `kept`.
pub(in crate::otlp) fn fixed32(out: &mut Vec<u8>, number: u32, value: u32, kept: bool) {
    if value != 0 || kept {
        encode_key(number, WireType::ThirtyTwoBit, out);
        out.extend_from_slice(&value.to_le_bytes());
    }
}

/// Writes a number of eight bytes, likewise.
pub(in crate::otlp) fn fixed64(out: &mut Vec<u8>, number: u32, value: u64, kept: bool) {
    if value != 0 || kept {
        encode_key(number, WireType::SixtyFourBit, out);
        out.extend_from_slice(&value.to_le_bytes());
    }
}

#[cfg(test)]
mod tests;
