//! Items as they stand in a request, for whoever reads: spans, data points and log records with their resource and
//! scope. Nothing is decoded or copied; fields are found when asked for.
//!
//! For bytes that passed the [`check`](super::check).

use super::fields::{Fields, Value, plain_attribute, plain_text};
use super::plain::{choice, write_plain};
use crate::otlp::Request;
use crate::otlp::schema::{self, Form, Holder, Message};

/// Holds one item and what it belongs to.
#[derive(Clone, Copy, Debug)]
pub struct Item<'a> {
    /// Its resource; an empty one where none is written.
    pub resource: View<'a>,
    /// Its scope, likewise.
    pub scope: View<'a>,
    /// Its metric, if it is a data point.
    pub metric: Option<View<'a>>,
    /// The span, data point or log record itself.
    pub own: View<'a>,
}

/// Reads a message that has attributes, as its bytes stand in a request.
#[derive(Clone, Copy)]
pub struct View<'a> {
    message: &'static Message,
    bytes: &'a [u8],
}

/// Reads the value of an attribute (`AnyValue`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ValueView<'a>(&'a [u8]);

/// Holds what a span says beside its attributes, events and links: nothing where it says nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SpanHead<'a> {
    /// `trace_id`, as it is written.
    pub trace: &'a [u8],
    /// `span_id`, likewise.
    pub span: &'a [u8],
    /// `parent_span_id`, likewise.
    pub parent: &'a [u8],
    /// `name`
    pub name: &'a str,
    /// `kind`, by its number.
    pub kind: u64,
    /// `start_time_unix_nano`
    pub start: u64,
    /// `end_time_unix_nano`
    pub end: u64,
    /// The code of its status, by its number.
    pub status: u64,
    /// `flags`
    pub flags: u32,
}

/// Shows each item of a request, in order.
pub fn each_item<'a>(request: Request, bytes: &'a [u8], show: &mut impl FnMut(&Item<'a>)) {
    below(Message::of(request), bytes, Above::default(), show);
}

fn below<'a>(
    message: &'static Message,
    bytes: &'a [u8],
    above: Above<'a>,
    show: &mut impl FnMut(&Item<'a>),
) {
    let above = above.enter(message, bytes);
    let mut fields = Fields(bytes);
    while let Some((number, value)) = fields.field() {
        let Value::Slice(body) = value else { continue };
        match message.field(number).form {
            Form::Items(item) => show(&above.item(View { message: item, bytes: body })),
            Form::Message(inner) | Form::Messages(inner) if inner.groups => {
                below(inner, body, above, show);
            }
            _ => {}
        }
    }
}

/// Holds what stands above an item.
#[derive(Clone, Copy, Debug)]
pub(super) struct Above<'a> {
    resource: View<'a>,
    scope: View<'a>,
    metric: Option<View<'a>>,
}

impl Default for Above<'_> {
    fn default() -> Self {
        let empty = |message| View { message, bytes: &[] };
        let (resource, scope) = (empty(&schema::RESOURCE), empty(&schema::SCOPE));
        Above { resource, scope, metric: None }
    }
}

impl<'a> Above<'a> {
    /// Notes a level above items, whose resource or scope may stand behind the items.
    pub(super) fn enter(mut self, message: &'static Message, bytes: &'a [u8]) -> Self {
        if message.holder == Some(Holder::Metric) {
            self.metric = Some(View { message, bytes });
        } else if let Form::Message(inner) = message.field(1).form
            && let Some(holder) = inner.holder
        {
            let bytes = Fields(bytes).slice(1).unwrap_or_default();
            let view = View { message: inner, bytes };
            match holder {
                Holder::Resource => self.resource = view,
                _ => self.scope = view,
            }
        }
        self
    }

    pub(super) fn item(self, own: View<'a>) -> Item<'a> {
        let Above { resource, scope, metric } = self;
        Item { resource, scope, metric, own }
    }
}

impl<'a> View<'a> {
    pub(super) fn of(message: &'static Message, bytes: &'a [u8]) -> Self {
        View { message, bytes }
    }

    /// Says what it is.
    pub fn holder(&self) -> Holder {
        self.message.holder.unwrap_or(Holder::Resource)
    }

    /// Says whether both stand at the same place.
    pub fn is(&self, other: View<'_>) -> bool {
        std::ptr::eq(self.bytes, other.bytes)
    }

    /// Gives its table and its bytes.
    pub(in crate::otlp) fn parts(self) -> (&'static Message, &'a [u8]) {
        (self.message, self.bytes)
    }

    /// Reads the name of a scope.
    pub fn name(&self) -> &'a str {
        text(Fields(self.bytes).slice(1).unwrap_or_default())
    }

    /// Reads the trace id and the span id of a span or a link, as they are written; empty where there is none.
    pub fn ids(&self) -> (&'a [u8], &'a [u8]) {
        debug_assert!(matches!(self.message.holder, Some(Holder::Span | Holder::Link)));
        let id = |number| Fields(self.bytes).slice(number).unwrap_or_default();
        (id(1), id(2))
    }

