//! One answer: its spans are read, checked and put together.

use opentelemetry_proto::tonic::common::v1::{
    AnyValue, InstrumentationScope, KeyValue, any_value::Value,
};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};

use super::lineage::{Lineage, Tree};
use super::outline::{Entry, Outline, Part};
use super::screen::Screen;
use super::{Accepted, Expected, HandedBack, Refused, Tally};
use crate::mcp::Passback;
use crate::mcp::trace::span_flags;
use crate::otlp::json::{read_resource, read_scope, read_span};
use crate::telemetry::{Nanos, SpanId, SpanKey, names};

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
    span: Span,
    /// When it began, as the server told it, if it was moved.
    moved: Option<Nanos>,
}

impl Answer<'_, '_> {
    /// Takes it in. `read` are the first of its spans, where they could be read.
    pub(super) fn accept(
        &self,
        read: Vec<Option<Span>>,
        known: &HandedBack,
        tally: &mut Tally,
    ) -> Accepted {
        let entries = &self.outline.entries;
        let ours = [self.expected.own.map(|own| own.span), self.expected.hop];
        let ours: Vec<_> = ours.into_iter().flatten().collect();
        let refused = &mut tally.refused;
        let mut lineage = Lineage::check(entries, self.trace, self.told, &ours, refused);
        refused.excess += lineage.prune(self.rules.max_spans);
        let mut spans = good(entries, read, &mut lineage, refused);
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
        let mut screen = Screen::new(self.rules, tally);
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
        self.say_whence(&mut span.attributes, moved, parent.is_none());
        ((trace, id(place)), span)
    }

    /// Where a span came from, as attributes of it; whether it is a root.
    fn say_whence(&self, out: &mut Vec<KeyValue>, moved: Option<Nanos>, root: bool) {
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
        if root && (self.outline.truncated || left_out > 0) {
            set(names::PASSBACK_TRUNCATED, Value::BoolValue(true));
            if left_out > 0 {
                set(names::PASSBACK_LEFT_OUT, integer(left_out));
            }
        }
    }
}

impl Screen<'_> {
    fn resource_of(&mut self, part: &Part<'_>) -> ResourceSpans {
        // A resource without a name stays without one: who handed the spans back stands on each of them,
        // and who made them is for the server to say.
        let mut resource = self.whole(part, read_resource(part.json));
        resource.iter_mut().for_each(|resource| self.resource(resource));
        let schema_url = self.schema_url_of(part);
        ResourceSpans { resource, schema_url, ..ResourceSpans::default() }
    }

    fn scope_of(&mut self, part: &Part<'_>) -> Option<InstrumentationScope> {
        let mut scope = self.whole(part, read_scope(part.json));
        scope.iter_mut().for_each(|scope| self.scope(scope));
        scope
    }

    /// What was read; one that is malformed is left out and counted.
    fn whole<T, E>(&mut self, part: &Part<'_>, read: Result<T, E>) -> Option<T> {
        self.tally.malformed += u64::from(read.is_err() && !part.json.is_empty());
        read.ok()
    }

    fn schema_url_of(&mut self, part: &Part<'_>) -> String {
        let url = part.schema_url.and_then(|url| url.decode().ok()).unwrap_or_default();
        self.schema_url(&url)
    }
}

/// The spans that are good so far; those that cannot be read are not.
fn good(
    entries: &[Entry<'_>],
    read: Vec<Option<Span>>,
    lineage: &mut Lineage<'_, '_>,
    refused: &mut Refused,
) -> Vec<Good> {
    let mut spans = Vec::new();
    let mut read = read.into_iter();
    for (place, entry) in entries.iter().enumerate() {
        let read = read.next().flatten();
        if !lineage.is_good(place) {
            continue;
        }
        match read.map_or_else(|| read_span(entry.json), Ok) {
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
