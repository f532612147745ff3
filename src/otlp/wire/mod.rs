//! Protobuf bytes that are known to decode.
//!
//! [`check`] walks an export request without decoding it and refuses everything that the decoder of
//! `opentelemetry-proto` would refuse: bytes that pass it can be joined, stored and forwarded as they
//! are, and one sender's garbage never costs another sender's spans. It allocates nothing. It does not
//! look at what values mean, except that it counts items and those whose ids no backend would take.

mod schema;
#[cfg(test)]
mod tests;

use bytes::Bytes;

use self::schema::{Duty, Kind, Schema};
use super::ids;

/// How deep messages may nest below the request: prost's limit, which cannot be changed there.
const MAX_DEPTH: u32 = 100;

/// Which export request some bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Request {
    /// `ExportTraceServiceRequest`
    Traces,
    /// `ExportMetricsServiceRequest`
    Metrics,
    /// `ExportLogsServiceRequest`
    Logs,
}

/// Bytes of an export request that a decoder will accept. Only [`check`] makes one.
#[derive(Clone, Debug)]
pub struct Checked {
    request: Request,
    bytes: Bytes,
    items: usize,
    bad: usize,
}

/// Why bytes are not the export request they were said to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why} at byte {at}")]
pub struct Malformed {
    /// What is wrong.
    pub why: Why,
    /// Where it was seen: an offset into the request.
    pub at: usize,
}

/// The ways protobuf can be malformed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    /// A value reaches past the end of its message.
    #[error("protobuf ends inside a value")]
    Truncated,
    /// A varint of more than 64 bits.
    #[error("a varint is too long")]
    Varint,
    /// Field number 0 or a key of more than 32 bits, or a wire type that does not exist.
    #[error("not a protobuf field")]
    Key,
    /// A known field with another wire type than the schema gives it.
    #[error("a field has the wrong wire type")]
    WireType,
    /// A group that is not closed by its own end.
    #[error("a group is not closed")]
    Group,
    /// A string that is not UTF-8 (protobuf, "Scalar Value Types").
    #[error("a string is not UTF-8")]
    Utf8,
    /// Messages nested deeper than decoders go.
    #[error("messages are nested too deeply")]
    Depth,
}

impl Checked {
    /// Which request it is.
    pub fn request(&self) -> Request {
        self.request
    }

    /// Spans, data points or log records in it.
    pub fn items(&self) -> usize {
        self.items
    }

    /// How many of them have ids that [`ids`] refuses: reject these, a backend would reject the whole
    /// request. Never fewer than the decoded messages have, more only where a message gives an id twice.
    pub fn bad(&self) -> usize {
        self.bad
    }

    /// The bytes.
    pub fn into_bytes(self) -> Bytes {
        self.bytes
    }
}

/// Checks that `bytes` decode as `request`.
pub fn check(request: Request, bytes: Bytes) -> Result<Checked, Malformed> {
    let schema = match request {
        Request::Traces => &schema::TRACES,
        Request::Metrics => &schema::METRICS,
        Request::Logs => &schema::LOGS,
    };
    let mut walk = Walk { buf: &bytes, pos: 0, items: 0, bad: 0, item: Item::default() };
    walk.message(schema, bytes.len(), MAX_DEPTH)?;
    let (items, bad) = (walk.items, walk.bad);
    Ok(Checked { request, bytes, items, bad })
}

/// Wire types, as the low three bits of a key give them.
mod wire_type {
    pub(super) const VARINT: u32 = 0;
    pub(super) const FIXED64: u32 = 1;
    pub(super) const LENGTH: u32 = 2;
    pub(super) const START_GROUP: u32 = 3;
    pub(super) const END_GROUP: u32 = 4;
    pub(super) const FIXED32: u32 = 5;
}

/// What was seen of the ids of the item at hand.
#[derive(Clone, Copy, Default)]
struct Item {
    trace: bool,
    span: bool,
    spoiled: bool,
}

