//! Spans that were read and screened before it is known which of them may be put out: to read them once
//! is what costs, and what is left of one is short.
//!
//! A draft is a span's fields as protobuf, but for its place (ids, parent, flags) and its times, which
//! depend on the other spans of its answer.

use std::ops::Range;

use super::screen::{Event, Left, Screen};
use super::{Expected, Texts};
use crate::json::Reader;
use crate::mcp::Passback;
use crate::otlp::json::Error;
use crate::otlp::json::view::{self, Id};
use crate::otlp::wire::compose::Traces;
use crate::telemetry::Nanos;

/// The drafts of one answer, and what they are made with.
pub(super) struct Drafts<'r, 'a> {
    pub(super) screen: Screen<'r>,
    span: view::Span<'a>,
    /// The fields of all, one after the other.
    bytes: Vec<u8>,
    /// The events of all.
    events: Vec<Event>,
}

/// One span.
pub(super) struct Draft {
    pub(super) ids: Ids,
    /// Says when it began and ended, as it says.
    pub(super) told: (Nanos, Nanos),
    /// Its fields up to its attributes, and those behind them.
    fields: (Range<usize>, Range<usize>),
    events: Range<usize>,
    pub(super) left: Left,
    pub(super) texts: Texts,
}

/// The ids that a span gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ids {
    pub(super) trace: Id<16>,
    pub(super) span: Id<8>,
    pub(super) parent: Id<8>,
}

impl<'r, 'a> Drafts<'r, 'a> {
    /// None yet, of an answer of `len` bytes.
    pub(super) fn new(rules: &'r Passback, expected: &Expected<'_>, len: usize) -> Self {
        let screen = Screen::new(rules, expected);
        // Protobuf takes about half of what JSON does.
        let bytes = Vec::with_capacity(len / 2);
        Drafts { screen, span: view::Span::default(), bytes, events: Vec::new() }
    }

    /// Reads the span that stands next. Where that fails nothing was read.
    pub(super) fn read(&mut self, reader: &mut Reader<'a>) -> Result<Draft, Error> {
        self.span.read(reader)?;
        let (fields, events) = (self.bytes.len(), self.events.len());
        let (texts, behind) = self.screen.span(&mut self.span, &mut self.bytes, &mut self.events);
        let view::Span { trace, span, parent, start, end, .. } = self.span;
        Ok(Draft {
            ids: Ids { trace, span, parent },
            told: (start, end),
            fields: (fields..behind, behind..self.bytes.len()),
            events: events..self.events.len(),
            left: self.screen.left(),
            texts,
        })
    }

    /// Reads a text that is one span.
    pub(super) fn read_alone(&mut self, json: &'a [u8]) -> Result<Draft, Error> {
        let mut reader = Reader::of_strings(json, crate::json::MAX_DEPTH);
        let draft = self.read(&mut reader)?;
        reader.end()?;
        Ok(draft)
    }

    /// Memory for `count` of these spans, and what is added to each.
    pub(super) fn traces(&self, count: usize) -> Traces {
        /// About what ids, times and the attributes that say where a span came from take, in bytes.
        const MORE: usize = 200;
        Traces::with_capacity(self.bytes.len() + (count + 1) * MORE)
    }

    /// The fields of a span whose events are moved in time: up to its attributes, and those behind them.
    pub(super) fn fields(&mut self, draft: &Draft, at: impl Fn(Nanos) -> Nanos) -> (&[u8], &[u8]) {
        for event in &self.events[draft.events.clone()] {
            let time = &mut self.bytes[event.place..event.place + size_of::<Nanos>()];
            time.copy_from_slice(&at(event.time).to_le_bytes());
        }
        let (first, rest) = draft.fields.clone();
        (&self.bytes[first], &self.bytes[rest])
    }
}
