//! Spans written as protobuf from the start, for who makes many of them: a span is some fifty strings as
//! messages, and one piece of memory here.
//!
//! What is written decodes by construction: texts are `str`, ids arrays, lengths are those of what is there. Fields that hold their default are left out, as proto3 has it. It does not watch
//! over order or uniqueness; who calls each method once, in the order in which they stand here, writes
//! what an encoder of the messages would.

use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link, SpanKind};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, status::StatusCode};
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint, message};

/// About what a span takes, in bytes.
const USUAL: usize = 1000;

/// An `ExportTraceServiceRequest` in the making.
#[derive(Debug, Default)]
pub struct Traces {
    bytes: Vec<u8>,
    spans: usize,
}

/// Spans that will share a scope.
#[derive(Debug, Default)]
pub struct Spans {
    /// The `spans` of `ScopeSpans`, one after the other.
    bytes: Vec<u8>,
    count: usize,
}

/// One span in the making.
#[derive(Debug)]
pub struct Span<'a>(&'a mut Vec<u8>);

/// A value of an attribute.
#[derive(Clone, Copy, Debug)]
pub enum Value<'a> {
    /// `string_value`
    Text(&'a str),
    /// `int_value`
    Int(i64),
    /// `bool_value`
    Bool(bool),
}

impl Traces {
    /// A request in memory for about `bytes` bytes.
    pub fn with_capacity(bytes: usize) -> Self {
        Traces { bytes: Vec::with_capacity(bytes), spans: 0 }
    }

    /// Adds spans of one resource and one scope.
    pub fn add(&mut self, resource: &Resource, scope: &InstrumentationScope, spans: &Spans) {
        self.spans += spans.count;
        let scope_spans = message::encoded_len(1, scope) + spans.bytes.len();
        let out = &mut self.bytes;
        // Lengths first, for there is much to move.
        header(out, 1, message::encoded_len(1, resource) + header_len(scope_spans) + scope_spans);
        message::encode(1, resource, out);
        header(out, 2, scope_spans);
        message::encode(1, scope, out);
        out.extend_from_slice(&spans.bytes);
    }

    /// Adds spans that exist as messages.
    pub fn add_messages(&mut self, all: &ResourceSpans) {
        self.spans += all.scope_spans.iter().map(|scope| scope.spans.len()).sum::<usize>();
        message::encode(1, all, &mut self.bytes);
    }

    /// The bytes, and how many spans are in them.
    pub fn into_parts(self) -> (Vec<u8>, usize) {
        (self.bytes, self.spans)
    }
}

impl Spans {
    /// None yet, in memory for about `bytes` bytes.
    pub fn with_capacity(bytes: usize) -> Self {
        Spans { bytes: Vec::with_capacity(bytes), count: 0 }
    }

    /// Adds the span that `write` writes.
    pub fn add(&mut self, write: impl FnOnce(&mut Span<'_>)) {
        self.count += 1;
        let out = &mut self.bytes;
        let open = Open::guess(out, 2, USUAL);
        write(&mut Span(out));
        open.close(out);
    }

    /// How many bytes they take.
    pub fn size(&self) -> usize {
        self.bytes.len()
    }
}

impl Span<'_> {
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

    /// `kind`
    pub fn kind(&mut self, kind: SpanKind) {
        varint(self.0, 6, kind as u64);
    }

    /// `start_time_unix_nano` and `end_time_unix_nano`.
    pub fn times(&mut self, start: u64, end: u64) {
        fixed64(self.0, 7, start);
        fixed64(self.0, 8, end);
    }

    /// One of `attributes`. Names must differ.
    pub fn attribute(&mut self, name: &str, value: Value<'_>) {
        key_value(self.0, name, value);
    }

    /// One of `events`.
    pub fn event(&mut self, event: &Event) {
        message::encode(11, event, self.0);
    }

    /// `dropped_events_count`
    pub fn dropped_events(&mut self, count: u32) {
        varint(self.0, 12, count.into());
    }

    /// One of `links`.
    pub fn link(&mut self, link: &Link) {
        message::encode(13, link, self.0);
    }

    /// `status`, without a message.
    pub fn status(&mut self, code: StatusCode) {
        let open = Open::guess(self.0, 15, 0);
        varint(self.0, 3, code as u64);
        open.close(self.0);
    }

    /// `flags`
    pub fn flags(&mut self, flags: u32) {
        if flags != 0 {
            encode_key(16, WireType::ThirtyTwoBit, self.0);
            self.0.extend_from_slice(&flags.to_le_bytes());
        }
    }
}

/// One of `attributes`. A oneof keeps its choice, default or not.
fn key_value(out: &mut Vec<u8>, name: &str, value: Value<'_>) {
    let mut number = [0; MAX_VARINT];
    // The key of the choice, and the number behind it: a text's length.
    let (field, number) = match value {
        Value::Text(text) => (1 << 3 | 2, encoded(text.len() as u64, &mut number)),
        Value::Bool(value) => (2 << 3, encoded(value.into(), &mut number)),
        Value::Int(value) => (3 << 3, encoded(value.cast_unsigned(), &mut number)),
    };
    let text = if let Value::Text(text) = value { text } else { "" };
    let inner = 1 + number.len() + text.len();
    let key = if name.is_empty() { 0 } else { header_len(name.len()) + name.len() };
    header(out, 9, key + header_len(inner) + inner);
    if key > 0 {
        slice(out, 1, name.as_bytes());
    }
    header(out, 2, inner);
    out.push(field);
    out.extend_from_slice(number);
    out.extend_from_slice(text.as_bytes());
}

/// A message that is written before its length is known.
pub(super) struct Open {
    /// Where it begins, and how much room was left for its length.
    at: usize,
    room: usize,
}

