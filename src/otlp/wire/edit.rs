//! Looking for attributes and spans, and changing the attributes of spans, without decoding.
//!
//! All read what encoders write and give up on what only a decoder makes sense of ([`Irregular`]).
//! Attributes inside of values (key-value lists) are values, not attributes.

use std::ptr;

use super::compose::{Attributes, Open, Value as Composed};
use super::fields::{Fields, Irregular, Value, plain_attribute, plain_text};
use super::schema::{self, Kind, Schema};
use super::{Request, schema_of, wire_type};

/// Field numbers of `ResourceSpans`, `ScopeSpans` and `Span`.
const RESOURCE_SPANS: u32 = 1;
const SCOPE_SPANS: u32 = 2;
const SCOPE: u32 = 1;
const SPANS: u32 = 2;
const TRACE_ID: u32 = 1;
const SPAN_ID: u32 = 2;
const START: u32 = 7;
const ATTRIBUTES: u32 = 9;

/// An attribute as its bytes stand in a request.
#[derive(Clone, Copy, Debug)]
pub struct AttributeView<'a> {
    /// `key`
    pub name: &'a [u8],
    /// `value`, an `AnyValue`
    pub value: &'a [u8],
    /// It is nothing but these.
    plain: bool,
}

impl<'a> AttributeView<'a> {
    /// The attribute that a span goes on with, if it is one of the usual: plain, and so short that each
    /// length takes one byte.
    #[inline(always)]
    fn usual(span: &'a [u8]) -> Option<(Self, &'a [u8])> {
        const KEY: u8 = (ATTRIBUTES << 3) as u8 | wire_type::LENGTH as u8;
        let [KEY, length @ ..0x80, rest @ ..] = span else { return None };
        let (key_value, rest) = rest.split_at_checked(usize::from(*length))?;
        let (name, value) = plain_attribute(key_value)?;
        Some((AttributeView { name, value, plain: true }, rest))
    }

    #[inline]
    fn read(key_value: &'a [u8]) -> Result<Self, Irregular> {
        match plain_attribute(key_value) {
            Some((name, value)) => Ok(AttributeView { name, value, plain: true }),
            None => Self::read_other(key_value),
        }
    }

    #[inline(never)]
    fn read_other(key_value: &'a [u8]) -> Result<Self, Irregular> {
        let (mut name, mut any_value) = (None, None);
        let mut fields = Fields(key_value);
        while let Some((number, value)) = fields.field()? {
            match number {
                1 => once(&mut name, value)?,
                2 => once(&mut any_value, value)?,
                _ => {}
            }
        }
        let (name, value) = (name.unwrap_or_default(), any_value.unwrap_or_default());
        Ok(AttributeView { name, value, plain: false })
    }

    /// Its value, if that is a string.
    pub fn text(&self) -> Result<Option<&'a [u8]>, Irregular> {
        if let Some(text) = plain_text(self.value) {
            return Ok(Some(text));
        }
        let mut fields = Fields(self.value);
        let Some((number, value)) = fields.field()? else { return Ok(None) };
        if !fields.0.is_empty() {
            return Err(Irregular);
        }
        match value {
            Value::Slice(text) if number == 1 => Ok(Some(text)),
            _ => Ok(None),
        }
    }
}

/// What is to become of the attributes of a span.
#[derive(Debug, Default)]
pub struct Changes {
    /// More of them, as they will stand in the span.
    added: Vec<u8>,
    /// Texts in place of values, by the place of their attribute, in order.
    pub replaced: Vec<(usize, String)>,
}

impl Changes {
    /// One more attribute. Its name must be [new](SpanView::has) to the span.
    pub fn add(&mut self, name: &str, value: Composed<'_>) {
        Attributes::of_span(&mut self.added).add(name, value);
    }
}

/// What is added is about that part of what there is.
const EIGHTH: usize = 8;

/// A span as its bytes stand in a request.
#[derive(Clone, Copy, Debug)]
pub struct SpanView<'a> {
    /// `trace_id`
    pub trace_id: &'a [u8],
    /// `span_id`
    pub span_id: &'a [u8],
    /// `attributes`
    pub attributes: &'a [AttributeView<'a>],
    /// How long the names of its attributes are, a [bit](length_bit) a length.
    pub lengths: u64,
}

impl SpanView<'_> {
    /// Whether it has an attribute of that name.
    pub fn has(&self, name: &str) -> bool {
        self.lengths & length_bit(name.len()) != 0
            && self.attributes.iter().any(|attribute| attribute.name == name.as_bytes())
    }
}

/// The bit of a name's length, to tell most names apart without a look at them; all long ones share one.
#[inline]
pub fn length_bit(name: usize) -> u64 {
    1 << name.min(63)
}

