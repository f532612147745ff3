//! One answer: which of its spans may be put out, and these put together.

use std::borrow::Cow;

use super::drafts::{Draft, Drafts};
use super::lineage::{Lineage, Tree};
use super::outline::{Outline, Part};
use super::times::Fit;
use super::{Accepted, Expected, HandedBack, PassbackCounts, Refused};
use crate::mcp::Passback;
use crate::mcp::trace::span_flags;
use crate::otlp::json::view::{Resource, Scope};
use crate::otlp::wire::compose::{self, Attributes, Value};
use crate::telemetry::{Nanos, SpanId, names};

/// One answer, and what was found out about it.
pub(super) struct Answer<'o, 'a> {
    pub(super) outline: &'o Outline<'a>,
    pub(super) expected: &'o Expected<'o>,
    pub(super) rules: &'o Passback,
    /// The request had no context.
    pub(super) orphans: bool,
    pub(super) told: Option<SpanId>,
    /// The trace that the spans say they are of.
    pub(super) trace: [u8; 16],
    /// The trace that they are put into, and what their roots hang on.
    pub(super) place: ([u8; 16], Option<SpanId>),
}

/// A span that is good so far.
struct Good {
    place: usize,
    id: SpanId,
    draft: Draft,
    /// The nearest good ancestor, if there is one.
    above: Option<SpanId>,
    /// Says when it began and ended, as far as we believe it.
    times: (Nanos, Nanos),
}