impl Open {
    /// Begins one of about `len` bytes. If its length takes another number of bytes than that one would,
    /// it is moved in the end.
    pub(super) fn guess(out: &mut Vec<u8>, number: u32, len: usize) -> Self {
        header(out, number, len);
        Open { at: out.len(), room: encoded_len_varint(len as u64) }
    }

    /// Ends it.
    pub(super) fn close(self, out: &mut Vec<u8>) {
        let Open { at, room } = self;
        let len = out.len() - at;
        let takes = encoded_len_varint(len as u64);
        if takes != room {
            let begin = at - room + takes;
            out.resize(out.len().max(begin + len), 0);
            out.copy_within(at..at + len, begin);
            out.truncate(begin + len);
        }
        let mut place = &mut out[at - room..at - room + takes];
        encode_varint(len as u64, &mut place);
    }
}

/// Key and length of a field that has one. Fields up to 15 have a key of one byte.
fn header(out: &mut Vec<u8>, number: u32, len: usize) {
    debug_assert!(number < 16);
    let key = (number << 3) as u8 | WireType::LengthDelimited as u8;
    match u8::try_from(len) {
        Ok(short @ ..0x80) => out.extend_from_slice(&[key, short]),
        _ => {
            out.push(key);
            encode_varint(len as u64, out);
        }
    }
}

fn header_len(len: usize) -> usize {
    1 + encoded_len_varint(len as u64)
}

/// A varint takes no more.
const MAX_VARINT: usize = 10;

fn encoded(value: u64, place: &mut [u8; MAX_VARINT]) -> &[u8] {
    let mut rest = &mut place[..];
    encode_varint(value, &mut rest);
    let left = rest.len();
    &place[..MAX_VARINT - left]
}

fn text(out: &mut Vec<u8>, number: u32, text: &str) {
    if !text.is_empty() {
        slice(out, number, text.as_bytes());
    }
}

fn slice(out: &mut Vec<u8>, number: u32, bytes: &[u8]) {
    header(out, number, bytes.len());
    out.extend_from_slice(bytes);
}

fn varint(out: &mut Vec<u8>, number: u32, value: u64) {
    if value != 0 {
        encode_key(number, WireType::Varint, out);
        encode_varint(value, out);
    }
}

fn fixed64(out: &mut Vec<u8>, number: u32, value: u64) {
    if value != 0 {
        encode_key(number, WireType::SixtyFourBit, out);
        out.extend_from_slice(&value.to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
    use opentelemetry_proto::tonic::trace::v1::{ScopeSpans, Span as Message, Status};
    use prost::Message as _;

    fn attribute(key: &str, value: any_value::Value) -> KeyValue {
        let value = Some(AnyValue { value: Some(value) });
        KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
    }

    #[test]
    fn a_span_of_nothing_is_one() {
        let mut spans = Spans::default();
        spans.add(|_| ());
        spans.add(|span| span.name("n"));
        assert_eq!(spans.bytes, [0x12, 0, 0x12, 3, 0x2a, 1, b'n']);
    }

    /// Where lengths grow by a byte, and where numbers do.
    #[test]
    fn what_is_composed_is_what_an_encoder_writes() {
        for long in [0, 1, 90, 110, 127, 128, 129, 16_300, 16_384, 70_000] {
            let text = "x".repeat(long);
            let event = Event { name: text.clone(), time_unix_nano: 3, ..Event::default() };
            let link = Link { trace_id: vec![7; 16], span_id: vec![8; 8], ..Link::default() };
            let message = Message {
                trace_id: vec![1; 16],
                span_id: vec![2; 8],
                trace_state: text.clone(),
                parent_span_id: vec![3; 8],
                name: "name".to_owned(),
                kind: 3,
                start_time_unix_nano: long as u64,
                end_time_unix_nano: u64::MAX,
                attributes: vec![
                    attribute("text", any_value::Value::StringValue(text.clone())),
                    attribute(&text, any_value::Value::IntValue(-(long as i64))),
                    attribute("no", any_value::Value::BoolValue(false)),
                ],
                events: vec![event.clone()],
                dropped_events_count: long as u32,
                links: vec![link.clone()],
                status: Some(Status { code: 2, ..Status::default() }),
                flags: 0x301,
                ..Message::default()
            };
            let resource =
                Resource { attributes: message.attributes.clone(), ..Resource::default() };
            let scope = InstrumentationScope { name: "s".into(), ..Default::default() };
            let mut spans = Spans::default();
            for _ in 0..2 {
                spans.add(|span| {
                    span.ids(&[1; 16], &[2; 8]);
                    span.trace_state(&text);
                    span.parent(&[3; 8]);
                    span.name("name");
                    span.kind(SpanKind::Client);
                    span.times(long as u64, u64::MAX);
                    span.attribute("text", Value::Text(&text));
                    span.attribute(&text, Value::Int(-(long as i64)));
                    span.attribute("no", Value::Bool(false));
                    span.event(&event);
                    span.dropped_events(long as u32);
                    span.link(&link);
                    span.status(StatusCode::Error);
                    span.flags(0x301);
                });
            }
            let mut all = Traces::default();
            all.add(&resource, &scope, &spans);
            let of_messages = ResourceSpans {
                resource: Some(resource),
                scope_spans: vec![ScopeSpans {
                    scope: Some(scope),
                    spans: vec![message.clone(), message],
                    ..ScopeSpans::default()
                }],
                ..ResourceSpans::default()
            };
            all.add_messages(&of_messages);
            let (bytes, count) = all.into_parts();
            assert_eq!(count, 4);
            let resource_spans = vec![of_messages.clone(), of_messages];
            assert_eq!(bytes, ExportTraceServiceRequest { resource_spans }.encode_to_vec());
        }
    }
}
