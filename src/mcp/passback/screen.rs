//! What of a server's spans may leave, and how much: limits, content, secrets, and names that are ours.
//!
//! Arguments and results leave their span as content beside it, so that processors can make digests of
//! them. Everything else that may bear content is left out and counted; OTLP's own counts of dropped
//! attributes, events and links say so on the span.

use opentelemetry_proto::tonic::common::v1::{
    AnyValue, InstrumentationScope, KeyValue, any_value::Value,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link, SpanKind};
use opentelemetry_proto::tonic::trace::v1::{Span, status::StatusCode};

use super::credentials::looks_secret;
use super::judge::{self, Speaks};
use super::tally::Tally;
use super::{Texts, dialect, uris};
use crate::mcp::Passback;
use crate::otlp::json::write_plain;
use crate::telemetry::names::{SCOPE, SERVICE_NAME, TOOL_ARGUMENTS, TOOL_RESULT};

/// The longest name of a span, an event, a scope or an attribute, in bytes: they become labels.
const MAX_NAME: usize = 128;
/// The longest schema URL, in bytes.
const MAX_URL: usize = 256;
/// What all names of our own begin with.
const OURS: &str = "mcpcol.";
/// The name of what may not be named.
const OTHER: &str = "_OTHER";
/// The scope of a server that says it is ours.
const CLAIMED: &str = "claimed:mcpcol";

/// The screen, at work on one answer.
pub(super) struct Screen<'a> {
    pub(super) rules: &'a Passback,
    pub(super) tally: &'a mut Tally,
    judged: Judged,
}

/// What names were judged to say: the spans of an answer have the same few.
#[derive(Default)]
struct Judged(Vec<(String, Speaks)>);

impl Judged {
    fn name(&mut self, name: &str) -> Speaks {
        /// Looked through one by one, so they must be few.
        const REMEMBERED: usize = 32;
        if let Some((_, speaks)) = self.0.iter().find(|(known, _)| known == name) {
            return *speaks;
        }
        let speaks = judge::name(name);
        if self.0.len() < REMEMBERED && name.len() <= MAX_NAME {
            self.0.push((name.to_owned(), speaks));
        }
        speaks
    }
}

impl<'a> Screen<'a> {
    pub(super) fn new(rules: &'a Passback, tally: &'a mut Tally) -> Self {
        Screen { rules, tally, judged: Judged::default() }
    }
}

impl Screen<'_> {
    /// Screens a span, its ids and times aside.
    pub(super) fn span(&mut self, span: &mut Span) -> Texts {
        span.name = self.name(&span.name);
        span.kind = SpanKind::try_from(span.kind).unwrap_or_default() as i32;
        // Opaque, and not ours to judge.
        span.trace_state.clear();
        if let Some(status) = &mut span.status {
            self.tally.withheld += u64::from(!status.message.is_empty());
            status.message.clear();
            status.code = StatusCode::try_from(status.code).unwrap_or_default() as i32;
        }
        let taken = Texts {
            arguments: take(&mut span.attributes, TOOL_ARGUMENTS),
            result: take(&mut span.attributes, TOOL_RESULT),
        };
        let content = u64::from(taken.arguments.is_some()) + u64::from(taken.result.is_some());
        self.tally.withheld += content;
        if self.rules.normalize {
            dialect::normalize(&mut span.attributes);
        }
        let left = self.attributes(&mut span.attributes).saturating_add(content as u32);
        span.dropped_attributes_count = span.dropped_attributes_count.saturating_add(left);
        let left = self.truncate(&mut span.events, self.rules.max_events);
        span.dropped_events_count = span.dropped_events_count.saturating_add(left);
        span.events.iter_mut().for_each(|event| self.event(event));
        span.links.retain(is_link);
        let left = self.truncate(&mut span.links, self.rules.max_links);
        span.dropped_links_count = span.dropped_links_count.saturating_add(left);
        span.links.iter_mut().for_each(|link| self.link(link));
        taken
    }

    fn event(&mut self, event: &mut Event) {
        event.name = self.name(&event.name);
        let left = self.attributes(&mut event.attributes);
        event.dropped_attributes_count = event.dropped_attributes_count.saturating_add(left);
    }

    fn link(&mut self, link: &mut Link) {
        link.trace_state.clear();
        let left = self.attributes(&mut link.attributes);
        link.dropped_attributes_count = link.dropped_attributes_count.saturating_add(left);
    }

    /// Screens the server's resource. It stays the server's, but cannot be ours.
    pub(super) fn resource(&mut self, resource: &mut Resource) {
        let all = resource.attributes.len();
        resource.attributes.retain(|a| a.key != SERVICE_NAME || !is_ours(a));
        let ours = all - resource.attributes.len();
        self.tally.claimed += ours as u64;
        let left = self.attributes(&mut resource.attributes).saturating_add(ours as u32);
        resource.dropped_attributes_count = resource.dropped_attributes_count.saturating_add(left);
        resource.entity_refs.clear();
    }

    /// Screens a scope. Spans of our own scope are counted as calls, so none of theirs may have it.
    pub(super) fn scope(&mut self, scope: &mut InstrumentationScope) {
        if scope.name.trim().eq_ignore_ascii_case(SCOPE) {
            self.tally.claimed += 1;
            scope.name = CLAIMED.to_owned();
        } else if !scope.name.is_empty() {
            scope.name = self.name(&scope.name);
        }
        scope.version = self.label(&scope.version, MAX_NAME);
        let left = self.attributes(&mut scope.attributes);
        scope.dropped_attributes_count = scope.dropped_attributes_count.saturating_add(left);
    }

    /// Screens a schema URL.
    pub(super) fn schema_url(&mut self, url: &str) -> String {
        self.label(&uris::shown(url), MAX_URL)
    }

    /// A name, which is never empty.
    fn name(&mut self, name: &str) -> String {
        let label = self.label(&uris::shown(name), MAX_NAME);
        if label.is_empty() { OTHER.to_owned() } else { label }
    }

    /// A short text without control characters; empty if it looks like a secret.
    fn label(&mut self, text: &str, max: usize) -> String {
        if looks_secret(text) {
            self.tally.withheld += 1;
            return String::new();
        }
        let cut = &text[..text.floor_char_boundary(max)];
        if cut.bytes().all(|b| (0x20..0x7f).contains(&b)) {
            return cut.to_owned();
        }
        cut.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
    }

    /// Screens a list of attributes; says how many are left out.
    fn attributes(&mut self, list: &mut Vec<KeyValue>) -> u32 {
        let all = list.len();
        let mut kept = 0;
        list.retain_mut(|attribute| {
            let key = &*attribute.key;
            let ours = key.get(..OURS.len()).is_some_and(|start| start.eq_ignore_ascii_case(OURS));
            let speaks = self.judged.name(key);
            let reason = if ours {
                &mut self.tally.claimed
            } else if key.is_empty() || key.len() > MAX_NAME || kept >= self.rules.max_attributes {
                &mut self.tally.over_limit
            } else if let Some(value) = &mut attribute.value {
                match self.rules.value(value, speaks, self.rules.max_depth) {
                    Passes::Yes => {
                        attribute.key_strindex = 0;
                        kept += 1;
                        return true;
                    }
                    Passes::TooDeep => &mut self.tally.over_limit,
                    Passes::Withheld => &mut self.tally.withheld,
                }
            } else {
                // Without a value it says nothing.
                &mut self.tally.over_limit
            };
            *reason += 1;
            false
        });
        u32::try_from(all - list.len()).unwrap_or(u32::MAX)
    }

    fn truncate<T>(&mut self, list: &mut Vec<T>, max: usize) -> u32 {
        let excess = list.len().saturating_sub(max);
        list.truncate(max);
        self.tally.over_limit += excess as u64;
        u32::try_from(excess).unwrap_or(u32::MAX)
    }
}

