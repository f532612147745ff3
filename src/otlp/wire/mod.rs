//! Protobuf bytes that are known to decode, and are as encoders write them.
//!
//! [`check`] walks an export request without decoding it and refuses everything that the decoder of
//! `opentelemetry-proto` would refuse, but for texts: bytes that pass it can be joined, stored, edited and
//! forwarded as they are, and one sender's garbage never costs another sender's spans. It does not look at what
//! values mean, except that it counts items and those whose ids no backend would take. What is good but not
//! regular, and texts that are not UTF-8, [`repair`](Found::repaired) makes anew, once: whoever reads the bytes
//! later needs neither errors nor a decoder.
//!
//! Beside it: [`fields`] reads single fields, [`view`] whole items, [`edit`] changes any place, [`split`] cuts,
//! [`compose`] writes spans.

pub mod fields;
pub mod compose;
mod plain;
pub mod view;
pub mod edit;
pub mod split;
mod regular;
pub mod usable;
#[cfg(test)]
mod tests;

use bytes::Bytes;

use self::fields::wire_type;
use self::regular::REPLACEMENT;
use self::usable::Usable;
use super::ids;
use super::request::{MAX_DEPTH, Request};
use super::schema::{Form, Id, Message};

pub use self::plain::write_plain;

/// Bytes of an export request that a decoder will accept, and that are regular: each singular field of a message
/// is there once at most, the values of a repeated one stand in a row, numbers are packed, texts are UTF-8.
#[derive(Clone, Debug)]
pub struct Checked {
    request: Request,
    bytes: Bytes,
    items: usize,
    bad: usize,
    /// In how many places bad ones stand, side by side in each.
    bad_places: usize,
}

/// Bytes of an export request that passed [`check`], and what was found in them.
#[derive(Clone, Debug)]
pub struct Found {
    checked: Checked,
    decoded: usize,
    repair: Repair,
}

/// Holds what a repair has to do, and what it takes.
#[derive(Clone, Copy, Debug, Default)]
struct Repair {
    /// Fields that stand where encoders write none.
    again: usize,
    /// Of these, messages with something in them, whose parts are remembered until they are written as one.
    parts: usize,
    /// Texts that are not UTF-8.
    broken: usize,
    /// The most that the bytes grow by: U+FFFD stands for what cannot be read, numbers are packed, and lengths of
    /// what grows may take more bytes.
    growth: usize,
}

/// Says why bytes are not the export request they were said to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why} at byte {at}")]
pub struct Malformed {
    /// Holds what is wrong.
    pub why: Why,
    /// Says where it was seen: an offset into the request.
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
    /// Messages nested deeper than decoders go.
    #[error("messages are nested too deeply")]
    Depth,
}

impl Checked {
    /// Says which request it is.
    pub fn request(&self) -> Request {
        self.request
    }

    /// Spans, data points or log records in it.
    pub fn items(&self) -> usize {
        self.items
    }

    /// Says how many of them have ids that [`ids`] refuses: reject these, a backend would reject the whole request.
    pub fn bad(&self) -> usize {
        self.bad
    }

    /// The most bytes that [`without_bad`](Self::without_bad) will allocate.
    pub fn removal_size(&self) -> usize {
        if self.bad == 0 { 0 } else { edit::removal_size(self.bytes.len(), self.bad_places) }
    }

    /// Removes the items with bad ids, and scopes and resources that have no others.
    pub fn without_bad(self) -> Checked {
        if self.bad == 0 {
            return self;
        }
        let edited = edit::edit(self.request, &self.bytes, &mut Usable);
        let bytes = edited.bytes.unwrap_or(self.bytes);
        Checked { bytes, items: self.items - edited.dropped, bad: 0, bad_places: 0, ..self }
    }

    /// Says how many bytes there are.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Says whether there are none.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The bytes.
    pub fn into_bytes(self) -> Bytes {
        self.bytes
    }
}

impl Found {
    /// About what the decoded messages would take in memory beside their texts, in bytes.
    pub fn decoded_size(&self) -> usize {
        self.decoded
    }

    /// Says how many texts are not UTF-8, as protobuf wants them ("Scalar Value Types").
    pub fn broken(&self) -> usize {
        self.repair.broken
    }

