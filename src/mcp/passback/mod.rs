//! Spans that servers hand back in their answers (SEP-2448), from the raw JSON to spans that may be put
//! out.
//!
//! Nothing of them is believed. An answer is looked into only if its request asked for spans; size and
//! depth are known before anything is read. Then, in this order: where each span stands and which ids
//! it has (`outline`), whose child it is (`lineage`), the spans themselves, their times (`times`), which
//! of them came before (`handed_back`), and what of each may leave (`screen`, `judge`, `dialect`). What is
//! refused is counted by reason (`tally`). It touches neither the answer nor its call.

mod dialect;
mod handed_back;
mod judge;
mod lineage;
mod outline;
mod posted;
mod screen;
mod tally;
mod times;
mod uris;
pub(in crate::mcp) mod words;

#[cfg(test)]
mod tests;

use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};

use self::lineage::{Lineage, Tree};
use self::outline::{Entry, Outline};
use self::screen::Screen;
use super::trace::{SAMPLED, span_flags};
use super::{Orphans, Passback, SpanRef, Unsampled};
use crate::otlp::json::{read_resource, read_scope, read_span};
use crate::telemetry::{Nanos, SpanId, SpanKey, names};

pub(in crate::mcp) use self::times::Window;

pub use self::handed_back::HandedBack;
pub use self::posted::{Posted, Received};
pub use self::tally::{Refused, Tally};

/// A parent that a server was told.
#[derive(Clone, Copy, Debug)]
pub(in crate::mcp) struct Told {
    pub(in crate::mcp) parent: SpanRef,
    /// In the request itself. What came beside it (a header, the environment) may not have reached the
    /// server's code.
    pub(in crate::mcp) certain: bool,
}

/// What is known of the call whose answer has spans.
#[derive(Clone, Copy, Debug)]
pub(in crate::mcp) struct Expected<'a> {
    pub(in crate::mcp) told: Option<Told>,
    /// Our span of the call, under which orphans are kept; `None` if we did not see it.
    pub(in crate::mcp) own: Option<SpanRef>,
    /// Another span of ours that the server may know.
    pub(in crate::mcp) hop: Option<SpanId>,
    /// Trace flags of the call.
    pub(in crate::mcp) flags: u8,
    pub(in crate::mcp) unsampled: Unsampled,
    pub(in crate::mcp) window: Window,
    /// The server as the user named it; empty if nobody did.
    pub(in crate::mcp) server: &'a str,
    /// The request's id; empty if it is not known.
    pub(in crate::mcp) request_id: &'a str,
}

/// What may be put out of one answer.
#[derive(Debug, Default)]
pub(in crate::mcp) struct Accepted {
    pub(in crate::mcp) spans: Vec<ResourceSpans>,
    /// How many spans they are.
    pub(in crate::mcp) count: usize,
    /// What they had of content.
    pub(in crate::mcp) content: Vec<(SpanKey, Texts)>,
}

/// Content of a span, as JSON.
#[derive(Debug, Default)]
pub(in crate::mcp) struct Texts {
    pub(in crate::mcp) arguments: Option<Vec<u8>>,
    pub(in crate::mcp) result: Option<Vec<u8>>,
}

/// Takes in what a server handed back: `json` is the object `traces`.
pub(in crate::mcp) fn take_in(
    json: &[u8],
    expected: &Expected<'_>,
    rules: &Passback,
    known: &HandedBack,
    tally: &mut Tally,
) -> Accepted {
    if json.len() > rules.max_bytes {
        tally.too_large += 1;
        return Accepted::default();
    }
    let (outline, whole) = Outline::read(json, rules.max_spans);
    let all = outline.entries.len() as u64;
    tally.answers += 1;
    tally.malformed += u64::from(!whole);
    tally.left_out = tally.left_out.saturating_add(outline.left_out);
    tally.received += all + outline.beyond;
    tally.refused.excess += outline.beyond;
    if expected.flags & SAMPLED == 0 && expected.unsampled == Unsampled::Drop {
        tally.refused.unsampled += all;
        return Accepted::default();
    }
    let context = lineage::context(expected.told, &outline.entries);
    let orphans = context.is_none();
    let trace = match context {
        Some(parent) => Some(parent.trace),
        None if rules.orphans == Orphans::Mark => lineage::trace_of(&outline.entries),
        None => None,
    };
    let Some(trace) = trace else {
        tally.refused.no_parent += all;
        return Accepted::default();
    };
    let told = context.map(|parent| parent.span);
    let place = match context {
        None => expected.own.map_or((trace, None), |own| (own.trace, Some(own.span))),
        Some(parent) => (trace, Some(parent.span)),
    };
    let answer = Answer { outline: &outline, expected, rules, orphans, told, trace, place };
    answer.accept(known, tally)
}