/// Whether a value may leave.
enum Passes {
    Yes,
    TooDeep,
    Withheld,
}

impl Passback {
    /// Screens a value, and cuts its texts to size.
    fn value(&self, value: &mut AnyValue, speaks: Speaks, depth: usize) -> Passes {
        let Some(value) = &mut value.value else { return Passes::Yes };
        match value {
            Value::BoolValue(_) => Passes::Yes,
            Value::IntValue(_) | Value::DoubleValue(_) if speaks == Speaks::OfSecrets => {
                Passes::Withheld
            }
            Value::IntValue(_) | Value::DoubleValue(_) => Passes::Yes,
            Value::StringValue(text) => {
                if let std::borrow::Cow::Owned(shown) = uris::shown(text) {
                    *text = shown;
                }
                if !judge::text(text, speaks) {
                    return Passes::Withheld;
                }
                text.truncate(text.floor_char_boundary(self.max_value_bytes));
                Passes::Yes
            }
            // What bytes hold nobody can tell, and there is no table for an index to point into.
            Value::BytesValue(_) | Value::StringValueStrindex(_) => Passes::Withheld,
            Value::ArrayValue(_) | Value::KvlistValue(_) if depth == 0 => Passes::TooDeep,
            Value::ArrayValue(array) => self.all(array.values.iter_mut(), speaks, depth - 1),
            Value::KvlistValue(list) => {
                for KeyValue { key, value, .. } in &mut list.values {
                    let speaks = match judge::name(key) {
                        Speaks::Known | Speaks::Unknown => speaks,
                        worse => worse,
                    };
                    let passes = self.all(value.iter_mut(), speaks, depth - 1);
                    if !matches!(passes, Passes::Yes) {
                        return passes;
                    }
                }
                Passes::Yes
            }
        }
    }

    fn all<'v>(
        &self,
        values: impl Iterator<Item = &'v mut AnyValue>,
        speaks: Speaks,
        depth: usize,
    ) -> Passes {
        for value in values {
            let passes = self.value(value, speaks, depth);
            if !matches!(passes, Passes::Yes) {
                return passes;
            }
        }
        Passes::Yes
    }
}

/// Whether a link leads anywhere.
fn is_link(link: &Link) -> bool {
    let is = |id: &[u8], len| id.len() == len && id.iter().any(|b| *b != 0);
    is(&link.trace_id, 16) && is(&link.span_id, 8)
}

/// Whether a service says that it is us.
fn is_ours(service: &KeyValue) -> bool {
    let value = service.value.as_ref().and_then(|value| value.value.as_ref());
    matches!(value, Some(Value::StringValue(name)) if name.trim().eq_ignore_ascii_case(SCOPE))
}

/// Takes content out of a list, as JSON: the JSON that a text holds, else the value itself.
fn take(list: &mut Vec<KeyValue>, name: &str) -> Option<Vec<u8>> {
    let place = list.iter().position(|attribute| attribute.key == name)?;
    let value = list.remove(place).value.unwrap_or_default();
    match &value.value {
        // Some servers say so of a call without arguments.
        Some(Value::StringValue(text)) if text.is_empty() => Some(b"{}".to_vec()),
        Some(Value::StringValue(text)) if is_json(text) => Some(text.as_bytes().to_vec()),
        _ => {
            let mut json = Vec::new();
            write_plain(&value, &mut json)?;
            Some(json)
        }
    }
}

fn is_json(text: &str) -> bool {
    let mut reader = crate::json::Reader::new(text.as_bytes(), crate::json::MAX_DEPTH);
    reader.skip().and_then(|_| reader.end()).is_ok()
}
