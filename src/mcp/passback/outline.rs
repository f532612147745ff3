//! A first look at what a server handed back: where each span stands in the text, and its ids.
//!
//! As many spans as may be taken are read whole on the way, if they can be. Of those that follow, among
//! which may be better ones, it reads the ids only, and copies nothing. What it gathers is bounded
//! whatever the text is; spans beyond that are counted.

use opentelemetry_proto::tonic::trace::v1::Span;

use super::words;
use crate::json::{Kind, MAX_DEPTH, Reader, Result, Text};
use crate::mcp::peek::{members, skip};
use crate::otlp::json::read_next_span;

/// How many resources and scopes are told apart; spans of one beyond count as beyond.
const MAX_RESOURCES: usize = 64;
const MAX_SCOPES: usize = 512;
/// How many spans are looked at for each one that may be taken: an answer has its root last as a rule.
const LOOK: usize = 16;

/// What stands in one `traces` object.
#[derive(Debug, Default)]
pub(super) struct Outline<'a> {
    pub(super) resources: Vec<Part<'a>>,
    pub(super) scopes: Vec<(usize, Part<'a>)>,
    pub(super) entries: Vec<Entry<'a>>,
    /// The first of them, where they could be read.
    pub(super) spans: Vec<Option<Span>>,
    /// Spans that are not looked at.
    pub(super) beyond: u64,
    /// The server says that it left spans out.
    pub(super) truncated: bool,
    /// And how many.
    pub(super) left_out: u64,
    look: usize,
    read: usize,
}

/// A resource or scope.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Part<'a> {
    /// Its JSON, empty if there is none.
    pub(super) json: &'a [u8],
    pub(super) schema_url: Option<Text<'a>>,
}

/// One span.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry<'a> {
    pub(super) json: &'a [u8],
    /// Its scope, by place.
    pub(super) scope: usize,
    pub(super) trace: Given<16>,
    pub(super) span: Given<8>,
    pub(super) parent: Given<8>,
}

/// An id as it was given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Given<const N: usize> {
    /// Missing, empty or all zero.
    #[default]
    Absent,
    /// Something that is no id.
    Bad,
    Id([u8; N]),
}

impl<'a> Outline<'a> {
    /// Reads `json`, of which at most `max_spans` spans may be taken. The flag says whether it is OTLP/JSON
    /// to its end.
    pub(super) fn read(json: &'a [u8], max_spans: usize) -> (Self, bool) {
        let look = max_spans.saturating_mul(LOOK);
        let mut outline = Outline { look, read: max_spans, ..Outline::default() };
        let mut reader = Reader::new(json, MAX_DEPTH);
        let whole = outline.document(json, &mut reader).and_then(|()| reader.end()).is_ok();
        (outline, whole)
    }

    fn document(&mut self, json: &'a [u8], reader: &mut Reader<'a>) -> Result<()> {
        members(reader, |key, reader| match key {
            key if words::RESOURCE_SPANS.contains(&key) => {
                items(reader, |reader| self.resource(json, reader))
            }
            words::TRUNCATED if reader.peek()?.0 == Kind::Bool => {
                reader.bool().map(|yes| self.truncated = yes)
            }
            words::LEFT_OUT => count(reader).map(|n| self.left_out = n),
            _ => skip(reader),
        })
    }

    fn resource(&mut self, json: &'a [u8], reader: &mut Reader<'a>) -> Result<()> {
        // One beyond the limit has a place where nothing is.
        let place = self.resources.len();
        if place < MAX_RESOURCES {
            self.resources.push(Part::default());
        }
        members(reader, |key, reader| match key {
            b"scopeSpans" | b"scope_spans" => {
                items(reader, |reader| self.scope(place, json, reader))
            }
            _ => describe(self.resources.get_mut(place), key, json, reader),
        })
    }

    fn scope(&mut self, resource: usize, json: &'a [u8], reader: &mut Reader<'a>) -> Result<()> {
        let place = self.scopes.len();
        if place < MAX_SCOPES && resource < self.resources.len() {
            self.scopes.push((resource, Part::default()));
        }
        members(reader, |key, reader| match key {
            b"spans" => items(reader, |reader| self.span(place, json, reader)),
            _ => describe(self.scopes.get_mut(place).map(|(_, part)| part), key, json, reader),
        })
    }

    fn span(&mut self, scope: usize, json: &'a [u8], reader: &mut Reader<'a>) -> Result<()> {
        if scope >= self.scopes.len() || self.entries.len() >= self.look {
            self.beyond += 1;
            return skip(reader);
        }
        let (_, start) = reader.peek()?;
        if self.entries.len() < self.read {
            if let Ok(span) = read_next_span(reader) {
                self.entries.push(Entry::of(&span, &json[start..reader.offset()], scope));
                self.spans.push(Some(span));
                return Ok(());
            }
            self.spans.push(None);
        }
        self.entries.push(Entry::read(&json[reader.skip()?], scope));
        Ok(())
    }
}

impl<'a> Entry<'a> {
    fn of(span: &Span, json: &'a [u8], scope: usize) -> Self {
        Entry {
            json,
            scope,
            trace: Given::of(&span.trace_id),
            span: Given::of(&span.span_id),
            parent: Given::of(&span.parent_span_id),
        }
    }