    /// The most bytes that [`repaired`](Self::repaired) will allocate: most requests are regular, and need none.
    pub fn repair_size(&self) -> usize {
        match self.needs_repair() {
            true => {
                let Repair { parts, growth, .. } = self.repair;
                // Messages that merge stand in one another twice at most: a log's body, and the list in it.
                let remembered = parts.saturating_mul(2 * size_of::<&[u8]>());
                regular::most(self.checked.bytes.len(), growth).saturating_add(remembered)
            }
            false => 0,
        }
    }

    /// Makes the bytes regular and the texts UTF-8; what decodes from them is what decoded before. What is made is
    /// checked again: an error would be a fault of the repair, and its sender must hear of it.
    pub fn repaired(self) -> Result<Checked, Malformed> {
        if !self.needs_repair() {
            return Ok(self.checked);
        }
        let Checked { request, bytes, .. } = self.checked;
        let found = check(request, regular::write(request, &bytes, self.repair.growth).into())?;
        debug_assert!(!found.needs_repair());
        Ok(found.checked)
    }

    fn needs_repair(&self) -> bool {
        self.repair.again > 0 || self.repair.broken > 0
    }
}

/// Checks that `bytes` decode as `request`, texts apart. Allocates nothing.
pub fn check(request: Request, bytes: Bytes) -> Result<Found, Malformed> {
    let mut walk = Walk {
        buf: &bytes,
        items: 0,
        bad: 0,
        bad_places: 0,
        last_bad: 0,
        decoded: 0,
        item: Item::default(),
        repair: Repair::default(),
        malformed: None,
    };
    let end = walk.message(Message::of(request), 0, bytes.len(), MAX_DEPTH);
    let Walk { items, bad, bad_places, decoded, repair, malformed, .. } = walk;
    match (end, malformed) {
        (Ok(_), None) => {
            let checked = Checked { request, bytes, items, bad, bad_places };
            Ok(Found { checked, decoded, repair })
        }
        (_, malformed) => Err(malformed.unwrap_or(Malformed { why: Why::Truncated, at: 0 })),
    }
}

/// Holds what was seen of the ids of the item at hand.
#[derive(Clone, Copy, Default)]
struct Item {
    trace: bool,
    span: bool,
    spoiled: bool,
}

/// A walk over one request. Items do not nest, so one [`Item`] is enough.
///
/// Positions are passed and returned by value, and an error is kept here instead of in every result:
/// both stay in registers then, which is half of the time of a check.
struct Walk<'a> {
    buf: &'a [u8],
    items: usize,
    bad: usize,
    bad_places: usize,
    /// Says where the last bad one ended.
    last_bad: usize,
    decoded: usize,
    item: Item,
    repair: Repair,
    malformed: Option<Malformed>,
}

/// The walk is over; why stands in [`Walk::malformed`].
struct Refused;

/// Says where the walk stands after a step.
type Step = Result<usize, Refused>;

impl<'a> Walk<'a> {
    /// One message from `pos` to `end`, with `depth` more levels allowed below it.
    fn message(&mut self, message: &Message, mut pos: usize, end: usize, depth: u32) -> Step {
        self.decoded += message.size;
        let before = (self.items, self.bad);
        let (mut seen, mut last, mut choice) = (0, 0, 0);
        while pos < end {
            let key;
            (key, pos) = self.varint(pos, end)?;
            let (number, wire) = self.field(key, pos)?;
            let field = message.field(number);
            // A list goes on, everything else is there once.
            let again = seen & field.bit != 0 && !(field.list && last == number);
            self.repair.again += usize::from(again);
            seen |= field.bit;
            last = number;
            pos = match field.form {
                Form::Text | Form::Texts => self.text(wire, pos, end)?,
                Form::Messages(inner) => self.nested(inner, wire, pos, end, depth)?,
                Form::Message(inner) => {
                    if field.bit == 1 && choice != number {
                        // Another member of the oneof takes the place of the one before, items and all.
                        (self.items, self.bad) = before;
                        choice = number;
                    }
                    let behind = self.nested(inner, wire, pos, end, depth)?;
                    // Its length is one byte at least.
                    self.repair.parts += usize::from(again && behind > pos + 1);
                    behind
                }
                Form::Bool | Form::U32 | Form::I32 | Form::S32 | Form::I64 | Form::Enum(_) => {
                    self.varint_field(wire, pos, end)?
                }
                Form::Fixed64 | Form::Sfixed64 | Form::Double => {
                    self.fixed64_field(wire, pos, end)?
                }
                Form::Fixed32 => {
                    self.expect(wire, wire_type::FIXED32, pos)?;
                    self.advance(4, pos, end)?
                }
                Form::Id(id) => self.id(id, wire, pos, end)?,
                Form::Bytes => self.slice(wire, pos, end)?.1,
                Form::Items(inner) => self.item(inner, wire, pos, end, depth)?,
                Form::Varints => {
                    self.repeated(wire, pos, end, wire_type::VARINT, Walk::varint_field)?
                }
                Form::Fixed64s | Form::Doubles => {
                    self.repeated(wire, pos, end, wire_type::FIXED64, Walk::fixed64_field)?
                }
                Form::Unknown => self.skip(number, wire, pos, end, depth)?,
            };
        }
        Ok(pos)
    }

