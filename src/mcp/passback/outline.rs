//! A first look at what a server handed back: where each span stands in the text, and its ids.
//!
//! Drafts are made on the way of as many spans as may be taken, if they can be read. Of those that follow,
//! among which may be better ones, it reads the ids only, and copies nothing. What it gathers is bounded
//! whatever the text is; spans beyond that are counted.

use super::drafts::{Draft, Drafts, Ids};
use crate::json::{Kind, MAX_DEPTH, Reader, Result, Text};
use crate::mcp::peek::{members, skip};
use crate::mcp::sep2448;
use crate::otlp::json::view::Id;

/// Says how many resources and scopes are told apart; spans of one beyond count as beyond.
const MAX_RESOURCES: usize = 64;
const MAX_SCOPES: usize = 512;
/// Says how many spans are looked at for each one that may be taken: an answer has its root last as a rule.
const LOOK: usize = 16;

/// Holds what stands in one `traces` object.
#[derive(Default)]
pub(super) struct Outline<'a> {
    pub(super) resources: Vec<Part<'a>>,
    pub(super) scopes: Vec<(usize, Part<'a>)>,
    pub(super) entries: Vec<Entry<'a>>,
    /// The first of them, where they could be read.
    pub(super) drafts: Vec<Option<Draft>>,
    /// Spans that are not looked at.
    pub(super) beyond: u64,
    /// The server says that it left spans out.
    pub(super) truncated: bool,
    /// And how many.
    pub(super) left_out: u64,
    look: usize,
    wanted: usize,
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
    pub(super) ids: Ids,
}

impl<'a> Outline<'a> {
    /// Reads `json`, of which at most `max_spans` spans may be taken, and makes drafts of the first `wanted`.
    /// The flag says whether it is OTLP/JSON to its end.
    pub(super) fn read(
        json: &'a [u8],
        max_spans: usize,
        wanted: usize,
        drafts: &mut Drafts<'_, 'a>,
    ) -> (Self, bool) {
        let look = max_spans.saturating_mul(LOOK);
        let mut outline = Outline { look, wanted, ..Outline::default() };
        let mut reader = Reader::of_strings(json, MAX_DEPTH);
        let read = outline.document(json, &mut reader, drafts);
        let whole = read.and_then(|()| reader.end()).is_ok();
        (outline, whole)
    }

    fn document(
        &mut self,
        json: &'a [u8],
        reader: &mut Reader<'a>,
        drafts: &mut Drafts<'_, 'a>,
    ) -> Result<()> {
        members(reader, |key, reader| match key {
            key if sep2448::RESOURCE_SPANS.contains(&key) => {
                items(reader, |reader| self.resource(json, reader, drafts))
            }
            sep2448::TRUNCATED if reader.peek()?.0 == Kind::Bool => {
                reader.bool().map(|yes| self.truncated = yes)
            }
            sep2448::LEFT_OUT => count(reader).map(|n| self.left_out = n),
            _ => skip(reader),
        })
    }

    fn resource(
        &mut self,
        json: &'a [u8],
        reader: &mut Reader<'a>,
        drafts: &mut Drafts<'_, 'a>,
    ) -> Result<()> {
        // One beyond the limit has a place where nothing is.
        let place = self.resources.len();
        if place < MAX_RESOURCES {
            self.resources.push(Part::default());
        }
        members(reader, |key, reader| match key {
            b"scopeSpans" | b"scope_spans" => {
                items(reader, |reader| self.scope(place, json, reader, drafts))
            }
            _ => describe(self.resources.get_mut(place), key, json, reader),
        })
    }

    fn scope(
        &mut self,
        resource: usize,
        json: &'a [u8],
        reader: &mut Reader<'a>,
        drafts: &mut Drafts<'_, 'a>,
    ) -> Result<()> {
        let place = self.scopes.len();
        if place < MAX_SCOPES && resource < self.resources.len() {
            self.scopes.push((resource, Part::default()));
        }
        members(reader, |key, reader| match key {
            b"spans" => items(reader, |reader| self.span(place, json, reader, drafts)),
            _ => describe(self.scopes.get_mut(place).map(|(_, part)| part), key, json, reader),
        })
    }

