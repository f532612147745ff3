//! Drops the items that no backend would take for their ids: the rule of [`ids`](crate::otlp::ids).

use super::edit::{Edit, Take, Wants};
use super::fields::{Fields, Value};
use super::view::Item;
use crate::otlp::ids::{SPAN_ID, TRACE_ID, absent_or, given};
use crate::otlp::schema::{Form, Holder, Message};

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

/// Says whether the ids of an item, of its links and of its exemplars are usable.
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
