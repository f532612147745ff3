//! Spans, resources and scopes as they stand in a document: for who looks at many and keeps parts of
//! them. Nothing is owned but what had to be unescaped, and lists and bytes as values.
//!
//! The members and their rules are those of the `read` module. What is not asked for by anyone who
//! reads this way is passed over: states of traces, the message of a status, entities.

use std::borrow::Cow;
use std::ops::Range;

use opentelemetry_proto::tonic::common::v1::{AnyValue, any_value};
use prost::Message as _;

use super::Error;
use super::input::Reader;
use super::members::{
    Result, Usual, append, bool, borrowed, f64, i32, i64, id, members, named, u32, u64, usual,
};
use super::read::message;
use crate::json;
use crate::otlp::schema::{ANY_VALUE, span_kind, status_code};

pub use super::members::Id;

/// The value of an attribute. Small, for it is moved more than once.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Value<'a> {
    /// There is none.
    #[default]
    Absent,
    /// There is one that holds nothing.
    Empty,
    /// `string_value`, if it stands in the document as it is.
    Text(&'a str),
    /// `bool_value`
    Bool(bool),
    /// `int_value`
    Int(i64),
    /// `double_value`
    Double(f64),
    /// Any other.
    Other(Box<any_value::Value>),
    /// The attribute was taken out of its list.
    Gone,
}

/// A `KeyValue`
#[derive(Clone, Debug, Default)]
pub struct Attribute<'a> {
    /// `key`
    pub key: Cow<'a, str>,
    /// `value`
    pub value: Value<'a>,
}

/// A `Span`. Read one after the other into the same, they share its memory.
#[derive(Debug, Default)]
pub struct Span<'a> {
    /// `trace_id`
    pub trace: Id<16>,
    /// `span_id`
    pub span: Id<8>,
    /// `parent_span_id`
    pub parent: Id<8>,
    /// `name`
    pub name: Cow<'a, str>,
    /// `kind`
    pub kind: i32,
    /// `start_time_unix_nano`
    pub start: u64,
    /// `end_time_unix_nano`
    pub end: u64,
    /// `attributes`, by their places in `all`.
    pub attributes: Range<usize>,
    /// `dropped_attributes_count`
    pub dropped_attributes: u32,
    /// `events`
    pub events: Vec<Event<'a>>,
    /// `dropped_events_count`
    pub dropped_events: u32,
    /// `links`
    pub links: Vec<Link>,
    /// `dropped_links_count`
    pub dropped_links: u32,
    /// `status`
    pub status: Option<Status>,
    /// The attributes of the span, its events and its links.
    pub all: Vec<Attribute<'a>>,
}

/// An `Event`
#[derive(Clone, Debug, Default)]
pub struct Event<'a> {
    /// `time_unix_nano`
    pub time: u64,
    /// `name`
    pub name: Cow<'a, str>,
    /// `attributes`, by their places among those of the span.
    pub attributes: Range<usize>,
    /// `dropped_attributes_count`
    pub dropped_attributes: u32,
}

/// A `Link`
#[derive(Clone, Debug, Default)]
pub struct Link {
    /// `trace_id`
    pub trace: Id<16>,
    /// `span_id`
    pub span: Id<8>,
    /// `attributes`, by their places among those of the span.
    pub attributes: Range<usize>,
    /// `dropped_attributes_count`
    pub dropped_attributes: u32,
    /// `flags`
    pub flags: u32,
}

/// A `Status`
#[derive(Clone, Copy, Debug, Default)]
pub struct Status {
    /// `code`
    pub code: i32,
    /// There is a `message`.
    pub speaks: bool,
}

/// A `Resource`
#[derive(Debug, Default)]
pub struct Resource<'a> {
    /// `attributes`
    pub attributes: Vec<Attribute<'a>>,
    /// `dropped_attributes_count`
    pub dropped_attributes: u32,
}

/// An `InstrumentationScope`
#[derive(Debug, Default)]
pub struct Scope<'a> {
    /// `name`
    pub name: Cow<'a, str>,
    /// `version`
    pub version: Cow<'a, str>,
    /// `attributes`
    pub attributes: Vec<Attribute<'a>>,
    /// `dropped_attributes_count`
    pub dropped_attributes: u32,
}

