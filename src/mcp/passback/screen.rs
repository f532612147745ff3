//! What of a server's spans may leave, and how much: limits, content, secrets, and names that are ours.
//!
//! Arguments and results leave their span as content beside it, so that processors can make digests of
//! them. Everything else that may bear content is left out and counted; OTLP's own counts of dropped
//! attributes, events and links say so on the span.

use std::borrow::Cow;

use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::trace::v1::{span::SpanKind, status::StatusCode};
use prost::Message as _;

use super::{Expected, PassbackCounts, Texts, dialect};
use crate::mcp::Passback;
use crate::otlp::json::view::{self, Attribute, Value};
use crate::otlp::wire::compose::{self, Attributes};
use crate::otlp::wire::write_plain;
use crate::privacy::cut::cut;
use crate::privacy::detect::{self, NameClass, redact_uris};
use crate::telemetry::Nanos;
use crate::telemetry::names::{REQUEST_ID, SCOPE, SERVICE_NAME, TOOL_ARGUMENTS, TOOL_RESULT};

/// The longest name of a span, an event, a scope or an attribute, in bytes: they become labels.
const MAX_NAME: usize = 128;
/// The longest schema URL, in bytes.
const MAX_URL: usize = 256;
/// Names what all names of our own begin with.
const OURS: &str = "mcpcol.";
/// The name of what may not be named.
const OTHER: &str = "_OTHER";
/// The scope of a server that says it is ours.
const CLAIMED: &str = "claimed:mcpcol";

/// The screen, at work on one answer.
pub(super) struct Screen<'r> {
    rules: &'r Passback,
    /// The request's id is known: what servers say of it is not wanted.
    knows_request: bool,
    known: KnownNames,
    left: Left,
}

/// Says how much was left out, as the books have it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Left {
    withheld: u32,
    claimed: u32,
    over_limit: u32,
}

/// Locates the time of a written event: what it is, and at which byte of the span it stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Event {
    pub(super) time: Nanos,
    pub(super) place: usize,
}

/// Remembers the classes of names: the spans of an answer have the same few, in the same order.
#[derive(Default)]
struct KnownNames {
    names: Vec<(String, NameClass)>,
    /// Says where the next is looked for first.
    next: usize,
}

impl KnownNames {
    fn class_of(&mut self, name: &str) -> NameClass {
        /// Looked through one by one, so they must be few.
        const REMEMBERED: usize = 32;
        let (before, behind) = self.names.split_at(self.next.min(self.names.len()));
        let mut places = (behind.iter().zip(before.len()..)).chain(before.iter().zip(0..));
        if let Some(((_, class), place)) = places.find(|((known, _), _)| known == name) {
            self.next = place + 1;
            return *class;
        }
        let class = detect::classify_name(name);
        if self.names.len() < REMEMBERED && name.len() <= MAX_NAME {
            self.names.push((name.to_owned(), class));
            self.next = self.names.len();
        }
        class
    }
}

impl<'r> Screen<'r> {
    pub(super) fn new(rules: &'r Passback, expected: &Expected<'_>) -> Self {
        let knows_request = !expected.request_id.is_empty();
        Screen { rules, knows_request, known: KnownNames::default(), left: Left::default() }
    }

    /// Gives what was left out since this was asked last.
    pub(super) fn left(&mut self) -> Left {
        std::mem::take(&mut self.left)
    }

    /// Screens a span and writes what may leave of it, its place and its times aside. Adds its events to
    /// `events`. Says what was taken out of it, and where its attributes end.
    pub(super) fn span(
        &mut self,
        span: &mut view::Span<'_>,
        out: &mut Vec<u8>,
        events: &mut Vec<Event>,
    ) -> (Texts, usize) {
        let mut written = compose::Span::onto(out);
        written.name(&self.name(&span.name));
        written.kind(SpanKind::try_from(span.kind).unwrap_or_default());
        let own = &mut span.all[span.attributes.clone()];
        let taken = Texts { arguments: take(own, TOOL_ARGUMENTS), result: take(own, TOOL_RESULT) };
        let content = u32::from(taken.arguments.is_some()) + u32::from(taken.result.is_some());
        self.left.withheld += content;
        if self.rules.normalize {
            dialect::normalize(own);
        }
        if self.knows_request {
            own.iter_mut().filter(|a| a.key == REQUEST_ID).for_each(|a| a.value = Value::Gone);
        }
        let left = self.attributes(own, &mut written.attributes()).saturating_add(content);
        let end = written.end();
        written.dropped_attributes(span.dropped_attributes.saturating_add(left));
        let left = self.truncate(&mut span.events, self.rules.max_events);
        for event in &span.events {
            let name = self.name(&event.name);
            let list = &mut span.all[event.attributes.clone()];
            let place = written.event_at(event.time, &name, |mut out| {
                self.attributes(list, &mut out).saturating_add(event.dropped_attributes)
            });
            events.push(Event { time: event.time, place });
        }
        written.dropped_events(span.dropped_events.saturating_add(left));
        // The others lead nowhere.
        span.links.retain(|link| link.trace.given().is_some() && link.span.given().is_some());
        let left = self.truncate(&mut span.links, self.rules.max_links);
        for link in &span.links {
            let (trace, to) = (link.trace.given(), link.span.given());
            let list = &mut span.all[link.attributes.clone()];
            written.link_to(
                &trace.unwrap_or_default(),
                &to.unwrap_or_default(),
                link.flags,
                |mut out| self.attributes(list, &mut out).saturating_add(link.dropped_attributes),
            );
        }
        written.dropped_links(span.dropped_links.saturating_add(left));
        if let Some(status) = span.status {
            self.left.withheld += u32::from(status.speaks);
            written.status(StatusCode::try_from(status.code).unwrap_or_default());
        }
        (taken, end)
    }

