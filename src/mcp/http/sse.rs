//! Server-sent events as the WHATWG text frames them: bytes in at any boundary, events out.
//!
//! Lines end in LF, CR or CR LF; a byte order mark may come first; several data lines are joined by
//! LF; an event without data is none, and neither is one that the end of the stream cuts off. The data
//! of an event that stands on one line inside one chunk is handed on where it stands; else it is
//! gathered, and of one that is too long only the head and the last bytes are. Nothing here knows what
//! the events mean, and `retry` is for others to obey.

use crate::mcp::partial::Cut;
use crate::mcp::partial::Partial;

/// The longest event id that is told, in bytes; SDKs use UUIDs. A longer one is as good as none.
const MAX_EVENT_ID: usize = 256;
/// The longest event name that is told whole, in bytes: MCP knows `message` and `endpoint`.
const MAX_EVENT_NAME: usize = 32;
/// The longest field name that means something, and a byte order mark before it, in bytes.
const MAX_FIELD_NAME: usize = 8;

const BOM: &[u8] = b"\xef\xbb\xbf";

/// One event that has data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event<'a> {
    /// `event`, cut to 32 bytes; empty means `message`.
    pub name: &'a [u8],
    /// `id`, if this event brought one.
    pub id: Option<&'a [u8]>,
    /// The data, or their head if they were cut.
    pub data: &'a [u8],
    /// Holds what is known of the rest of data that were too long.
    pub cut: Option<Cut<'a>>,
}

/// The framing state of one stream.
#[derive(Debug, Default)]
pub struct Sse {
    /// The last byte was a CR that ended a line: an LF right after it belongs to it.
    after_cr: bool,
    /// A line has ended, so that there can be no byte order mark any more.
    begun: bool,
    /// The line in progress, if it has begun: the field it belongs to.
    line: Option<Field>,
    /// The beginning of that line as long as its field is not known.
    field_name: Vec<u8>,
    /// A space right after the colon is not part of the value.
    after_colon: bool,

    data: Partial,
    /// Lines of data so far.
    data_lines: usize,
    name: Vec<u8>,
    id: Vec<u8>,
    has_ids: bool,
}

/// Names what a line says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    /// Not known yet.
    Unknown,
    Data,
    Event,
    Id,
    /// A comment, `retry`, or something to be ignored.
    Other,
}

