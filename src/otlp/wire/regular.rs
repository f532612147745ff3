//! Makes regular what is good but not written as encoders do: a singular field twice, of which the last counts or
//! which merge; a list in several places; a oneof with two choices; numbers that are not packed; texts that are
//! not UTF-8, in which U+FFFD stands for what cannot be read. Unknown fields pass as they are.
//!
//! Follows the rules of protobuf ("Encoding", "Last One Wins"), with the decoder as the oracle of its tests.
//! Needs no memory but for the result, and for a slice for each part of a message that must be merged, empty ones apart:
//! [`most`] says how much beforehand.

use super::compose::Open;
use super::fields::{Fields, Value};
use crate::otlp::request::{MAX_DEPTH, Request};
use crate::otlp::schema::{Form, Message};

/// Stands for what cannot be read of a text (Unicode, "U+FFFD Substitution of Maximal Subparts").
pub(super) const REPLACEMENT: &str = "\u{fffd}";

/// Names what lengths that are guessed take for a moment, of as many messages as stand in each other, in bytes.
const GUESSES: usize = 9 * MAX_DEPTH as usize;

/// The most bytes that are written for so many, which grow by no more than `growth`.
pub(super) fn most(bytes: usize, growth: usize) -> usize {
    bytes.saturating_add(growth).saturating_add(GUESSES)
}

/// Writes `request`, which passed the check, anew. It is `growth` bytes longer then, at the most.
pub(super) fn write(request: Request, bytes: &[u8], growth: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(most(bytes.len(), growth));
    let room = out.capacity();
    message(Message::of(request), &[bytes], MAX_DEPTH, &mut out);
    debug_assert!(out.capacity() == room && out.len() <= bytes.len() + growth);
    out.shrink_to_fit();
    out
}

/// Holds one field as it stands in a message.
#[derive(Clone, Copy)]
struct Raw<'a> {
    number: u32,
    value: Value<'a>,
    /// All of its bytes.
    whole: &'a [u8],
}

/// Walks the fields of a message that may have come in parts.
fn fields<'a>(parts: &[&'a [u8]]) -> impl Iterator<Item = Raw<'a>> + Clone {
    parts.iter().flat_map(|part| {
        let mut rest = Fields(part);
        std::iter::from_fn(move || {
            let before = rest.0;
            let (number, value) = rest.field()?;
            Some(Raw { number, value, whole: &before[..before.len() - rest.0.len()] })
        })
    })
}

/// Writes a message, each of its fields where it comes first, with all that belongs to it.
fn message(schema: &Message, parts: &[&[u8]], depth: u32, out: &mut Vec<u8>) {
    let mut done = 0;
    for raw in fields(parts) {
        let field = schema.field(raw.number);
        if let Form::Unknown = field.form {
            out.extend_from_slice(raw.whole);
        } else if done & field.bit == 0 {
            done |= field.bit;
            let all = fields(parts).filter(|other| schema.field(other.number).bit == field.bit);
            if field.list {
                all.for_each(|raw| single(field.form, raw, depth, out));
            } else {
                singular(schema, all, depth, out);
            }
        }
    }
}

/// Writes a field that may be there once, or a oneof, of all that there is of it.
fn singular<'a>(
    schema: &Message,
    all: impl Iterator<Item = Raw<'a>> + Clone,
    depth: u32,
    out: &mut Vec<u8>,
) {
    let Some(last) = all.clone().last() else { return };
    match schema.field(last.number).form {
        Form::Message(inner) => {
            let counts = |raw: &Raw<'_>| {
                raw.number == last.number && raw.slice().is_some_and(|part| !part.is_empty())
            };
            let mut parts = Vec::with_capacity(all.clone().filter(counts).count());
            for raw in all {
                if raw.number == last.number {
                    // Millions of empty ones must not be remembered.
                    parts.extend(raw.slice().filter(|part| !part.is_empty()));
                } else {
                    // Another choice took the place of what there was.
                    parts.clear();
                }
            }
            nested(inner, last.number, &parts, depth, out);
        }
        Form::Varints | Form::Fixed64s | Form::Doubles => {
            let open = Open::guess(out, last.number, last.whole.len());
            all.for_each(|raw| out.extend_from_slice(raw.packed()));
            open.close(out);
        }
        form => single(form, last, depth, out),
    }
}

/// Writes one value of a list, or the one of a field that is no message.
fn single(form: Form, raw: Raw<'_>, depth: u32, out: &mut Vec<u8>) {
    match (form, raw.value) {
        (Form::Text | Form::Texts, Value::Slice(text)) => {
            let open = Open::guess(out, raw.number, text.len());
            for chunk in text.utf8_chunks() {
                out.extend_from_slice(chunk.valid().as_bytes());
                if !chunk.invalid().is_empty() {
                    out.extend_from_slice(REPLACEMENT.as_bytes());
                }
            }
            open.close(out);
        }
        (Form::Messages(inner) | Form::Items(inner), Value::Slice(body)) => {
            nested(inner, raw.number, &[body], depth, out);
        }
        _ => out.extend_from_slice(raw.whole),
    }
}

fn nested(inner: &Message, number: u32, parts: &[&[u8]], depth: u32, out: &mut Vec<u8>) {
    // The check let no deeper one pass.
    let Some(depth) = depth.checked_sub(1) else { return };
    let open = Open::guess(out, number, parts.iter().map(|part| part.len()).sum());
    message(inner, parts, depth, out);
    open.close(out);
}

impl<'a> Raw<'a> {
    fn slice(&self) -> Option<&'a [u8]> {
        match self.value {
            Value::Slice(slice) => Some(slice),
            _ => None,
        }
    }

    /// Gives the numbers of a packed field, or the one that came by itself.
    fn packed(&self) -> &'a [u8] {
        let mut rest = Fields(self.whole);
        match self.value {
            Value::Slice(numbers) => numbers,
            _ => rest.varint().map(|_| rest.0).unwrap_or_default(),
        }
    }
}