    fn read(json: &'a [u8], scope: usize) -> Self {
        let (trace, span, parent) = (Given::Absent, Given::Absent, Given::Absent);
        let mut entry = Entry { json, scope, trace, span, parent };
        let mut reader = Reader::new(json, MAX_DEPTH);
        let read = members(&mut reader, |key, reader| {
            match key {
                b"traceId" | b"trace_id" => entry.trace = Given::read(reader)?,
                b"spanId" | b"span_id" => entry.span = Given::read(reader)?,
                b"parentSpanId" | b"parent_span_id" => entry.parent = Given::read(reader)?,
                _ => skip(reader)?,
            }
            Ok(())
        });
        // One that is malformed is found to be so when it is read whole.
        read.unwrap_or_default();
        entry
    }
}

impl<const N: usize> Given<N> {
    fn of(id: &[u8]) -> Self {
        match <[u8; N]>::try_from(id) {
            Ok(id) if id != [0; N] => Given::Id(id),
            Ok(_) => Given::Absent,
            Err(_) if id.is_empty() => Given::Absent,
            Err(_) => Given::Bad,
        }
    }

    /// The next value: hexadecimal in either case.
    fn read(reader: &mut Reader<'_>) -> Result<Self> {
        match reader.peek()?.0 {
            Kind::Null => return reader.null().map(|()| Given::Absent),
            Kind::String => {}
            _ => return reader.skip().map(|_| Given::Bad),
        }
        let digits = reader.text()?.raw();
        if digits.is_empty() {
            return Ok(Given::Absent);
        }
        let nibble = |b: u8| (b as char).to_digit(16).map(|digit| digit as u8);
        let mut id = [0; N];
        if digits.len() != 2 * N {
            return Ok(Given::Bad);
        }
        for (byte, pair) in id.iter_mut().zip(digits.chunks_exact(2)) {
            match (nibble(pair[0]), nibble(pair[1])) {
                (Some(high), Some(low)) => *byte = high << 4 | low,
                _ => return Ok(Given::Bad),
            }
        }
        Ok(if id == [0; N] { Given::Absent } else { Given::Id(id) })
    }

    pub(super) fn id(self) -> Option<[u8; N]> {
        match self {
            Given::Id(id) => Some(id),
            Given::Absent | Given::Bad => None,
        }
    }
}

/// Walks the items of the next value if it is an array, else passes over it.
fn items<'a>(
    reader: &mut Reader<'a>,
    mut each: impl FnMut(&mut Reader<'a>) -> Result<()>,
) -> Result<()> {
    if reader.peek()?.0 != Kind::Array {
        return skip(reader);
    }
    reader.array()?;
    while reader.item()? {
        each(reader)?;
    }
    Ok(())
}

/// Takes in what is told of a resource or scope beside what is in it; nothing where there is no place.
fn describe<'a>(
    part: Option<&mut Part<'a>>,
    key: &[u8],
    json: &'a [u8],
    reader: &mut Reader<'a>,
) -> Result<()> {
    let Some(part) = part else { return skip(reader) };
    match key {
        b"resource" | b"scope" => part.json = &json[reader.skip()?],
        b"schemaUrl" | b"schema_url" if reader.peek()?.0 == Kind::String => {
            part.schema_url = Some(reader.text()?);
        }
        _ => skip(reader)?,
    }
    Ok(())
}

/// The next value if it is a count, as a number or as a string.
fn count(reader: &mut Reader<'_>) -> Result<u64> {
    match reader.peek()?.0 {
        Kind::Number => Ok(reader.number()?.parse().unwrap_or_default()),
        Kind::String => {
            let text = reader.text()?;
            Ok(std::str::from_utf8(text.raw())
                .ok()
                .and_then(|n| n.parse().ok())
                .unwrap_or_default())
        }
        _ => skip(reader).map(|()| 0),
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use proptest::prelude::*;

    use super::*;
    use crate::otlp::arbitrary;
    use crate::telemetry::{Model, Telemetry};

    proptest! {
        /// A span that is read on the way is what it is when it is read alone, and so are its ids.
        #[test]
        fn what_is_read_on_the_way_is_what_stands_there(
            ExportTraceServiceRequest { resource_spans } in arbitrary::traces(),
            damage in prop::option::of((any::<prop::sample::Index>(), any::<u8>())),
        ) {
            let mut json = Vec::new();
            Telemetry::from(Model::Traces(resource_spans)).write_json(&mut json);
            if let Some((at, with)) = damage {
                let at = at.index(json.len());
                json[at] = with;
            }
            let (outline, _) = Outline::read(&json, 2);
            prop_assert!(outline.spans.len() <= 2);
            for (place, entry) in outline.entries.iter().enumerate() {
                let alone = Entry::read(entry.json, entry.scope);
                prop_assert_eq!(
                    (alone.trace, alone.span, alone.parent),
                    (entry.trace, entry.span, entry.parent)
                );
                if let Some(read) = outline.spans.get(place) {
                    let alone = crate::otlp::json::read_span(entry.json).ok();
                    prop_assert_eq!(format!("{read:?}"), format!("{alone:?}"));
                }
            }
        }
    }
}
