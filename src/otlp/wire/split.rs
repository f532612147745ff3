//! Cuts a request into smaller ones, resource and scope kept on each, without decoding it.
//!
//! For bytes that passed the [`check`](super::check); what comes out passes it too.

use bytes::Bytes;

use super::compose::Open;
use super::edit::{Edit, Take, Wants, edit};
use super::fields::{Fields, Value};
use super::view::{Item, each_item};
use crate::otlp::Request;
use crate::otlp::schema::{Form, Message};

/// Holds a piece of a request, and how many items are in it.
pub type Piece = (Bytes, usize);

/// Cuts into pieces of at most `max` spans, log records or metrics (a metric with its data points is not cut), in
/// order. `max` of 0 is taken as 1. `None` if they would have more than `most` bytes together: resource and scope
/// stand in each, and may be most of a request.
pub fn split(request: Request, bytes: &[u8], max: usize, most: usize) -> Option<Vec<Piece>> {
    let mut cutter = Cutter {
        out: Vec::new(),
        entries: 0,
        items: 0,
        max: max.max(1),
        left: most,
        open: Vec::new(),
        pieces: Vec::new(),
    };
    cutter.level(Message::of(request), bytes)?;
    cutter.end_piece()?;
    Some(cutter.pieces)
}

/// Cuts into two pieces with about half of the spans, log records or metrics each; a single metric by its data
/// points. `None` if there is one item or none: that cannot be cut; nor is a large one whose halves would not be much
/// smaller.
pub fn halves(request: Request, bytes: &Bytes) -> Option<[Piece; 2]> {
    let entries = entries(Message::of(request), bytes);
    if entries > 1 {
        return split(request, bytes, entries.div_ceil(2), most(bytes.len()))?.try_into().ok();
    }
    let mut items = 0;
    each_item(request, bytes, &mut |_| items += 1);
    let part = |first, end| {
        let edited = edit(request, bytes, &mut Only { first, end, next: 0 });
        (edited.bytes.unwrap_or_else(|| bytes.clone()), items - edited.dropped)
    };
    (items > 1).then(|| [part(0, items / 2), part(items / 2, items)])
}

/// Gives the most that two halves may have together, in bytes: half as much again, or 1 MiB more. So parts that wait to
/// be sent, each the other half of one, never have more together than four times the first.
fn most(whole: usize) -> usize {
    whole.saturating_add((whole / 2).max(1 << 20))
}

/// Keeps the items from the `first` on to before the `end`.
struct Only {
    first: usize,
    end: usize,
    next: usize,
}

impl<'a> Edit<'a> for Only {
    fn wants(&self) -> Wants {
        Wants { items: true, ..Wants::default() }
    }

    fn item(&mut self, _: &Item<'a>) -> Take {
        self.next += 1;
        let kept = (self.first..self.end).contains(&(self.next - 1));
        if kept { Take::Keep } else { Take::Drop }
    }
}

/// Cuts one request.
struct Cutter<'a> {
    /// The piece in the making.
    out: Vec<u8>,
    entries: usize,
    items: usize,
    max: usize,
    /// Bytes that pieces may yet have.
    left: usize,
    /// The levels that are open: begun in each piece anew, with what all their entries share.
    open: Vec<Level<'a>>,
    pieces: Vec<Piece>,
}

struct Level<'a> {
    number: u32,
    /// The whole message, and the field number of the list in it that is cut.
    bytes: &'a [u8],
    list: u32,
    begun: Open,
}

impl<'a> Cutter<'a> {
    /// Cuts the list in a message, which is the only one that leads to items.
    fn level(&mut self, message: &'static Message, bytes: &'a [u8]) -> Option<()> {
        let mut fields = Fields(bytes);
        while let Some((number, value)) = fields.field() {
            let Value::Slice(body) = value else { continue };
            match entry(message, number) {
                Some(Entry::Level(inner, list)) => {
                    let begun = begin(&mut self.out, number, body, list);
                    self.open.push(Level { number, bytes: body, list, begun });
                    self.level(inner, body)?;
                    if let Some(level) = self.open.pop() {
                        level.begun.close(&mut self.out);
                    }
                }
                Some(Entry::Whole(inner)) => self.entry(inner, number, body)?,
                None => {}
            }
        }
        Some(())
    }

    fn entry(&mut self, message: &'static Message, number: u32, body: &[u8]) -> Option<()> {
        if self.entries == self.max {
            self.end_piece()?;
            for level in &mut self.open {
                level.begun = begin(&mut self.out, level.number, level.bytes, level.list);
            }
        }
        super::compose::slice(&mut self.out, number, body);
        self.entries += 1;
        self.items += items(message, body);
        (self.out.len() <= self.left).then_some(())
    }

    fn end_piece(&mut self) -> Option<()> {
        for level in self.open.iter().rev() {
            level.begun.close(&mut self.out);
        }
        self.left = self.left.checked_sub(self.out.len())?;
        self.out.shrink_to_fit();
        self.pieces.push((std::mem::take(&mut self.out).into(), self.items));
        (self.entries, self.items) = (0, 0);
        Some(())
    }
}

/// Begins a level: all of its message but the list that is cut.
fn begin(out: &mut Vec<u8>, number: u32, bytes: &[u8], list: u32) -> Open {
    let open = Open::guess(out, number, 0);
    let mut fields = Fields(bytes);
    loop {
        let before = fields.0;
        let Some((field, _)) = fields.field() else { return open };
        if field != list {
            out.extend_from_slice(&before[..before.len() - fields.0.len()]);
        }
    }
}

/// Says what a field is to the cut: a level that holds entries, or an entry.
enum Entry {
    /// With the field number of its list.
    Level(&'static Message, u32),
    Whole(&'static Message),
}

fn entry(message: &Message, number: u32) -> Option<Entry> {
    match message.field(number).form {
        // Resources and scopes: a metric has a holder.
        Form::Messages(inner) if inner.groups && inner.holder.is_none() => {
            Some(Entry::Level(inner, 2))
        }
        Form::Messages(inner) if inner.groups => Some(Entry::Whole(inner)),
        Form::Items(inner) => Some(Entry::Whole(inner)),
        _ => None,
    }
}

/// Counts spans, log records or metrics.
fn entries(message: &Message, bytes: &[u8]) -> usize {
    let mut count = 0;
    let mut fields = Fields(bytes);
    while let Some((number, value)) = fields.field() {
        let Value::Slice(body) = value else { continue };
        count += match entry(message, number) {
            Some(Entry::Level(inner, _)) => entries(inner, body),
            Some(Entry::Whole(_)) => 1,
            None => 0,
        };
    }
    count
}

/// Counts the items that an entry is: a metric's data points, else one.
fn items(message: &Message, bytes: &[u8]) -> usize {
    if !message.groups {
        return 1;
    }
    let mut count = 0;
    let mut fields = Fields(bytes);
    while let Some((number, value)) = fields.field() {
        count += match (message.field(number).form, value) {
            (Form::Message(inner), Value::Slice(body)) if inner.groups => items(inner, body),
            (Form::Items(_), _) => 1,
            _ => 0,
        };
    }
    count
}