    fn nested(&mut self, s: &Message, wire: u32, pos: usize, end: usize, depth: u32) -> Step {
        self.expect(wire, wire_type::LENGTH, pos)?;
        if depth == 0 {
            return self.refuse(Why::Depth, pos);
        }
        let (len, pos) = self.length(pos, end)?;
        let before = self.repair.growth;
        let behind = self.message(s, pos, pos + len, depth - 1)?;
        if self.repair.growth > before {
            self.lengthen(len, before);
        }
        Ok(behind)
    }

    /// Takes note that the length of what grew may take more bytes.
    #[cold]
    fn lengthen(&mut self, len: usize, before: usize) {
        let takes = |len: usize| prost::encoding::encoded_len_varint(len as u64);
        let grown = len + (self.repair.growth - before);
        self.repair.growth += takes(grown) - takes(len);
    }

    fn item(&mut self, s: &Message, wire: u32, pos: usize, end: usize, depth: u32) -> Step {
        self.item = Item { trace: !s.identified, span: !s.identified, spoiled: false };
        let begin = pos;
        let pos = self.nested(s, wire, pos, end, depth)?;
        self.items += 1;
        let Item { trace, span, spoiled } = self.item;
        if spoiled || !trace || !span {
            self.bad += 1;
            // Its key has one byte.
            self.bad_places += usize::from(begin != self.last_bad + 1);
            self.last_bad = pos;
        }
        Ok(pos)
    }

    fn id(&mut self, of: Id, wire: u32, pos: usize, end: usize) -> Step {
        let (id, pos) = self.slice(wire, pos, end)?;
        let Id { len, own } = of;
        match len {
            _ if !own => {}
            ids::TRACE_ID => self.item.trace = ids::given(id, len),
            _ => self.item.span = ids::given(id, len),
        }
        // Written twice, the last one counts, but a strict backend trips over any of them.
        self.item.spoiled |= !ids::absent_or(id, len);
        Ok(pos)
    }

    fn text(&mut self, wire: u32, pos: usize, end: usize) -> Step {
        let (text, pos) = self.slice(wire, pos, end)?;
        if !text.is_ascii() && std::str::from_utf8(text).is_err() {
            self.broken(text);
        }
        Ok(pos)
    }

    #[cold]
    fn broken(&mut self, text: &[u8]) {
        self.repair.broken += 1;
        let before = self.repair.growth;
        let broken = text.utf8_chunks().filter(|chunk| !chunk.invalid().is_empty());
        let growth = |invalid: &[u8]| REPLACEMENT.len() - invalid.len().min(REPLACEMENT.len());
        self.repair.growth += broken.map(|chunk| growth(chunk.invalid())).sum::<usize>();
        self.lengthen(text.len(), before);
    }

    fn varint_field(&mut self, wire: u32, pos: usize, end: usize) -> Step {
        self.expect(wire, wire_type::VARINT, pos)?;
        self.varint(pos, end).map(|(_, pos)| pos)
    }

    fn fixed64_field(&mut self, wire: u32, pos: usize, end: usize) -> Step {
        self.expect(wire, wire_type::FIXED64, pos)?;
        self.advance(8, pos, end)
    }

