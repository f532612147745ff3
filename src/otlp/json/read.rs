//! From OTLP/JSON straight to protobuf: members become fields as they are met, by the table of OTLP.
//!
//! Recursion is bounded by the reader's limit on nesting, which is stricter than protobuf's: what was read here
//! passes the [`check`](crate::otlp::wire::check). Members that are there twice, or by both of their spellings, make
//! bytes that are not regular: they are merged as protobuf merges, when the bytes are
//! [repaired](crate::otlp::wire::Found::repaired).

use std::ptr;

use super::Error;
use super::input::Reader;
use super::members::{
    Result, Usual, base64, bool, borrowed, f64, hex_onto, i32, i64, members, named, u32, u64, usual,
};
use crate::otlp::schema::{Field, Form, KEY_VALUE, Message, Presence};
use crate::otlp::wire::compose::{self, Attributes, Open, Value, slice};
use crate::otlp::{Request, Room};

/// About how long a level above items is, in bytes, and an item: the room that is left for their lengths.
const LEVEL: usize = 30_000;
const ITEM: usize = 1000;

/// Reads the body of an export request, which is also a `TracesData`, `MetricsData` or `LogsData` document, as the
/// bytes that protobuf has for it.
pub fn read(request: Request, json: &[u8]) -> std::result::Result<Vec<u8>, Error> {
    let mut r = Reader::new(json);
    let mut out = Vec::with_capacity(json.len() / 2);
    message(&mut r, Message::of(request), &mut out)?;
    r.end()?;
    Ok(out)
}

/// Reads one likewise, and asks for the memory of the result before it is taken: it is the capacity of what is
/// returned. After an error the caller knows what was taken.
pub fn read_within(
    request: Request,
    json: &[u8],
    room: &mut dyn Room,
) -> std::result::Result<Vec<u8>, Error> {
    let mut r = Reader::new(json).counted(room);
    let mut out = Vec::new();
    r.make_room(&mut out, json.len() / 2)?;
    message(&mut r, Message::of(request), &mut out)?;
    r.end()?;
    r.fit(&mut out);
    Ok(out)
}

/// Names the one member of a request's document.
pub fn root(request: Request) -> &'static str {
    Message::of(request).field(1).name()
}

/// Says whether a document has members but not its [`root`], which is all that it may have: it says something, and
/// nothing of it is OTLP. `false` for what is no object.
pub fn is_strange(request: Request, json: &[u8]) -> bool {
    let (root, mut r) = (root(request).as_bytes(), Reader::new(json));
    let (mut named, mut others) = (false, false);
    let read = members(&mut r, |_, key| {
        named |= key == root;
        others |= key != root;
        Ok(false)
    });
    read.is_ok() && others && !named
}

/// Reads an object as the fields of a message.
pub(super) fn message(r: &mut Reader<'_>, schema: &Message, out: &mut Vec<u8>) -> Result<()> {
    let (mut next, mut seen) = (1, 0);
    members(r, |r, key| {
        let Some((number, field)) = schema.named(key, next) else { return Ok(false) };
        next = number + 1;
        // A oneof keeps its choice, default or not, so does what may be missing, and the last of one that is there
        // twice counts.
        let kept = field.presence != Presence::Implicit || seen & field.bit != 0;
        seen |= field.bit;
        member(r, number, field, kept, out)?;
        Ok(true)
    })
}