    /// Reads when a span began, in nanoseconds since the epoch; 0 where it does not say.
    pub fn start(&self) -> u64 {
        debug_assert_eq!(self.message.holder, Some(Holder::Span));
        let mut fields = Fields(self.bytes);
        while let Some((number, value)) = fields.field() {
            if let (7, Value::Fixed64(start)) = (number, value) {
                return start;
            }
        }
        0
    }

    /// Reads a span in one go: shows each of its attributes, in order, and gives the rest of what it says.
    #[inline]
    pub fn span(&self, mut show: impl FnMut(&'a [u8], ValueView<'a>)) -> SpanHead<'a> {
        debug_assert_eq!(self.message.holder, Some(Holder::Span));
        let (mut head, mut fields) = (SpanHead::default(), Fields(self.bytes));
        while let Some(field) = fields.field() {
            match field {
                (1, Value::Slice(id)) => head.trace = id,
                (2, Value::Slice(id)) => head.span = id,
                (4, Value::Slice(id)) => head.parent = id,
                (5, Value::Slice(name)) => head.name = text(name),
                (6, Value::Varint(kind)) => head.kind = kind,
                (7, Value::Fixed64(start)) => head.start = start,
                (8, Value::Fixed64(end)) => head.end = end,
                (9, Value::Slice(key_value)) => {
                    let (name, value) = attribute(key_value);
                    show(name, value);
                }
                (15, Value::Slice(status)) => head.status = number(status, 3),
                (16, Value::Fixed32(flags)) => head.flags = flags,
                _ => {}
            }
        }
        head
    }

    /// Shows each link of a span, in order.
    pub fn each_link(&self, mut show: impl FnMut(View<'a>)) {
        debug_assert_eq!(self.message.holder, Some(Holder::Span));
        let mut fields = Fields(self.bytes);
        while let Some((number, value)) = fields.field() {
            if let (13, Value::Slice(bytes)) = (number, value) {
                show(View { message: &schema::LINK, bytes });
            }
        }
    }

    /// Finds the first attribute of that name.
    pub fn attribute(&self, wanted: &str) -> Option<ValueView<'a>> {
        let mut found = None;
        self.each_attribute(|name, value| {
            if found.is_none() && name == wanted.as_bytes() {
                found = Some(value);
            }
        });
        found
    }

    /// Shows each attribute, in order.
    #[inline]
    pub fn each_attribute(&self, mut show: impl FnMut(&'a [u8], ValueView<'a>)) {
        let mut fields = Fields(self.bytes);
        while let Some((number, value)) = fields.field() {
            if let Value::Slice(key_value) = value
                && number == self.message.attributes
            {
                let (name, value) = attribute(key_value);
                show(name, value);
            }
        }
    }
}

/// Reads the last integer field of that number; 0 where there is none.
fn number(message: &[u8], wanted: u32) -> u64 {
    let (mut found, mut fields) = (0, Fields(message));
    while let Some((number, value)) = fields.field() {
        if let Value::Varint(value) = value
            && number == wanted
        {
            found = value;
        }
    }
    found
}

/// Reads the name and the value of an attribute (`KeyValue`).
#[inline(always)]
pub(super) fn attribute(key_value: &[u8]) -> (&[u8], ValueView<'_>) {
    match plain_attribute(key_value) {
        Some((name, value)) => (name, ValueView(value)),
        None => other_attribute(key_value),
    }
}

#[inline(never)]
fn other_attribute(key_value: &[u8]) -> (&[u8], ValueView<'_>) {
    let part = |number| Fields(key_value).slice(number).unwrap_or_default();
    (part(1), ValueView(part(2)))
}

/// Gives a text of checked bytes.
#[inline]
pub(super) fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}

impl<'a> ValueView<'a> {
    /// Reads the text, if it is one.
    pub fn text(&self) -> Option<&'a str> {
        plain_text(self.0).or_else(|| Fields(self.0).slice(1)).map(text)
    }

    /// Reads the whole number, if it is one.
    pub fn int(&self) -> Option<i64> {
        match choice(self.0) {
            Some((3, Value::Varint(number))) => Some(number.cast_signed()),
            _ => None,
        }
    }

    /// Says whether it is `true`.
    pub fn is_true(&self) -> bool {
        matches!(choice(self.0), Some((2, Value::Varint(1..))))
    }

    /// Says whether it holds no value at all.
    pub fn is_empty(&self) -> bool {
        choice(self.0).is_none()
    }

    /// Appends the value as the JSON it stands for. `None` where it is nested too deeply for JSON
    /// ([`MAX_DEPTH`](crate::json::MAX_DEPTH)); what is in `out` is no JSON then.
    pub fn write_json(&self, out: &mut Vec<u8>) -> Option<()> {
        write_plain(self.0, out)
    }
}

impl std::fmt::Debug for View<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}({} bytes)", self.message.holder, self.bytes.len())
    }
}