    /// A repeated number: packed, or one of them with the wire type `single`. Decoders take both, encoders pack.
    fn repeated(
        &mut self,
        wire: u32,
        pos: usize,
        end: usize,
        single: u32,
        one: impl Fn(&mut Self, u32, usize, usize) -> Step,
    ) -> Step {
        if wire != wire_type::LENGTH {
            self.repair.again += 1;
            // One alone gets a length.
            self.repair.growth += 1;
            return one(self, wire, pos, end);
        }
        let (len, mut pos) = self.length(pos, end)?;
        let end = pos + len;
        while pos < end {
            pos = one(self, single, pos, end)?;
        }
        Ok(pos)
    }

    /// A field that the schema does not have. The depth counts here too, as it does in prost.
    fn skip(&mut self, number: u32, wire: u32, pos: usize, end: usize, depth: u32) -> Step {
        if depth == 0 {
            return self.refuse(Why::Depth, pos);
        }
        match wire {
            wire_type::VARINT => self.varint_field(wire, pos, end),
            wire_type::FIXED64 => self.advance(8, pos, end),
            wire_type::LENGTH => self.slice(wire, pos, end).map(|(_, pos)| pos),
            wire_type::FIXED32 => self.advance(4, pos, end),
            wire_type::START_GROUP => self.group(number, pos, end, depth - 1),
            _ => self.refuse(Why::Group, pos),
        }
    }

    fn group(&mut self, number: u32, mut pos: usize, end: usize, depth: u32) -> Step {
        loop {
            let key;
            (key, pos) = self.varint(pos, end)?;
            let (inner, wire) = self.field(key, pos)?;
            if wire != wire_type::END_GROUP {
                pos = self.skip(inner, wire, pos, end, depth)?;
            } else if inner == number {
                return Ok(pos);
            } else {
                return self.refuse(Why::Group, pos);
            }
        }
    }

    /// Field number and wire type of a key.
    #[inline(always)]
    fn field(&mut self, key: u64, pos: usize) -> Result<(u32, u32), Refused> {
        match u32::try_from(key) {
            Ok(key) if key >= 8 && key & 7 <= wire_type::FIXED32 => Ok((key >> 3, key & 7)),
            _ => self.refuse(Why::Key, pos),
        }
    }

    #[inline(always)]
    fn slice(&mut self, wire: u32, pos: usize, end: usize) -> Result<(&'a [u8], usize), Refused> {
        self.expect(wire, wire_type::LENGTH, pos)?;
        let (len, pos) = self.length(pos, end)?;
        Ok((&self.buf[pos..pos + len], pos + len))
    }

    /// A length that fits before `end`.
    #[inline(always)]
    fn length(&mut self, pos: usize, end: usize) -> Result<(usize, usize), Refused> {
        let (len, pos) = self.varint(pos, end)?;
        match usize::try_from(len) {
            Ok(len) if len <= end - pos => Ok((len, pos)),
            _ => self.refuse(Why::Truncated, pos),
        }
    }

    #[inline(always)]
    fn advance(&mut self, len: usize, pos: usize, end: usize) -> Step {
        if len <= end - pos { Ok(pos + len) } else { self.refuse(Why::Truncated, pos) }
    }

    #[inline(always)]
    fn varint(&mut self, pos: usize, end: usize) -> Result<(u64, usize), Refused> {
        match self.buf[..end].get(pos) {
            Some(b) if *b < 0x80 => Ok((u64::from(*b), pos + 1)),
            _ => self.long_varint(pos, end),
        }
    }

    /// Nine bytes of seven bits and a tenth that may hold the 64th bit.
    #[inline(never)]
    fn long_varint(&mut self, pos: usize, end: usize) -> Result<(u64, usize), Refused> {
        let mut value = 0;
        for (i, b) in self.buf[pos..end].iter().take(10).enumerate() {
            value |= u64::from(b & 0x7f) << (7 * i);
            if *b < 0x80 {
                if i == 9 && *b > 1 {
                    break;
                }
                return Ok((value, pos + i + 1));
            }
        }
        let why = if end - pos < 10 { Why::Truncated } else { Why::Varint };
        self.refuse(why, pos)
    }

    #[inline(always)]
    fn expect(&mut self, wire: u32, want: u32, pos: usize) -> Result<(), Refused> {
        if wire == want { Ok(()) } else { self.refuse(Why::WireType, pos) }
    }

    #[cold]
    fn refuse<T>(&mut self, why: Why, at: usize) -> Result<T, Refused> {
        self.malformed = Some(Malformed { why, at });
        Err(Refused)
    }
}
