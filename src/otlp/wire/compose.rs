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

    /// The bytes, and how many spans are in them.
    pub fn into_parts(self) -> (Vec<u8>, usize) {
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
            varint(out, 2, dropped.into());
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
            varint(out, 4, dropped.into());
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

    /// The same in parts.
    pub fn name_of(&mut self, parts: [&str; 3]) {
        header(self.0, 5, parts.iter().map(|part| part.len()).sum());
        parts.iter().for_each(|part| self.0.extend_from_slice(part.as_bytes()));
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
        varint(self.0, 10, count.into());
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
            varint(out, 4, dropped.into());
        });
        begin + 1
    }

    /// `dropped_events_count`
    pub fn dropped_events(&mut self, count: u32) {
        varint(self.0, 12, count.into());
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
            varint(out, 5, dropped.into());
            fixed32(out, 6, flags);
        });
    }

    /// `dropped_links_count`
    pub fn dropped_links(&mut self, count: u32) {
        varint(self.0, 14, count.into());
    }

    /// `status`, without a message.
    pub fn status(&mut self, code: StatusCode) {
        message_of(self.0, 15, 0, |out| varint(out, 3, code as u64));
    }

    /// `flags`
    pub fn flags(&mut self, flags: u32) {
        fixed32(self.0, 16, flags);
    }
}

impl<'a> Attributes<'a> {
    /// Those of a span, [onto](Span::onto) other memory.
    pub(super) fn of_span(out: &'a mut Vec<u8>) -> Self {
        Attributes { out, number: 9 }
    }

    /// Adds one. Names must differ.
    #[inline(always)]
    pub fn add(&mut self, name: &str, value: Value<'_>) {
        key_value(self.out, self.number, name, value);
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
    }
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
#[derive(Debug)]
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

    /// Ends it; returns where it begins.
    pub(super) fn close(self, out: &mut Vec<u8>) -> usize {
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
fn header(out: &mut Vec<u8>, number: u32, len: usize) {
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

fn fixed32(out: &mut Vec<u8>, number: u32, value: u32) {
    if value != 0 {
        encode_key(number, WireType::ThirtyTwoBit, out);
        out.extend_from_slice(&value.to_le_bytes());
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
    use super::{Attributes, Event, InstrumentationScope, Link, Resource, Span, SpanKind, Spans};
    use super::{StatusCode, Traces, Value, any_value};
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
    use opentelemetry_proto::tonic::trace::v1::{
        ResourceSpans, ScopeSpans, Span as Message, Status,
    };
    use prost::Message as _;

    fn attribute(key: &str, value: any_value::Value) -> KeyValue {
        let value = Some(AnyValue { value: Some(value) });
        KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
    }

    #[test]
    fn a_span_of_nothing_is_one() {
        let mut spans = Spans::of(&Resource::default(), &InstrumentationScope::default(), 0);
        spans.add(|_| ());
        spans.add(|span| span.name("n"));
        spans.add(|span| span.name_of(["n", " ", "m"]));
        let expected = [0x12, 0, 0x12, 3, 0x2a, 1, b'n', 0x12, 5, 0x2a, 3, b'n', b' ', b'm'];
        assert!(spans.finish().into_parts().0.ends_with(&expected));
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
            let of_messages = ResourceSpans {
                resource: Some(resource.clone()),
                scope_spans: vec![ScopeSpans {
                    scope: Some(scope.clone()),
                    spans: vec![message.clone(), message],
                    ..ScopeSpans::default()
                }],
                ..ResourceSpans::default()
            };
            let expected = ExportTraceServiceRequest { resource_spans: vec![of_messages] };
            // However many bytes are thought of.
            for guess in [0, 1000, 20_000, 3_000_000] {
                let mut spans = Spans::of(&resource, &scope, guess);
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
                let (bytes, count) = spans.finish().into_parts();
                assert_eq!(count, 2);
                assert_eq!(bytes, expected.encode_to_vec());
            }
        }
    }

    /// The same of what has resources, scopes, events and links of its own.
    #[test]
    fn what_is_composed_piece_by_piece_is_what_an_encoder_writes() {
        use any_value::Value::{ArrayValue, DoubleValue, StringValue};
        for long in [0, 1, 90, 110, 127, 128, 129, 16_300, 16_384, 70_000] {
            let text = "x".repeat(long);
            let list = ArrayValue(Default::default());
            let attributes = vec![
                attribute("text", StringValue(text.clone())),
                attribute("half", DoubleValue(0.5)),
                attribute("list", list.clone()),
                KeyValue { value: Some(AnyValue::default()), ..attribute("none", list.clone()) },
            ];
            let all = |mut out: Attributes<'_>| {
                out.add("text", Value::Text(&text));
                out.add("half", Value::Double(0.5));
                out.add("list", Value::Other(&list));
                out.add("none", Value::Empty);
                long as u32
            };
            let dropped_attributes_count = long as u32;
            let event = Event {
                name: text.clone(),
                time_unix_nano: 3,
                attributes: attributes.clone(),
                dropped_attributes_count,
            };
            let link = Link {
                trace_id: vec![7; 16],
                span_id: vec![8; 8],
                attributes: attributes.clone(),
                dropped_attributes_count,
                flags: 1,
                ..Link::default()
            };
            let span = Message {
                span_id: vec![2; 8],
                trace_id: vec![1; 16],
                attributes: attributes.clone(),
                dropped_attributes_count,
                events: vec![event.clone(), event],
                links: vec![link],
                dropped_links_count: long as u32,
                ..Message::default()
            };
            let expected = |spans: Vec<Message>| ExportTraceServiceRequest {
                resource_spans: vec![ResourceSpans {
                    resource: Some(Resource {
                        attributes: attributes.clone(),
                        dropped_attributes_count,
                        ..Resource::default()
                    }),
                    scope_spans: vec![ScopeSpans {
                        scope: Some(InstrumentationScope {
                            name: "s".into(),
                            version: text.clone(),
                            attributes: attributes.clone(),
                            dropped_attributes_count,
                        }),
                        spans,
                        schema_url: text.clone(),
                    }],
                    schema_url: "u".into(),
                }],
            };
            let mut times = Vec::new();
            let mut part = Vec::new();
            let mut rest = Span::onto(&mut part);
            all(rest.attributes());
            rest.dropped_attributes(dropped_attributes_count);
            times.extend([rest.event_at(3, &text, all), rest.event_at(3, &text, all)]);
            rest.link_to(&[7; 16], &[8; 8], 1, all);
            rest.dropped_links(long as u32);
            for time in times {
                assert_eq!(part[time..time + 8], 3_u64.to_le_bytes());
            }
            let mut composed = Traces::default();
            composed.resource(|out| {
                out.resource(all);
                out.scope(|out| {
                    out.scope("s", &text, all);
                    for _ in 0..2 {
                        out.span(|span| {
                            span.ids(&[1; 16], &[2; 8]);
                            span.part(&part);
                        });
                    }
                    out.schema_url(&text);
                });
                out.schema_url("u");
            });
            let mut twice = Traces::default();
            twice.join(composed.clone());
            twice.join(composed.clone());
            assert_eq!(
                (composed.spans(), twice.spans(), twice.size()),
                (2, 4, 2 * composed.size())
            );
            let message = expected(vec![span.clone(), span]);
            assert_eq!(composed.into_parts().0, message.encode_to_vec());
        }
    }
}