impl Sse {
    /// Takes bytes in and hands every event that ends in them to `each`. `max` is the longest data
    /// that are handed on whole, in bytes.
    pub fn push(&mut self, chunk: &[u8], max: usize, mut each: impl FnMut(Event<'_>)) {
        let mut rest = chunk;
        // Data of the event in progress that stand on one line of this chunk.
        let mut whole: Option<&[u8]> = None;
        if self.after_cr && !rest.is_empty() {
            rest = rest.strip_prefix(b"\n").unwrap_or(rest);
            self.after_cr = false;
        }
        while let Some(end) = memchr::memchr2(b'\n', b'\r', rest) {
            let line = &rest[..end];
            let cr = rest[end] == b'\r';
            rest = &rest[end + 1..];
            if cr && rest.is_empty() {
                self.after_cr = true;
            } else if cr {
                rest = rest.strip_prefix(b"\n").unwrap_or(rest);
            }
            self.ended_line(line, &mut whole, max, &mut each);
        }
        self.gather(whole, max);
        self.open_line(rest, max);
    }

    /// The next `skipped` bytes were left out; they are of one line. Where its beginning was left out,
    /// too, it is taken for a line of data: no other is long.
    pub fn skip(&mut self, skipped: u64, max: usize) {
        if skipped == 0 {
            return;
        }
        if matches!(self.line, None | Some(Field::Unknown)) {
            self.begin_value(Field::Data, max);
        }
        if self.line == Some(Field::Data) {
            self.data.skip(skipped);
        }
        (self.after_cr, self.after_colon) = (false, false);
    }

    /// Says whether the stream has brought event ids, so that it can be resumed.
    pub fn has_ids(&self) -> bool {
        self.has_ids
    }

    /// Says whether nothing came yet.
    pub(super) fn is_empty(&self) -> bool {
        !self.begun && self.line.is_none()
    }

    /// Bytes that are kept of the event in progress.
    pub(super) fn held(&self) -> usize {
        self.data.held()
    }

    /// A line has ended: `rest` is what this chunk has of it.
    fn ended_line<'c>(
        &mut self,
        rest: &'c [u8],
        whole: &mut Option<&'c [u8]>,
        max: usize,
        each: &mut impl FnMut(Event<'_>),
    ) {
        if self.line.is_some() {
            self.open_line(rest, max);
            return self.end_line(max);
        }
        let line = if self.begun { rest } else { rest.strip_prefix(BOM).unwrap_or(rest) };
        self.begun = true;
        if line.is_empty() {
            return self.dispatch(whole.take(), each);
        }
        let colon = line.iter().take(MAX_FIELD_NAME + 1).position(|b| *b == b':');
        let (name, value) = line.split_at(colon.unwrap_or(line.len()));
        let value = value.strip_prefix(b":").unwrap_or(value);
        let value = value.strip_prefix(b" ").unwrap_or(value);
        let field = Field::of(name);
        if field == Field::Data {
            if self.data_lines == 0 && whole.is_none() && value.len() <= max {
                *whole = Some(value);
                return;
            }
            self.gather(whole.take(), max);
        }
        self.begin_value(field, max);
        self.add_value(value, max);
        self.end_line(max);
    }

    /// Bytes of a line that began before, or that goes on after them.
    fn open_line(&mut self, bytes: &[u8], max: usize) {
        let mut bytes = bytes;
        if bytes.is_empty() {
            return;
        }
        if *self.line.get_or_insert(Field::Unknown) == Field::Unknown {
            let room = (MAX_FIELD_NAME + 1).saturating_sub(self.field_name.len());
            let head = &bytes[..bytes.len().min(room)];
            let colon = head.iter().position(|b| *b == b':');
            let (name, rest) = bytes.split_at(colon.unwrap_or(head.len()));
            self.field_name.extend_from_slice(name);
            bytes = rest;
            if colon.is_some() {
                self.know_field(max);
                bytes = &rest[1..];
                self.after_colon = true;
            } else if self.field_name.len() > MAX_FIELD_NAME {
                self.know_field(max);
            } else {
                return;
            }
        }
        if self.after_colon && !bytes.is_empty() {
            bytes = bytes.strip_prefix(b" ").unwrap_or(bytes);
            self.after_colon = false;
        }
        self.add_value(bytes, max);
    }

    /// The name of the field that the line in progress belongs to is whole.
    fn know_field(&mut self, max: usize) {
        let mut name = self.field_name.as_slice();
        if !self.begun {
            name = name.strip_prefix(BOM).unwrap_or(name);
        }
        self.begin_value(Field::of(name), max);
    }

    fn begin_value(&mut self, field: Field, max: usize) {
        self.field_name.clear();
        self.line = Some(field);
        match field {
            Field::Data => {
                if self.data_lines > 0 {
                    self.data.push(b"\n", max);
                }
                self.data_lines += 1;
            }
            Field::Event => self.name.clear(),
            Field::Id => self.id.clear(),
            Field::Unknown | Field::Other => {}
        }
    }

    fn add_value(&mut self, bytes: &[u8], max: usize) {
        match self.line {
            Some(Field::Data) => self.data.push(bytes, max),
            Some(Field::Event) => extend(&mut self.name, bytes, MAX_EVENT_NAME),
            Some(Field::Id) => extend(&mut self.id, bytes, MAX_EVENT_ID + 1),
            None | Some(Field::Unknown | Field::Other) => {}
        }
    }

    fn end_line(&mut self, max: usize) {
        if self.line == Some(Field::Unknown) {
            self.know_field(max);
        }
        if self.line == Some(Field::Id) {
            if self.id.contains(&0) {
                self.id.clear();
            }
            self.has_ids |= !self.id.is_empty();
        }
        (self.line, self.begun, self.after_colon) = (None, true, false);
    }

    /// Begins to gather what was one whole line of data so far.
    fn gather(&mut self, line: Option<&[u8]>, max: usize) {
        if let Some(line) = line {
            self.begin_value(Field::Data, max);
            self.add_value(line, max);
            self.line = None;
        }
    }

    /// A blank line: the event is whole.
    fn dispatch(&mut self, whole: Option<&[u8]>, each: &mut impl FnMut(Event<'_>)) {
        let id = Some(self.id.as_slice()).filter(|id| (1..=MAX_EVENT_ID).contains(&id.len()));
        let data = whole.unwrap_or_else(|| self.data.text());
        let cut = self.data.cut();
        if !data.is_empty() || cut.is_some() {
            each(Event { name: &self.name, id, data, cut });
        }
        self.data.clear();
        self.name.clear();
        self.id.clear();
        self.data_lines = 0;
    }
}

impl Field {
    fn of(name: &[u8]) -> Self {
        match name {
            b"data" => Field::Data,
            b"event" => Field::Event,
            b"id" => Field::Id,
            _ => Field::Other,
        }
    }
}

/// Appends as much as there is room for.
fn extend(to: &mut Vec<u8>, bytes: &[u8], max: usize) {
    let room = max.saturating_sub(to.len());
    to.extend_from_slice(&bytes[..bytes.len().min(room)]);
}

#[cfg(test)]
mod tests;