/// A walk over one request. Items do not nest, so one [`Item`] is enough.
struct Walk<'a> {
    buf: &'a [u8],
    pos: usize,
    items: usize,
    bad: usize,
    item: Item,
}

impl<'a> Walk<'a> {
    /// One message that ends at `end`, with `depth` more levels allowed below it.
    fn message(&mut self, schema: &Schema, end: usize, depth: u32) -> Result<(), Malformed> {
        let before = (self.items, self.bad);
        let mut member = 0;
        while self.pos < end {
            let (number, wire) = self.key(end)?;
            match schema.field(number) {
                Kind::Text => self.text(wire, end)?,
                Kind::Message(inner) => self.nested(inner, wire, end, depth)?,
                Kind::Varint => self.varint_field(wire, end)?,
                Kind::Fixed64 => self.fixed(wire, wire_type::FIXED64, 8, end)?,
                Kind::Fixed32 => self.fixed(wire, wire_type::FIXED32, 4, end)?,
                Kind::Id { len, duty } => self.id(len, duty, wire, end)?,
                Kind::Bytes => drop(self.slice(wire, end)?),
                Kind::Item(inner) => self.item(inner, wire, end, depth)?,
                Kind::Data(inner) => {
                    if member != number {
                        // Another member of the oneof takes the place of the one before, items and all.
                        (self.items, self.bad) = before;
                        member = number;
                    }
                    self.nested(inner, wire, end, depth)?;
                }
                Kind::Varints => self.repeated(wire, end, Walk::varint_field, wire_type::VARINT)?,
                Kind::Fixed64s => {
                    let one = |walk: &mut Self, wire, end| walk.fixed(wire, 1, 8, end);
                    self.repeated(wire, end, one, wire_type::FIXED64)?;
                }
                Kind::Unknown => self.skip(number, wire, end, depth)?,
            }
        }
        Ok(())
    }

    fn nested(
        &mut self,
        schema: &Schema,
        wire: u32,
        end: usize,
        depth: u32,
    ) -> Result<(), Malformed> {
        self.expect(wire, wire_type::LENGTH)?;
        if depth == 0 {
            return Err(self.malformed(Why::Depth));
        }
        let len = self.length(end)?;
        self.message(schema, self.pos + len, depth - 1)
    }

    fn item(&mut self, s: &Schema, wire: u32, end: usize, depth: u32) -> Result<(), Malformed> {
        self.item = Item { trace: !s.identified, span: !s.identified, spoiled: false };
        self.nested(s, wire, end, depth)?;
        self.items += 1;
        let Item { trace, span, spoiled } = self.item;
        self.bad += usize::from(spoiled || !trace || !span);
        Ok(())
    }

    fn id(&mut self, len: usize, duty: Duty, wire: u32, end: usize) -> Result<(), Malformed> {
        let id = self.slice(wire, end)?;
        match duty {
            Duty::OwnTrace => self.item.trace = ids::given(id, len),
            Duty::OwnSpan => self.item.span = ids::given(id, len),
            Duty::Optional => {}
        }
        // Written twice, the last one counts, but a strict backend trips over any of them.
        self.item.spoiled |= !ids::absent_or(id, len);
        Ok(())
    }

    fn text(&mut self, wire: u32, end: usize) -> Result<(), Malformed> {
        let text = self.slice(wire, end)?;
        match std::str::from_utf8(text) {
            Ok(_) => Ok(()),
            Err(e) => {
                Err(Malformed { why: Why::Utf8, at: self.pos - text.len() + e.valid_up_to() })
            }
        }
    }

    fn varint_field(&mut self, wire: u32, end: usize) -> Result<(), Malformed> {
        self.expect(wire, wire_type::VARINT)?;
        self.varint(end).map(drop)
    }

    fn fixed(&mut self, wire: u32, want: u32, len: usize, end: usize) -> Result<(), Malformed> {
        self.expect(wire, want)?;
        self.advance(len as u64, end)
    }