impl<'a> Span<'a> {
    /// Reads the span that stands next in a text, in place of what was read before. Where that fails
    /// nothing of the text was read.
    pub fn read(&mut self, text: &mut json::Reader<'a>) -> std::result::Result<(), Error> {
        let mut r = Reader::going_on(text.clone());
        self.clear();
        self.members(&mut r)?;
        *text = r.into_text();
        Ok(())
    }

    fn clear(&mut self) {
        (self.trace, self.span, self.parent) = (Id::Absent, Id::Absent, Id::Absent);
        self.name = Cow::Borrowed("");
        (self.kind, self.start, self.end) = (0, 0, 0);
        self.attributes = 0..0;
        (self.dropped_attributes, self.dropped_events, self.dropped_links) = (0, 0, 0);
        self.events.clear();
        self.links.clear();
        self.status = None;
        self.all.clear();
    }

    fn members(&mut self, r: &mut Reader<'a>) -> Result<()> {
        let Span { events, links, all, .. } = self;
        members(r, |r, key| {
            match key {
                b"traceId" => self.trace = id(r)?,
                b"spanId" => self.span = id(r)?,
                b"traceState" => drop(borrowed(r)?),
                b"parentSpanId" => self.parent = id(r)?,
                b"flags" => drop(u32(r)?),
                b"name" => self.name = borrowed(r)?,
                b"kind" => self.kind = named(r, span_kind)?,
                b"startTimeUnixNano" => self.start = u64(r)?,
                b"endTimeUnixNano" => self.end = u64(r)?,
                b"attributes" => self.attributes = attributes(r, all)?,
                b"droppedAttributesCount" => self.dropped_attributes = u32(r)?,
                b"events" => {
                    events.clear();
                    append(r, events, |r| event(r, all))?;
                }
                b"droppedEventsCount" => self.dropped_events = u32(r)?,
                b"links" => {
                    links.clear();
                    append(r, links, |r| link(r, all))?;
                }
                b"droppedLinksCount" => self.dropped_links = u32(r)?,
                b"status" => self.status = Some(status(r)?),
                _ => return Ok(false),
            }
            Ok(true)
        })
    }
}

