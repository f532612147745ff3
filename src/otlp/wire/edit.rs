//! Changes a request at any place without decoding it: attributes, texts, whole items.
//!
//! One walk shows a pass what it [wants](Edit::wants) to see and notes what it answers; the bytes are copied once
//! in the end, and not at all where nothing changes. What was regular stays so: it is for bytes that passed the
//! [`check`](super::check), and its result passes it again.

use bytes::Bytes;

use super::compose::{Attributes, Value as Composed};
use super::view::{Item, ValueView, View};
use crate::otlp::schema::Holder;

mod walk;

pub use walk::edit;
pub(super) use walk::removal_size;

/// Implemented by a pass over a request: says what it wants to see, and what is to become of that.
pub trait Edit<'a> {
    /// Says what is to be shown; asked once, before anything else. Everything else is passed over.
    fn wants(&self) -> Wants;

    /// Sees a span, data point or log record before anything in it. What it drops takes a scope, metric or
    /// resource with it in which nothing else is left.
    fn item(&mut self, _: &Item<'a>) -> Take {
        Take::Keep
    }

    /// Sees one attribute, whole, and what it is of.
    fn attribute(&mut self, _: View<'a>, _name: &'a str, _: ValueView<'a>) -> Change<'_> {
        Change::Keep
    }

    /// Sees one text, wherever it stands: a field, an attribute's name or value, a part of a value, a log's body.
    /// Says what is to stand in its place.
    fn text(&mut self, _: &At<'a>, _: &'a str) -> Option<&str> {
        None
    }

    /// Sees bytes that are no text and no id: only values hold such. Says what text is to stand in their place.
    fn bytes(&mut self, _: &At<'a>, _: &'a [u8]) -> Option<&str> {
        None
    }

    /// Sees a number within a value. Says what text is to stand in its place.
    fn number(&mut self, _: &At<'a>, _: Number) -> Option<&str> {
        None
    }

    /// Sees a name before the value under it: an attribute's, or that of an entry of a map. Says whether both stay,
    /// and with which mark all that is in the value is shown, unless a name within it says otherwise.
    fn name(&mut self, at: &At<'a>, _name: &'a str) -> Named {
        Named::Marked(at.mark)
    }

    /// Gives the status of a span a message, where it has none.
    fn status_message(&mut self, _span: View<'a>) -> Option<&str> {
        None
    }

    /// Adds attributes to a holder, behind those it has, once all of it was shown. Names must be new to it.
    fn more(&mut self, _: View<'a>, _: &mut Attributes<'_>) {}
}

/// Says what a pass is to be shown.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wants {
    /// Shows items.
    pub items: bool,
    /// Shows attributes of these holders...
    pub attributes: Holders,
    /// ...whose names have these lengths, a [bit](length_bit) a length.
    pub lengths: u64,
    /// Shows texts, bytes and the numbers in values, all of them, and the names above them.
    pub texts: bool,
    /// Asks for messages of statuses that have none.
    pub statuses: bool,
    /// Asks for these holders whether they get more attributes.
    pub more: Holders,
}

/// Holds a set of holders.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Holders(u16);

/// Says what is to become of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Take {
    /// It stays.
    Keep,
    /// It goes.
    Drop,
}

/// Says what is to become of an attribute.
#[derive(Clone, Copy, Debug)]
pub enum Change<'c> {
    /// It stays as it is.
    Keep,
    /// It goes.
    Drop,
    /// It keeps its name and gets another value.
    Value(Composed<'c>),
}

/// Says what is to become of a name and the value under it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Named {
    /// Both go.
    Drop,
    /// Both stay, and what is in the value is shown with this mark. 0 stands for none.
    Marked(u16),
}

/// Says where a text stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct At<'a> {
    /// Names what it belongs to.
    pub holder: Holder,
    /// Says where in it.
    pub place: Place<'a>,
    /// Counts the lists and maps around it, within a value.
    pub depth: u8,
    /// Repeats what [`Edit::name`] said of the name above it; 0 where there is none.
    pub mark: u16,
}

/// Holds a number of a value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// `int_value`
    Int(i64),
    /// `double_value`
    Double(f64),
}

/// Says where in its holder a text stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place<'a> {
    /// A field, by its name in OTLP/JSON: `name`, `traceState`, `message` of a status, `body` of a log record and
    /// all that is in it.
    Field(&'static str),
    /// The name of an attribute, or with a depth that of an entry of a map within its value.
    Name,
    /// The name of an entry of a map within a log's body.
    BodyName,
    /// The value of the attribute of that name, or a part of it.
    Value(&'a str),
}

/// Holds what became of a request.
#[derive(Clone, Debug)]
pub struct Edited {
    /// Holds the new bytes; `None` where nothing changed.
    pub bytes: Option<Bytes>,
    /// Counts the items that were dropped.
    pub dropped: usize,
}

impl Holders {
    /// Holds all there are.
    pub const ALL: Holders = Holders(u16::MAX);

    /// Makes a set of one.
    pub const fn only(holder: Holder) -> Self {
        Holders(1 << holder as u16)
    }

    const fn and(self, other: Holders) -> Self {
        Holders(self.0 | other.0)
    }

    const fn has(self, holder: Holder) -> bool {
        self.0 & 1 << holder as u16 != 0
    }

    /// Says whether one of them is `holder` or stands within it, levels above items apart.
    const fn reach(self, holder: Holder) -> bool {
        let only = Holders::only;
        let within = match holder {
            Holder::Span => only(Holder::Event).and(only(Holder::Link)),
            Holder::Point => only(Holder::Exemplar),
            _ => Holders(0),
        };
        self.0 & within.and(only(holder)).0 != 0
    }
}

/// Gives the bit of a name's length in bytes, to tell most names apart without a look at them. All from 63 bytes
/// on share one.
#[inline]
pub const fn length_bit(name: usize) -> u64 {
    1 << if name < 63 { name } else { 63 }
}

#[cfg(test)]
mod tests;