    fn span(
        &mut self,
        scope: usize,
        json: &'a [u8],
        reader: &mut Reader<'a>,
        drafts: &mut Drafts<'_, 'a>,
    ) -> Result<()> {
        if scope >= self.scopes.len() || self.entries.len() >= self.look {
            self.beyond += 1;
            return skip(reader);
        }
        let (_, start) = reader.peek()?;
        if self.entries.len() < self.wanted {
            if let Ok(draft) = drafts.read(reader) {
                let (json, ids) = (&json[start..reader.offset()], draft.ids);
                self.entries.push(Entry { json, scope, ids });
                self.drafts.push(Some(draft));
                return Ok(());
            }
            self.drafts.push(None);
        }
        self.entries.push(Entry::read(&json[reader.skip()?], scope));
        Ok(())
    }
}

impl<'a> Entry<'a> {
    fn read(json: &'a [u8], scope: usize) -> Self {
        let mut ids = Ids { trace: Id::Absent, span: Id::Absent, parent: Id::Absent };
        let mut reader = Reader::new(json, MAX_DEPTH);
        let read = members(&mut reader, |key, reader| {
            match key {
                b"traceId" | b"trace_id" => ids.trace = id(reader)?,
                b"spanId" | b"span_id" => ids.span = id(reader)?,
                b"parentSpanId" | b"parent_span_id" => ids.parent = id(reader)?,
                _ => skip(reader)?,
            }
            Ok(())
        });
        // One that is malformed is found to be so when it is read whole.
        read.unwrap_or_default();
        Entry { json, scope, ids }
    }
}

/// The next value: hexadecimal in either case.
fn id<const N: usize>(reader: &mut Reader<'_>) -> Result<Id<N>> {
    match reader.peek()?.0 {
        Kind::Null => reader.null().map(|()| Id::Absent),
        Kind::String => Ok(Id::of(reader.text()?.raw())),
        _ => reader.skip().map(|_| Id::Bad),
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
    use crate::mcp::passback::{Expected, Window};
    use crate::mcp::{Passback, Unsampled};
    use crate::otlp::Messages;
    use crate::otlp::arbitrary;
    use crate::telemetry::Telemetry;

    fn nothing_known() -> Expected<'static> {
        Expected {
            told: None,
            own: None,
            hop: None,
            flags: 0,
            unsampled: Unsampled::Keep,
            window: Window::call(0, 0),
            server: "",
            request_id: "",
        }
    }

    proptest! {
        /// A span that is read on the way is what it is when it is read alone, and so are its ids.
        #[test]
        fn what_is_read_on_the_way_is_what_stands_there(
            ExportTraceServiceRequest { resource_spans } in arbitrary::traces(),
            damage in prop::option::of((any::<prop::sample::Index>(), any::<u8>())),
        ) {
            let mut json = Vec::new();
            Telemetry::from(Messages::Traces(resource_spans)).write_json(&mut json);
            if let Some((at, with)) = damage {
                let at = at.index(json.len());
                json[at] = with;
            }
            let (rules, expected) = (Passback::default(), nothing_known());
            let mut drafts = Drafts::new(&rules, &expected, json.len());
            let (outline, _) = Outline::read(&json, 2, 2, &mut drafts);
            prop_assert!(outline.drafts.len() <= 2);
            for (place, entry) in outline.entries.iter().enumerate() {
                let alone = Entry::read(entry.json, entry.scope);
                prop_assert_eq!(alone.ids, entry.ids);
                if let Some(read) = outline.drafts.get(place) {
                    let alone = drafts.read_alone(entry.json).ok();
                    // The same without a shortcut: none is taken where it is not known what is UTF-8.
                    let mut reader = Reader::new(entry.json, MAX_DEPTH);
                    let slowly = drafts.read(&mut reader).ok().filter(|_| reader.end().is_ok());
                    let [read, alone, slowly] =
                        [read.as_ref(), alone.as_ref(), slowly.as_ref()].map(|draft| {
                            let draft = draft?;
                            let (first, rest) = drafts.fields(draft, |at| at ^ 0x5a5a);
                            let fields = (first.to_vec(), rest.to_vec());
                            Some((draft.told, fields, draft.left, &draft.texts))
                        });
                    prop_assert_eq!(&read, &alone);
                    prop_assert_eq!(&read, &slowly);
                }
            }
        }
    }
}