/// Whether there is an attribute, wherever, whose name `wanted` says yes to.
pub fn any_attribute(
    request: Request,
    bytes: &[u8],
    wanted: &impl Fn(&[u8]) -> bool,
) -> Result<bool, Irregular> {
    any_below(schema_of(request), bytes, wanted)
}

fn any_below(
    schema: &Schema,
    bytes: &[u8],
    wanted: &impl Fn(&[u8]) -> bool,
) -> Result<bool, Irregular> {
    let mut fields = Fields(bytes);
    while let Some((number, value)) = fields.field()? {
        if any_in(schema, number, value, wanted)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The same in one field of a message.
fn any_in(
    schema: &Schema,
    number: u32,
    value: Value<'_>,
    wanted: &impl Fn(&[u8]) -> bool,
) -> Result<bool, Irregular> {
    let (Kind::Message(inner) | Kind::Item(inner) | Kind::Data(inner)) = schema.field(number)
    else {
        return Ok(false);
    };
    let Value::Slice(bytes) = value else { return Err(Irregular) };
    if ptr::eq(inner, &schema::KEY_VALUE) {
        return Ok(wanted(name_of(bytes)?));
    }
    Ok(!ptr::eq(inner, &schema::ANY_VALUE) && any_below(inner, bytes, wanted)?)
}

/// A trace request with its spans' attributes as `change` wants them. It is shown each span with the name
/// of its scope; there are no changes yet each time. `None` if there are none in the end. Gives up, too, at
/// an attribute of anything but a span whose name `barred` says yes to: that is looked for on the same way.
pub fn edit_attributes(
    traces: &[u8],
    barred: &impl Fn(&[u8]) -> bool,
    mut change: impl FnMut(&[u8], &SpanView<'_>, &mut Changes) -> Result<(), Irregular>,
) -> Result<Option<Vec<u8>>, Irregular> {
    let mut out = Vec::with_capacity(traces.len() + traces.len() / EIGHTH);
    let (mut attributes, mut changes) = (Vec::new(), Changes::default());
    let mut any = false;
    each(traces, RESOURCE_SPANS, &mut out, &schema::TRACES, barred, |resource, out| {
        each(resource, SCOPE_SPANS, out, &schema::RESOURCE_SPANS, barred, |scope, out| {
            let name = scope_name(scope)?;
            each(scope, SPANS, out, &schema::SCOPE_SPANS, barred, |span, out| {
                attributes.clear();
                let read = read_span(span, &mut attributes, barred)?;
                let Read { trace_id, span_id, lengths, end } = read;
                let view = SpanView { trace_id, span_id, attributes: &attributes, lengths };
                change(name, &view, &mut changes)?;
                any |= !changes.added.is_empty() || !changes.replaced.is_empty();
                let (before, after) = span.split_at(end);
                if changes.replaced.is_empty() {
                    out.extend_from_slice(before);
                } else {
                    replace(before, &attributes, changes.replaced.drain(..), out)?;
                }
                out.extend_from_slice(&changes.added);
                changes.added.clear();
                out.extend_from_slice(after);
                Ok(())
            })
        })
    })?;
    Ok(any.then_some(out))
}

/// Copies what there is of a span up to its last attribute, with texts in place of some values.
fn replace(
    span: &[u8],
    attributes: &[AttributeView<'_>],
    mut texts: impl Iterator<Item = (usize, String)>,
    out: &mut Vec<u8>,
) -> Result<(), Irregular> {
    let mut next = texts.next();
    let mut all = attributes.iter().enumerate();
    let mut fields = Fields(span);
    loop {
        let before = fields.0;
        let Some((number, _)) = fields.field()? else { return Ok(()) };
        if number == ATTRIBUTES
            && let Some((place, attribute)) = all.next()
            && let Some((_, text)) = next.take_if(|(wanted, _)| *wanted == place)
        {
            if !attribute.plain {
                return Err(Irregular);
            }
            let name = std::str::from_utf8(attribute.name).map_err(|_| Irregular)?;
            Attributes::of_span(out).add(name, Composed::Text(&text));
            next = texts.next();
        } else {
            out.extend_from_slice(&before[..before.len() - fields.0.len()]);
        }
    }
}

/// What is read of a span beside its attributes.
struct Read<'a> {
    trace_id: &'a [u8],
    span_id: &'a [u8],
    lengths: u64,
    /// Where more attributes belong: behind the last, so that they are one list.
    end: usize,
}

fn read_span<'a>(
    span: &'a [u8],
    attributes: &mut Vec<AttributeView<'a>>,
    barred: &impl Fn(&[u8]) -> bool,
) -> Result<Read<'a>, Irregular> {
    let (mut trace_id, mut span_id, mut lengths, mut end) = (None, None, 0, 0);
    let mut fields = Fields(span);
    loop {
        // Most of a span is a row of attributes.
        while let Some((attribute, rest)) = AttributeView::usual(fields.0) {
            lengths |= length_bit(attribute.name.len());
            attributes.push(attribute);
            fields = Fields(rest);
            end = span.len() - rest.len();
        }
        let Some((number, value)) = fields.field()? else { break };
        match (number, value) {
            (TRACE_ID, value) => once(&mut trace_id, value)?,
            (SPAN_ID, value) => once(&mut span_id, value)?,
            (ATTRIBUTES, Value::Slice(attribute)) => {
                let attribute = AttributeView::read(attribute)?;
                lengths |= length_bit(attribute.name.len());
                attributes.push(attribute);
            }
            _ if any_in(&schema::SPAN, number, value, barred)? => return Err(Irregular),
            _ => {}
        }
        if number == ATTRIBUTES || number < ATTRIBUTES && attributes.is_empty() {
            end = span.len() - fields.0.len();
        }
    }
    let (trace_id, span_id) = (trace_id.unwrap_or_default(), span_id.unwrap_or_default());
    Ok(Read { trace_id, span_id, lengths, end })
}

/// Shows the `trace_id`, `span_id` and `start_time_unix_nano` of each span, in order.
pub fn each_span(traces: &[u8], mut show: impl FnMut(&[u8], &[u8], u64)) -> Result<(), Irregular> {
    fields_of(traces, RESOURCE_SPANS, |resource| {
        fields_of(resource, SCOPE_SPANS, |scope| {
            fields_of(scope, SPANS, |span| {
                let (mut trace_id, mut span_id, mut start) = (None, None, None);
                let mut fields = Fields(span);
                while let Some((number, value)) = fields.field()? {
                    match (number, value) {
                        (TRACE_ID, value) => once(&mut trace_id, value)?,
                        (SPAN_ID, value) => once(&mut span_id, value)?,
                        (START, Value::Fixed64(at)) if start.is_none() => start = Some(at),
                        (START, _) => return Err(Irregular),
                        _ => {}
                    }
                }
                show(
                    trace_id.unwrap_or_default(),
                    span_id.unwrap_or_default(),
                    start.unwrap_or_default(),
                );
                Ok(())
            })
        })
    })
}

/// Shows the fields `number` of a message, which are messages.
fn fields_of<'a>(
    bytes: &'a [u8],
    number: u32,
    mut show: impl FnMut(&'a [u8]) -> Result<(), Irregular>,
) -> Result<(), Irregular> {
    let mut fields = Fields(bytes);
    while let Some((found, value)) = fields.field()? {
        if let Value::Slice(inner) = value
            && found == number
        {
            show(inner)?;
        }
    }
    Ok(())
}

/// Copies a message; of the fields `number`, which are messages, `change` writes the copy. The others are
/// not to have attributes that are `barred`.
fn each<'a>(
    bytes: &'a [u8],
    number: u32,
    out: &mut Vec<u8>,
    schema: &Schema,
    barred: &impl Fn(&[u8]) -> bool,
    mut change: impl FnMut(&'a [u8], &mut Vec<u8>) -> Result<(), Irregular>,
) -> Result<(), Irregular> {
    let mut fields = Fields(bytes);
    loop {
        let before = fields.0;
        match fields.field()? {
            None => return Ok(()),
            Some((found, Value::Slice(inner))) if found == number => {
                let open = Open::guess(out, number, inner.len() + inner.len() / EIGHTH);
                change(inner, out)?;
                open.close(out);
            }
            Some((other, value)) if any_in(schema, other, value, barred)? => return Err(Irregular),
            Some(_) => out.extend_from_slice(&before[..before.len() - fields.0.len()]),
        }
    }
}

fn scope_name(scope_spans: &[u8]) -> Result<&[u8], Irregular> {
    let mut scope = None;
    let mut fields = Fields(scope_spans);
    while let Some((number, value)) = fields.field()? {
        if number == SCOPE {
            once(&mut scope, value)?;
        }
    }
    scope.map_or(Ok(&[]), name_of)
}

/// Field 1 of a `KeyValue` or an `InstrumentationScope`.
fn name_of(bytes: &[u8]) -> Result<&[u8], Irregular> {
    let mut name = None;
    let mut fields = Fields(bytes);
    while let Some((number, value)) = fields.field()? {
        if number == 1 {
            once(&mut name, value)?;
        }
    }
    Ok(name.unwrap_or_default())
}

/// A field that is a slice and may be there once.
fn once<'a>(place: &mut Option<&'a [u8]>, value: Value<'a>) -> Result<(), Irregular> {
    match (&place, value) {
        (None, Value::Slice(slice)) => *place = Some(slice),
        _ => return Err(Irregular),
    }
    Ok(())
}

#[cfg(test)]
mod tests;