fn event<'a>(r: &mut Reader<'a>, all: &mut Vec<Attribute<'a>>) -> Result<Event<'a>> {
    let mut m = Event::default();
    members(r, |r, key| {
        match key {
            b"timeUnixNano" => m.time = u64(r)?,
            b"name" => m.name = borrowed(r)?,
            b"attributes" => m.attributes = attributes(r, all)?,
            b"droppedAttributesCount" => m.dropped_attributes = u32(r)?,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(m)
}

fn link<'a>(r: &mut Reader<'a>, all: &mut Vec<Attribute<'a>>) -> Result<Link> {
    let mut m = Link::default();
    members(r, |r, key| {
        match key {
            b"traceId" => m.trace = id(r)?,
            b"spanId" => m.span = id(r)?,
            b"traceState" => drop(borrowed(r)?),
            b"attributes" => m.attributes = attributes(r, all)?,
            b"droppedAttributesCount" => m.dropped_attributes = u32(r)?,
            b"flags" => m.flags = u32(r)?,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(m)
}

fn status(r: &mut Reader<'_>) -> Result<Status> {
    let mut m = Status::default();
    members(r, |r, key| {
        match key {
            b"message" => m.speaks = !borrowed(r)?.is_empty(),
            b"code" => m.code = named(r, status_code)?,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(m)
}

impl<'a> Resource<'a> {
    /// Reads a text that is one resource.
    pub fn read(json: &'a [u8]) -> std::result::Result<Self, Error> {
        let (mut r, mut m) = (Reader::new(json), Resource::default());
        members(&mut r, |r, key| {
            match key {
                b"attributes" => {
                    m.attributes.clear();
                    attributes(r, &mut m.attributes)?;
                }
                b"droppedAttributesCount" => m.dropped_attributes = u32(r)?,
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        r.end()?;
        Ok(m)
    }
}

impl<'a> Scope<'a> {
    /// Reads a text that is one scope.
    pub fn read(json: &'a [u8]) -> std::result::Result<Self, Error> {
        let (mut r, mut m) = (Reader::new(json), Scope::default());
        members(&mut r, |r, key| {
            match key {
                b"name" => m.name = borrowed(r)?,
                b"version" => m.version = borrowed(r)?,
                b"attributes" => {
                    m.attributes.clear();
                    attributes(r, &mut m.attributes)?;
                }
                b"droppedAttributesCount" => m.dropped_attributes = u32(r)?,
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        r.end()?;
        Ok(m)
    }
}

/// Reads a list of attributes to the end of others; says where they are.
fn attributes<'a>(r: &mut Reader<'a>, all: &mut Vec<Attribute<'a>>) -> Result<Range<usize>> {
    let from = all.len();
    r.array()?;
    while r.item()? {
        r.spend(size_of::<Attribute<'_>>())?;
        if let Some((key, value)) = usual(r) {
            all.push(Attribute { key: Cow::Borrowed(key), value: value.into() });
        } else {
            all.push(attribute(r)?);
        }
    }
    Ok(from..all.len())
}

fn attribute<'a>(r: &mut Reader<'a>) -> Result<Attribute<'a>> {
    let mut m = Attribute::default();
    members(r, |r, key| {
        match key {
            b"key" => m.key = borrowed(r)?,
            b"value" => m.value = value(r)?,
            b"keyStrindex" => drop(i32(r)?),
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(m)
}

/// Reads a value. Lists, maps and bytes are seldom: those are read as everywhere and decoded.
fn value<'a>(r: &mut Reader<'a>) -> Result<Value<'a>> {
    let begin = r.offset();
    let mut m = Some(Value::Empty);
    members(r, |r, key| {
        m = match key {
            b"stringValue" => Some(Value::text(borrowed(r)?)),
            b"boolValue" => Some(Value::Bool(bool(r)?)),
            b"intValue" => Some(Value::Int(i64(r)?)),
            b"doubleValue" => Some(Value::Double(f64(r)?)),
            b"arrayValue" | b"kvlistValue" | b"bytesValue" | b"stringValueStrindex" => {
                r.skip()?;
                None
            }
            _ => return Ok(false),
        };
        Ok(true)
    })?;
    match m {
        Some(value) => Ok(value),
        None => {
            r.back_to(begin);
            let mut bytes = Vec::new();
            message(r, &ANY_VALUE, &mut bytes)?;
            let value = AnyValue::decode(&*bytes).unwrap_or_default().value;
            Ok(value.map_or(Value::Empty, Value::other))
        }
    }
}

impl<'a> From<Usual<'a>> for Value<'a> {
    fn from(value: Usual<'a>) -> Self {
        match value {
            Usual::Text(text) => Value::Text(text),
            Usual::Int(value) => Value::Int(value),
            Usual::Bool(value) => Value::Bool(value),
            Usual::Double(value) => Value::Double(value),
        }
    }
}

impl<'a> Value<'a> {
    /// `string_value`
    pub fn text(text: Cow<'a, str>) -> Self {
        match text {
            Cow::Borrowed(text) => Value::Text(text),
            Cow::Owned(text) => Value::other(any_value::Value::StringValue(text)),
        }
    }

    /// Any.
    pub fn other(value: any_value::Value) -> Self {
        Value::Other(Box::new(value))
    }

    /// The text, if it is one.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Value::Text(text) => Some(text),
            Value::Other(value) => match &**value {
                any_value::Value::StringValue(text) => Some(text),
                _ => None,
            },
            _ => None,
        }
    }

    /// Makes a message of it; `None` if there is none.
    pub fn into_message(self) -> Option<AnyValue> {
        let value = match self {
            Value::Absent | Value::Gone => return None,
            Value::Empty => None,
            Value::Text(text) => Some(any_value::Value::StringValue(text.to_owned())),
            Value::Bool(value) => Some(any_value::Value::BoolValue(value)),
            Value::Int(value) => Some(any_value::Value::IntValue(value)),
            Value::Double(value) => Some(any_value::Value::DoubleValue(value)),
            Value::Other(value) => Some(*value),
        };
        Some(AnyValue { value })
    }
}
