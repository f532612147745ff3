//! Which items a backend can take, as far as their ids go.
//!
//! A span needs both of its ids, of the right length and not zero (trace.proto). Every other id may be
//! missing, but one of another length makes strict backends refuse the whole request it travels in.

use super::schema::{Form, Holder, Message};
use super::wire::edit::{Edit, Take, Wants};
use super::wire::fields::{Fields, Value};
use super::wire::view::Item;

/// Bytes of a trace id.
pub const TRACE_ID: usize = 16;

/// Bytes of a span id.
pub const SPAN_ID: usize = 8;

/// Drops items whose ids are not usable.
#[derive(Debug)]
pub struct Usable;

impl<'a> Edit<'a> for Usable {
    fn wants(&self) -> Wants {
        Wants { items: true, ..Wants::default() }
    }

    fn item(&mut self, item: &Item<'a>) -> Take {
        let (message, bytes) = item.own.parts();
        if usable(message, bytes) { Take::Keep } else { Take::Drop }
    }
}

/// Whether the ids of an item, of its links and of its exemplars are usable.
fn usable(message: &Message, bytes: &[u8]) -> bool {
    let (mut trace, mut span) = (!message.identified, !message.identified);
    let mut fields = Fields(bytes);
    while let Some((number, value)) = fields.field() {
        let Value::Slice(slice) = value else { continue };
        let good = match message.field(number).form {
            Form::Id(id) => {
                let own = id.own && given(slice, id.len);
                trace |= own && id.len == TRACE_ID;
                span |= own && id.len == SPAN_ID;
                absent_or(slice, id.len)
            }
            Form::Messages(inner)
                if matches!(inner.holder, Some(Holder::Link | Holder::Exemplar)) =>
            {
                usable(inner, slice)
            }
            _ => true,
        };
        if !good {
            return false;
        }
    }
    trace && span
}

/// Whether an id is there: of that length and not all zero.
pub(super) fn given(id: &[u8], len: usize) -> bool {
    id.len() == len && id.iter().any(|b| *b != 0)
}

/// Whether an id is missing or of that length.
pub(super) fn absent_or(id: &[u8], len: usize) -> bool {
    id.is_empty() || id.len() == len
}