/// One answer, and what was found out about it.
struct Answer<'o, 'a> {
    outline: &'o Outline<'a>,
    expected: &'o Expected<'o>,
    rules: &'o Passback,
    /// The request had no context.
    orphans: bool,
    told: Option<SpanId>,
    /// The trace that the spans say they are of.
    trace: [u8; 16],
    /// The trace that they are put into, and what their roots hang on.
    place: ([u8; 16], Option<SpanId>),
}

/// A span that is good so far.
struct Good {
    place: usize,
    span: Span,
    /// When it began, as the server told it, if it was moved.
    moved: Option<Nanos>,
}

impl Answer<'_, '_> {
    fn accept(&self, known: &HandedBack, tally: &mut Tally) -> Accepted {
        let entries = &self.outline.entries;
        let ours = [self.expected.own.map(|own| own.span), self.expected.hop];
        let ours: Vec<_> = ours.into_iter().flatten().collect();
        let refused = &mut tally.refused;
        let mut lineage = Lineage::check(entries, self.trace, self.told, &ours, refused);
        refused.excess += lineage.prune(self.rules.max_spans);
        let mut spans = read(entries, &mut lineage, refused);
        let tree = lineage.tree();
        let starts: Vec<_> = spans.iter().map(|good| good.span.start_time_unix_nano).collect();
        tally.circles += tree.circles;
        tally.moved += self.fit(&mut spans, &tree);
        // What came before is left out last of all: its children do have it as their parent.
        let names = spans.iter().zip(starts).map(|(good, start)| {
            (self.trace, entries[good.place].span.id().unwrap_or_default(), start)
        });
        let mut first = known.first_time(names).into_iter();
        spans.retain(|_| {
            let first = first.next().unwrap_or_default();
            tally.refused.duplicate += u64::from(!first);
            first
        });
        tally.spans += spans.len() as u64;
        self.put_together(spans, &tree, tally)
    }

    /// Brings times into the call's; says how many spans were moved.
    fn fit(&self, spans: &mut [Good], tree: &Tree) -> u64 {
        let roots: Vec<_> = spans.iter().map(|good| tree.above[good.place].is_none()).collect();
        let mut moved = vec![None; spans.len()];
        let mut all: Vec<_> = spans.iter_mut().map(|good| &mut good.span).zip(roots).collect();
        self.expected.window.fit(&mut all, |place, start| moved[place] = Some(start));
        let count = moved.iter().flatten().count();
        spans.iter_mut().zip(moved).for_each(|(good, moved)| good.moved = moved);
        count as u64
    }

    /// Screens what is left and puts it under its resources and scopes.
    fn put_together(&self, spans: Vec<Good>, tree: &Tree, tally: &mut Tally) -> Accepted {
        let mut accepted = Accepted { count: spans.len(), ..Accepted::default() };
        let mut by_scope: Vec<Vec<Span>> = Vec::new();
        by_scope.resize_with(self.outline.scopes.len(), Vec::new);
        let mut screen = Screen { rules: self.rules, tally };
        for mut good in spans {
            let texts = screen.span(&mut good.span);
            let scope = self.outline.entries[good.place].scope;
            let (key, span) = self.finish(good, tree);
            if texts.arguments.is_some() || texts.result.is_some() {
                accepted.content.push((key, texts));
            }
            by_scope[scope].push(span);
        }
        let mut resource = None;
        for (spans, (number, part)) in by_scope.into_iter().zip(&self.outline.scopes) {
            if spans.is_empty() {
                continue;
            }
            let scope = screen.scope_of(part);
            let schema_url = screen.schema_url_of(part);
            if resource != Some(*number) {
                resource = Some(*number);
                accepted.spans.push(screen.resource_of(&self.outline.resources[*number]));
            }
            if let Some(last) = accepted.spans.last_mut() {
                last.scope_spans.push(ScopeSpans { scope, spans, schema_url });
            }
        }
        accepted
    }