    /// A repeated number: packed, or one of them with the wire type `single`. Decoders take both.
    fn repeated(
        &mut self,
        wire: u32,
        end: usize,
        one: impl Fn(&mut Self, u32, usize) -> Result<(), Malformed>,
        single: u32,
    ) -> Result<(), Malformed> {
        if wire != wire_type::LENGTH {
            return one(self, wire, end);
        }
        let len = self.length(end)?;
        let end = self.pos + len;
        while self.pos < end {
            one(self, single, end)?;
        }
        Ok(())
    }

    /// A field that the schema does not have. The depth counts here too, as it does in prost.
    fn skip(&mut self, number: u32, wire: u32, end: usize, depth: u32) -> Result<(), Malformed> {
        if depth == 0 {
            return Err(self.malformed(Why::Depth));
        }
        match wire {
            wire_type::VARINT => self.varint(end).map(drop),
            wire_type::FIXED64 => self.advance(8, end),
            wire_type::LENGTH => self.slice(wire, end).map(drop),
            wire_type::FIXED32 => self.advance(4, end),
            wire_type::START_GROUP => loop {
                let (inner, wire) = self.key(end)?;
                if wire != wire_type::END_GROUP {
                    self.skip(inner, wire, end, depth - 1)?;
                } else if inner == number {
                    return Ok(());
                } else {
                    return Err(self.malformed(Why::Group));
                }
            },
            _ => Err(self.malformed(Why::Group)),
        }
    }

    fn key(&mut self, end: usize) -> Result<(u32, u32), Malformed> {
        let key = self.varint(end)?;
        match u32::try_from(key) {
            Ok(key) if key >= 8 && key & 7 <= wire_type::FIXED32 => Ok((key >> 3, key & 7)),
            _ => Err(self.malformed(Why::Key)),
        }
    }

    fn slice(&mut self, wire: u32, end: usize) -> Result<&'a [u8], Malformed> {
        self.expect(wire, wire_type::LENGTH)?;
        let len = self.length(end)?;
        let start = self.pos;
        self.pos += len;
        Ok(&self.buf[start..self.pos])
    }

    /// A length that fits before `end`.
    fn length(&mut self, end: usize) -> Result<usize, Malformed> {
        let len = self.varint(end)?;
        match usize::try_from(len) {
            Ok(len) if len <= end - self.pos => Ok(len),
            _ => Err(self.malformed(Why::Truncated)),
        }
    }

    fn advance(&mut self, len: u64, end: usize) -> Result<(), Malformed> {
        if len > (end - self.pos) as u64 {
            return Err(self.malformed(Why::Truncated));
        }
        self.pos += len as usize;
        Ok(())
    }

    #[inline(always)]
    fn varint(&mut self, end: usize) -> Result<u64, Malformed> {
        match self.buf[..end].get(self.pos) {
            Some(b) if *b < 0x80 => {
                self.pos += 1;
                Ok(u64::from(*b))
            }
            _ => self.long_varint(end),
        }
    }

    /// Nine bytes of seven bits and a tenth that may hold the 64th bit.
    fn long_varint(&mut self, end: usize) -> Result<u64, Malformed> {
        let mut value = 0;
        for (i, b) in self.buf[self.pos..end].iter().take(10).enumerate() {
            value |= u64::from(b & 0x7f) << (7 * i);
            if *b < 0x80 {
                if i == 9 && *b > 1 {
                    break;
                }
                self.pos += i + 1;
                return Ok(value);
            }
        }
        let why = if end - self.pos < 10 { Why::Truncated } else { Why::Varint };
        Err(self.malformed(why))
    }

    fn expect(&self, wire: u32, want: u32) -> Result<(), Malformed> {
        if wire == want { Ok(()) } else { Err(self.malformed(Why::WireType)) }
    }

    #[cold]
    fn malformed(&self, why: Why) -> Malformed {
        Malformed { why, at: self.pos }
    }
}
