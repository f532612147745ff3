//! Writes spans: one at a time under one resource and scope, or whole requests.

use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link, SpanKind};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use prost::encoding::{WireType, message};

use super::attributes::{Attributes, Value};
use super::fields::{fixed32, fixed64, header, message_of, number, slice, text};
use super::group::{Group, give_back};

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
pub struct Spans(Group);

/// One span in the making.
#[derive(Debug)]
pub struct Span<'a>(&'a mut Vec<u8>);

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

    /// Says how many spans are in it.
    pub fn spans(&self) -> usize {
        self.spans
    }

    /// Says how many bytes it takes.
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
        give_back(&mut self.bytes);
        (self.bytes, self.spans)
    }
}

impl Spans {
    /// None yet; they will take about `size` bytes. Where they do, nothing is moved in the end.
    pub fn of(resource: &Resource, scope: &InstrumentationScope, size: usize) -> Self {
        Spans(Group::of(resource, scope, size))
    }

    /// Adds the span that `write` writes.
    pub fn add(&mut self, write: impl FnOnce(&mut Span<'_>)) {
        self.0.add(USUAL, |out| write(&mut Span(out)));
    }

    /// Says how many bytes they take.
    pub fn size(&self) -> usize {
        self.0.size()
    }

    /// All of them.
    pub fn finish(self) -> Traces {
        let (bytes, spans) = self.0.finish();
        Traces { bytes, spans }
    }
}

impl ResourceSpans<'_> {
    /// `resource`
    pub fn resource(&mut self, write: impl FnOnce(Attributes<'_>) -> u32) {
        message_of(self.out, 1, 0, |out| {
            let dropped = write(Attributes::of(out, 1));
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
            let dropped = write(Attributes::of(out, 3));
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

    /// Says where it ends so far, in the memory that it is written to.
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

    /// Writes `name`, which is not empty, in parts.
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

    /// Writes one of `events` in place. What writes its attributes says how many were dropped. Returns where the
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
            let dropped = write(Attributes::of(out, 3));
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

    /// Writes one of `links` in place.
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
            let dropped = write(Attributes::of(out, 4));
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