    /// Screens the server's resource. It stays the server's, but cannot be ours.
    pub(super) fn resource(
        &mut self,
        mut resource: view::Resource<'_>,
        out: &mut compose::ResourceSpans<'_>,
    ) {
        let mut ours = 0;
        for service in resource.attributes.iter_mut().filter(|a| is_ours(a)) {
            service.value = Value::Gone;
            ours += 1;
        }
        self.left.claimed += ours;
        out.resource(|mut out| {
            let left = self.attributes(&mut resource.attributes, &mut out).saturating_add(ours);
            left.saturating_add(resource.dropped_attributes)
        });
    }

    /// Screens a scope. Spans of our own scope are counted as calls, so none of theirs may have it.
    pub(super) fn scope(&mut self, mut scope: view::Scope<'_>, out: &mut compose::ScopeSpans<'_>) {
        let name = if scope.name.trim().eq_ignore_ascii_case(SCOPE) {
            self.left.claimed += 1;
            Cow::Borrowed(CLAIMED)
        } else if scope.name.is_empty() {
            Cow::Borrowed("")
        } else {
            self.name(&scope.name)
        };
        let version = self.label(Cow::Borrowed(&*scope.version), MAX_NAME);
        out.scope(&name, &version, |mut out| {
            let left = self.attributes(&mut scope.attributes, &mut out);
            left.saturating_add(scope.dropped_attributes)
        });
    }

    /// Screens a schema URL.
    pub(super) fn schema_url<'t>(&mut self, url: &'t str) -> Cow<'t, str> {
        self.label(redact_uris(url), MAX_URL)
    }

    /// A name, which is never empty.
    fn name<'t>(&mut self, name: &'t str) -> Cow<'t, str> {
        let label = self.label(redact_uris(name), MAX_NAME);
        if label.is_empty() { Cow::Borrowed(OTHER) } else { label }
    }

    /// A short text without control characters; empty if it looks like a secret.
    fn label<'t>(&mut self, text: Cow<'t, str>, max: usize) -> Cow<'t, str> {
        if detect::has_credential(&text) {
            self.left.withheld += 1;
            return Cow::Borrowed("");
        }
        let text = cut(text, max, false);
        if text.bytes().all(|b| (0x20..0x7f).contains(&b)) {
            return text;
        }
        let shown = |c: char| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c };
        Cow::Owned(text.chars().map(shown).collect())
    }

    /// Writes the attributes that may leave; says how many are left out.
    fn attributes(&mut self, list: &mut [Attribute<'_>], out: &mut Attributes<'_>) -> u32 {
        let (mut kept, mut left) = (0, 0);
        for Attribute { key, value } in list {
            let ours = key.get(..OURS.len()).is_some_and(|start| start.eq_ignore_ascii_case(OURS));
            let reason = if *value == Value::Gone {
                continue;
            } else if ours {
                &mut self.left.claimed
            } else if key.is_empty()
                || key.len() > MAX_NAME
                || kept >= self.rules.max_attributes
                // Without a value it says nothing.
                || *value == Value::Absent
            {
                &mut self.left.over_limit
            } else {
                match self.rules.screened(value, self.known.class_of(key)) {
                    Ok(value) => {
                        out.add(key, value);
                        kept += 1;
                        continue;
                    }
                    Err(Stays::TooDeep) => &mut self.left.over_limit,
                    Err(Stays::Withheld) => &mut self.left.withheld,
                }
            };
            *reason += 1;
            left += 1;
        }
        left
    }

    fn truncate<T>(&mut self, list: &mut Vec<T>, max: usize) -> u32 {
        let excess = u32::try_from(list.len().saturating_sub(max)).unwrap_or(u32::MAX);
        list.truncate(max);
        self.left.over_limit += excess;
        excess
    }
}