    /// Gives a span its place, and says where it came from.
    fn finish(&self, good: Good, tree: &Tree) -> (SpanKey, Span) {
        let Good { place, mut span, moved } = good;
        let id = |place: usize| self.outline.entries[place].span.id().unwrap_or_default();
        let (trace, above) = self.place;
        let parent = tree.above[place].map(id);
        let remote = parent.is_none() && above.is_some();
        span.trace_id = trace.to_vec();
        span.span_id = id(place).to_vec();
        span.parent_span_id = parent.or(above).map(|id| id.to_vec()).unwrap_or_default();
        span.flags = span_flags(self.expected.flags, remote);
        let out = &mut span.attributes;
        let mut set = |key: &str, value: Value| {
            // What we say stands, whatever the server said.
            out.retain(|attribute| attribute.key != key);
            let value = Some(AnyValue { value: Some(value) });
            out.push(KeyValue { key: key.to_owned(), value, ..KeyValue::default() });
        };
        set(names::PASSBACK, Value::BoolValue(true));
        for (key, text) in [
            (names::SERVER_NAME, self.expected.server),
            (names::REQUEST_ID, self.expected.request_id),
        ] {
            if !text.is_empty() {
                set(key, Value::StringValue(text.to_owned()));
            }
        }
        if self.orphans {
            set(names::PASSBACK_ORPHAN, Value::BoolValue(true));
        }
        if let Some(start) = moved {
            set(names::PASSBACK_ORIGINAL_START, integer(start));
        }
        let left_out = self.outline.left_out;
        if parent.is_none() && (self.outline.truncated || left_out > 0) {
            set(names::PASSBACK_TRUNCATED, Value::BoolValue(true));
            if left_out > 0 {
                set(names::PASSBACK_LEFT_OUT, integer(left_out));
            }
        }
        ((trace, id(place)), span)
    }
}

impl Screen<'_> {
    fn resource_of(&mut self, part: &outline::Part<'_>) -> ResourceSpans {
        // A resource without a name stays without one: who handed the spans back stands on each of them,
        // and who made them is for the server to say.
        let mut resource = read_resource(part.json).ok();
        resource.iter_mut().for_each(|resource| self.resource(resource));
        let schema_url = self.schema_url_of(part);
        ResourceSpans { resource, schema_url, ..ResourceSpans::default() }
    }

    fn scope_of(
        &mut self,
        part: &outline::Part<'_>,
    ) -> Option<opentelemetry_proto::tonic::common::v1::InstrumentationScope> {
        let mut scope = read_scope(part.json).ok();
        scope.iter_mut().for_each(|scope| self.scope(scope));
        scope
    }

    fn schema_url_of(&mut self, part: &outline::Part<'_>) -> String {
        let url = part.schema_url.and_then(|url| url.decode().ok()).unwrap_or_default();
        self.schema_url(&url)
    }
}

/// Reads the spans that are good so far; those that cannot be read are not.
fn read(entries: &[Entry<'_>], lineage: &mut Lineage<'_, '_>, refused: &mut Refused) -> Vec<Good> {
    let mut spans = Vec::new();
    for (place, entry) in entries.iter().enumerate() {
        if !lineage.is_good(place) {
            continue;
        }
        match read_span(entry.json) {
            Ok(span) => spans.push(Good { place, span, moved: None }),
            Err(_) => {
                lineage.refuse(place);
                refused.malformed += 1;
            }
        }
    }
    spans
}

fn integer(n: u64) -> Value {
    Value::IntValue(i64::try_from(n).unwrap_or(i64::MAX))
}