/// Reads the value of one member. Its default is written only if it is `kept`.
fn member(
    r: &mut Reader<'_>,
    number: u32,
    field: &Field,
    kept: bool,
    out: &mut Vec<u8>,
) -> Result<()> {
    r.make_room(out, 0)?;
    let mut varint = |value: u64| {
        if value != 0 || kept {
            compose::varint(out, number, value);
        }
    };
    match field.form {
        Form::Unknown => {}
        Form::Bool => varint(bool(r)?.into()),
        Form::U32 => varint(u32(r)?.into()),
        Form::I32 => varint(i64::from(i32(r)?).cast_unsigned()),
        Form::Enum(number_of) => varint(i64::from(named(r, number_of)?).cast_unsigned()),
        Form::S32 => varint(zigzag(i32(r)?).into()),
        Form::I64 => varint(i64(r)?.cast_unsigned()),
        Form::Text => {
            let text = borrowed(r)?;
            if !text.is_empty() || kept {
                r.make_room(out, text.len())?;
                slice(out, number, text.as_bytes());
            }
        }
        Form::Id(_) => hex_onto(r, number, kept, out)?,
        Form::Bytes => {
            let bytes = base64(r)?;
            r.make_room(out, bytes.len())?;
            slice(out, number, &bytes);
        }
        Form::Fixed32 => compose::fixed32(out, number, u32(r)?, kept),
        Form::Fixed64 => compose::fixed64(out, number, u64(r)?, kept),
        Form::Sfixed64 => compose::fixed64(out, number, i64(r)?.cast_unsigned(), kept),
        Form::Double => compose::fixed64(out, number, f64(r)?.to_bits(), kept),
        Form::Message(inner) => nested(r, number, inner, out)?,
        Form::Messages(inner) | Form::Items(inner) => {
            r.array()?;
            while r.item()? {
                r.spend(inner.size)?;
                element(r, number, inner, out)?;
            }
        }
        Form::Texts => {
            r.array()?;
            while r.item()? {
                r.spend(size_of::<String>())?;
                let text = borrowed(r)?;
                r.make_room(out, text.len())?;
                slice(out, number, text.as_bytes());
            }
        }
        Form::Varints => packed(r, number, out, |r, out| {
            prost::encoding::encode_varint(u64(r)?, out);
            Ok(())
        })?,
        Form::Fixed64s => packed(r, number, out, |r, out| {
            out.extend_from_slice(&u64(r)?.to_le_bytes());
            Ok(())
        })?,
        Form::Doubles => packed(r, number, out, |r, out| {
            out.extend_from_slice(&f64(r)?.to_le_bytes());
            Ok(())
        })?,
    }
    Ok(())
}

/// Reads one message of a list.
#[inline]
fn element(
    r: &mut Reader<'_>,
    number: u32,
    inner: &'static Message,
    out: &mut Vec<u8>,
) -> Result<()> {
    r.make_room(out, 0)?;
    if ptr::eq(inner, &KEY_VALUE)
        && let Some((name, value)) = usual(r)
    {
        let value = match value {
            Usual::Text(text) => Value::Text(text),
            Usual::Int(value) => Value::Int(value),
            Usual::Bool(value) => Value::Bool(value),
            Usual::Double(value) => Value::Double(value),
        };
        let text = if let Value::Text(text) = value { text.len() } else { 0 };
        r.make_room(out, name.len() + text)?;
        Attributes::of(out, number).add(name, value);
        return Ok(());
    }
    nested(r, number, inner, out)
}

fn nested(
    r: &mut Reader<'_>,
    number: u32,
    inner: &'static Message,
    out: &mut Vec<u8>,
) -> Result<()> {
    let about = match inner {
        level if level.groups => LEVEL,
        item if item.holder.is_some() => ITEM,
        _ => 0,
    };
    let open = Open::guess(out, number, about);
    message(r, inner, out)?;
    open.close(out);
    Ok(())
}

/// Reads a list of numbers; an empty one is none.
fn packed(
    r: &mut Reader<'_>,
    number: u32,
    out: &mut Vec<u8>,
    mut one: impl FnMut(&mut Reader<'_>, &mut Vec<u8>) -> Result<()>,
) -> Result<()> {
    r.array()?;
    let before = out.len();
    let open = Open::guess(out, number, 0);
    let start = out.len();
    while r.item()? {
        r.spend(size_of::<u64>())?;
        r.make_room(out, 0)?;
        one(r, out)?;
    }
    if out.len() == start {
        out.truncate(before);
    } else {
        open.close(out);
    }
    Ok(())
}

fn zigzag(value: i32) -> u32 {
    ((value << 1) ^ (value >> 31)).cast_unsigned()
}