impl Left {
    /// Puts it on the books.
    pub(super) fn count(self, counts: &mut PassbackCounts) {
        counts.withheld += u64::from(self.withheld);
        counts.claimed += u64::from(self.claimed);
        counts.over_limit += u64::from(self.over_limit);
    }
}

/// Says why a value may not leave.
enum Stays {
    TooDeep,
    Withheld,
}

impl Passback {
    /// Gives what of a value may leave.
    fn screened<'v>(
        &self,
        value: &'v mut Value<'_>,
        class: NameClass,
    ) -> Result<compose::Value<'v>, Stays> {
        let number =
            |value| if class == NameClass::Secret { Err(Stays::Withheld) } else { Ok(value) };
        match value {
            Value::Absent | Value::Gone | Value::Empty => Ok(compose::Value::Empty),
            Value::Bool(value) => Ok(compose::Value::Bool(*value)),
            Value::Int(value) => number(compose::Value::Int(*value)),
            Value::Double(value) => number(compose::Value::Double(*value)),
            Value::Text(text) => {
                if let Some(shown) = self.changed(text, class)? {
                    *value = Value::text(Cow::Owned(shown));
                }
                Ok(compose::Value::Text(value.as_text().unwrap_or_default()))
            }
            Value::Other(value) => {
                self.nested(value, class, self.max_depth)?;
                Ok(compose::Value::Other(value))
            }
        }
    }

    /// Gives what leaves in the place of a text: URIs without credentials, and no more than a value may have. `None`
    /// where it may leave as it is.
    fn changed(&self, text: &str, class: NameClass) -> Result<Option<String>, Stays> {
        let shown = redact_uris(text);
        if !detect::is_harmless(&shown, class) {
            return Err(Stays::Withheld);
        }
        Ok(match cut(shown, self.max_value_bytes, false) {
            Cow::Borrowed(_) => None,
            Cow::Owned(shown) => Some(shown),
        })
    }

    /// Screens a value that is a message, and cuts its texts to size.
    fn nested(
        &self,
        value: &mut any_value::Value,
        class: NameClass,
        depth: usize,
    ) -> Result<(), Stays> {
        use any_value::Value;
        match value {
            Value::BoolValue(_) => Ok(()),
            Value::IntValue(_) | Value::DoubleValue(_) if class == NameClass::Secret => {
                Err(Stays::Withheld)
            }
            Value::IntValue(_) | Value::DoubleValue(_) => Ok(()),
            Value::StringValue(text) => {
                if let Some(shown) = self.changed(text, class)? {
                    *text = shown;
                }
                Ok(())
            }
            // What bytes hold nobody can tell, and there is no table for an index to point into.
            Value::BytesValue(_) | Value::StringValueStrindex(_) => Err(Stays::Withheld),
            Value::ArrayValue(_) | Value::KvlistValue(_) if depth == 0 => Err(Stays::TooDeep),
            Value::ArrayValue(array) => self.all(array.values.iter_mut(), class, depth - 1),
            Value::KvlistValue(list) => {
                list.values.iter_mut().try_for_each(|KeyValue { key, value, .. }| {
                    let class = match detect::classify_name(key) {
                        NameClass::Conventional | NameClass::Unknown => class,
                        worse => worse,
                    };
                    self.all(value.iter_mut(), class, depth - 1)
                })
            }
        }
    }

    fn all<'v>(
        &self,
        mut values: impl Iterator<Item = &'v mut AnyValue>,
        class: NameClass,
        depth: usize,
    ) -> Result<(), Stays> {
        values.try_for_each(|value| match &mut value.value {
            Some(value) => self.nested(value, class, depth),
            None => Ok(()),
        })
    }
}

/// Says whether an attribute of a resource says that its service is us.
fn is_ours(attribute: &Attribute<'_>) -> bool {
    attribute.key == SERVICE_NAME
        && attribute.value.as_text().is_some_and(|name| name.trim().eq_ignore_ascii_case(SCOPE))
}

/// Takes content out of a list, as JSON: the JSON that a text holds, else the value itself.
fn take(list: &mut [Attribute<'_>], name: &str) -> Option<Vec<u8>> {
    let attribute = list.iter_mut().find(|attribute| attribute.key == name)?;
    let value = std::mem::replace(&mut attribute.value, Value::Gone);
    match value.as_text() {
        // Some servers say so of a call without arguments.
        Some("") => Some(b"{}".to_vec()),
        Some(text) if is_json(text) => Some(text.as_bytes().to_vec()),
        _ => {
            let mut json = Vec::new();
            write_plain(&value.into_message().unwrap_or_default().encode_to_vec(), &mut json)?;
            Some(json)
        }
    }
}

fn is_json(text: &str) -> bool {
    let mut reader = crate::json::Reader::new(text.as_bytes(), crate::json::MAX_DEPTH);
    reader.skip().and_then(|_| reader.end()).is_ok()
}