impl<'a> Answer<'_, 'a> {
    /// Takes it in. `read` are the first of its spans, where they could be read.
    pub(super) fn accept(
        &self,
        read: Vec<Option<Draft>>,
        drafts: &mut Drafts<'_, 'a>,
        known: &HandedBack,
        counts: &mut PassbackCounts,
    ) -> Accepted {
        let entries = &self.outline.entries;
        let ours = [self.expected.own.map(|own| own.span), self.expected.hop];
        let ours: Vec<_> = ours.into_iter().flatten().collect();
        let refused = &mut counts.refused;
        let mut lineage = Lineage::check(entries, self.trace, self.told, &ours, refused);
        refused.excess += lineage.prune(self.rules.max_spans);
        let mut spans = self.good(read, drafts, &mut lineage, refused);
        let tree = lineage.tree();
        counts.circles += tree.circles;
        let fit = self.settle(&mut spans, &tree, counts);
        // What came before is left out last of all: its children do have it as their parent.
        let names = spans.iter().map(|good| (self.trace, good.id, good.draft.told.0));
        let mut first = known.first_time(names).into_iter();
        spans.retain(|_| {
            let first = first.next().unwrap_or_default();
            counts.refused.duplicate += u64::from(!first);
            first
        });
        counts.spans += spans.len() as u64;
        self.put_together(&mut spans, fit, drafts, counts)
    }

    /// The spans that are good so far; those that cannot be read are not.
    fn good(
        &self,
        read: Vec<Option<Draft>>,
        drafts: &mut Drafts<'_, 'a>,
        lineage: &mut Lineage,
        refused: &mut Refused,
    ) -> Vec<Good> {
        let mut spans = Vec::with_capacity(read.len());
        let mut read = read.into_iter();
        for (place, entry) in self.outline.entries.iter().enumerate() {
            let read = read.next().flatten();
            let Some(id) = entry.ids.span.given().filter(|_| lineage.is_good(place)) else {
                continue;
            };
            match read.map_or_else(|| drafts.read_alone(entry.json), Ok) {
                Ok(draft) => {
                    spans.push(Good { place, id, times: draft.told, draft, above: None });
                }
                Err(_) => {
                    lineage.refuse(place);
                    refused.malformed += 1;
                }
            }
        }
        spans
    }

    /// Says what each span hangs on, and brings its times into the call's.
    fn settle(&self, spans: &mut [Good], tree: &Tree, counts: &mut PassbackCounts) -> Fit<'_> {
        for good in &mut *spans {
            let above = tree.above[good.place];
            good.above = above.and_then(|above| self.outline.entries[above].ids.span.given());
        }
        let roots = spans.iter().filter(|good| good.above.is_none()).map(|good| good.draft.told);
        let fit = self.expected.window.fit(roots);
        for good in spans {
            good.times = fit.span(good.draft.told);
            counts.moved += u64::from(good.times != good.draft.told);
        }
        fit
    }

    /// Puts what is left under its resources and scopes. Spans come in the order of these.
    fn put_together(
        &self,
        spans: &mut [Good],
        fit: Fit<'_>,
        drafts: &mut Drafts<'_, 'a>,
        counts: &mut PassbackCounts,
    ) -> Accepted {
        let Outline { entries, scopes, resources, .. } = self.outline;
        let scope = |good: &Good| entries[good.place].scope;
        let resource = |good: &Good| scopes[scope(good)].0;
        let mut accepted = Accepted { spans: drafts.traces(spans.len()), content: Vec::new() };
        let whence = self.whence();
        for of_resource in spans.chunk_by_mut(|one, next| resource(one) == resource(next)) {
            let part = &resources[resource(&of_resource[0])];
            let read = whole(part, Resource::read(part.json), counts);
            accepted.spans.resource(|out| {
                // A resource without a name stays without one: who handed the spans back stands on each of
                // them, and who made them is for the server to say.
                if let Some(read) = read {
                    drafts.screen.resource(read, out);
                }
                for of_scope in of_resource.chunk_by_mut(|one, next| scope(one) == scope(next)) {
                    let part = &scopes[scope(&of_scope[0])].1;
                    let read = whole(part, Scope::read(part.json), counts);
                    out.scope(|out| {
                        if let Some(read) = read {
                            drafts.screen.scope(read, out);
                        }
                        for good in of_scope {
                            out.span(|span| self.write(good, fit, &whence, drafts, span));
                            good.draft.left.count(counts);
                            let texts = std::mem::take(&mut good.draft.texts);
                            if texts.arguments.is_some() || texts.result.is_some() {
                                accepted.content.push(((self.place.0, good.id), texts));
                            }
                        }
                        out.schema_url(&drafts.screen.schema_url(&url(part)));
                    });
                }
                out.schema_url(&drafts.screen.schema_url(&url(part)));
            });
        }
        drafts.screen.left().count(counts);
        accepted
    }

    /// Writes a span in its place.
    fn write(
        &self,
        good: &Good,
        fit: Fit<'_>,
        whence: &[u8],
        drafts: &mut Drafts<'_, 'a>,
        span: &mut compose::Span<'_>,
    ) {
        let (trace, told) = self.place;
        span.ids(&trace, &good.id);
        good.above.or(told).iter().for_each(|parent| span.parent(parent));
        span.times(good.times.0, good.times.1);
        let (first, rest) = drafts.fields(&good.draft, |at| fit.event(good.times, at));
        span.part(first);
        // All attributes in a row: what reads the bytes takes a list in one part for granted.
        let root = good.above.is_none();
        span.part(whence);
        let moved = good.times != good.draft.told;
        self.say_more(moved.then_some(good.draft.told.0), root, &mut span.attributes());
        span.part(rest);
        span.flags(span_flags(self.expected.flags, root && told.is_some()));
    }

    /// Says where the spans came from, as attributes of each.
    fn whence(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let mut span = compose::Span::onto(&mut out);
        span.attribute(names::PASSBACK, Value::Bool(true));
        for (key, text) in [
            (names::SERVER_NAME, self.expected.server),
            (names::REQUEST_ID, self.expected.request_id),
        ] {
            if !text.is_empty() {
                span.attribute(key, Value::Text(text));
            }
        }
        if self.orphans {
            span.attribute(names::PASSBACK_ORPHAN, Value::Bool(true));
        }
        out
    }

    /// Gives what is to be said beside that of a span that was moved in time, or is a root.
    fn say_more(&self, moved: Option<Nanos>, root: bool, attributes: &mut Attributes<'_>) {
        if let Some(start) = moved {
            attributes.add(names::PASSBACK_ORIGINAL_START, integer(start));
        }
        let left_out = self.outline.left_out;
        if root && (self.outline.truncated || left_out > 0) {
            attributes.add(names::PASSBACK_TRUNCATED, Value::Bool(true));
            if left_out > 0 {
                attributes.add(names::PASSBACK_LEFT_OUT, integer(left_out));
            }
        }
    }
}

/// Gives what was read of a resource or scope; one that is malformed is left out and counted.
fn whole<T, E>(part: &Part<'_>, read: Result<T, E>, counts: &mut PassbackCounts) -> Option<T> {
    counts.malformed += u64::from(read.is_err() && !part.json.is_empty());
    read.ok()
}

fn url<'a>(part: &Part<'a>) -> Cow<'a, str> {
    part.schema_url.and_then(|url| url.decode().ok()).unwrap_or_default()
}

fn integer(n: u64) -> Value<'static> {
    Value::Int(i64::try_from(n).unwrap_or(i64::MAX))
}
