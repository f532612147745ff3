//! A look into one JSON-RPC message: one pass, no tree, nothing copied.
//!
//! What spans and pairing need is found wherever it stands (`result` before `id` included); the rest
//! is skipped. A value of another kind than the protocol says counts as absent, an unknown member as
//! normal, and strings that no client reads are noted. Of duplicate members the last wins, as in the parsers
//! of both official SDKs. A message that was not observed whole gives what its head and its tail tell for
//! certain.

mod params;
mod result;
mod tail;

use crate::json::{Error, ErrorKind, Kind, MAX_DEPTH, Reader, Result, Text, is_flawed};

pub use params::{Info, Meta, Params};
pub use result::{Answer, Failure};
pub(super) use result::{first_text, names_in};

/// Holds what one JSON-RPC message tells, borrowed from it.
#[derive(Clone, Debug, Default)]
pub struct Message<'a> {
    /// `jsonrpc`
    pub jsonrpc: Option<Text<'a>>,
    /// `id`
    pub id: RawId<'a>,
    /// `method`
    pub method: Option<Text<'a>>,
    /// `params`, all absent if there are none.
    pub params: Params<'a>,
    /// `result`, of any kind.
    pub result: Option<Answer<'a>>,
    /// `error`, unless it is null.
    pub error: Option<Failure<'a>>,
    /// Spans that an answer hands back in a `_meta` of its own, beside `result` or `error`.
    traces: Part<'a>,
    /// A string in it is such that no client reads the message.
    pub(in crate::mcp) flawed: bool,
    /// The member whose value the head of a cut message ends in.
    open: Open,
}

/// An id or token as it stands in the message.
#[derive(Clone, Copy, Debug, Default)]
pub enum RawId<'a> {
    /// Not there.
    #[default]
    Absent,
    /// `null`
    Null,
    /// A number, as written.
    Number(&'a str),
    /// A string.
    Text(Text<'a>),
    /// Something that is no id.
    Odd,
}

/// A raw JSON value that may lie partly outside of what was observed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Part<'a> {
    /// Not there.
    #[default]
    Absent,
    /// There, but not whole.
    Cut,
    /// The JSON text.
    Whole(&'a [u8]),
}

/// Names what a message is, told by its shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// `method` and `id`.
    Request,
    /// `method` alone.
    Notification,
    /// `result` or `error`.
    Answer,
    /// No JSON-RPC.
    Other,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Open {
    #[default]
    Nothing,
    Params,
    Result,
    Other,
}

impl<'a> Message<'a> {
    /// The message at the start of `text`, and how many bytes it takes. Fails where `text` does not
    /// start with a JSON object, or with one nested deeper than [`MAX_DEPTH`].
    pub fn peek(text: &'a [u8]) -> Result<(Self, usize)> {
        let mut message = Message::default();
        let used = message.read_first(text)?;
        Ok((message, used))
    }

    /// The same into an empty one.
    pub(in crate::mcp) fn read_first(&mut self, text: &'a [u8]) -> Result<usize> {
        let mut reader = Reader::of_messages(text, MAX_DEPTH);
        if reader.peek()?.0 != Kind::Object {
            return Err(Error { kind: ErrorKind::WrongKind, at: reader.offset() });
        }
        self.read(text, &mut reader)?;
        self.flawed = reader.is_flawed();
        Ok(reader.offset())
    }

    /// Gives what can be told of a message of which only the beginning and the end were observed. What may have stood
    /// between them is [`hidden`](Answer::hidden).
    pub fn peek_cut(head: &'a [u8], tail: &'a [u8]) -> Self {
        // A number at the very end of the head may go on: better not seen than seen wrong.
        let digits = head.iter().rev().take_while(|b| tail::in_number(**b)).count();
        let head = &head[..head.len() - digits];
        let (mut message, mut reader) = (Message::default(), Reader::of_messages(head, MAX_DEPTH));
        // It must fail, for the head is no whole message; what was read so far stays.
        let read = message.read(head, &mut reader);
        message.flawed = reader.is_flawed();
        if read.is_err() {
            message.hide(true);
            message.read_tail(tail);
        }
        message
    }

    /// Says whether members of the result that is open may be out of sight.
    pub(in crate::mcp) fn hide(&mut self, hidden: bool) {
        if let (Open::Result, Some(answer)) = (self.open, &mut self.result) {
            answer.hidden = hidden;
        }
    }

    /// Gives what the message is.
    pub fn shape(&self) -> Shape {
        match (self.method.is_some(), &self.id) {
            (true, RawId::Number(_) | RawId::Text(_)) => Shape::Request,
            (true, RawId::Absent) => Shape::Notification,
            (true, _) => Shape::Other,
            (false, _) if self.result.is_some() || self.error.is_some() => Shape::Answer,
            (false, _) => Shape::Other,
        }
    }

    /// The spans that an answer hands back (SEP-2448), wherever it has them: the object `traces` as on
    /// the wire.
    pub fn traces(&self) -> Part<'a> {
        let result = self.result.as_ref().map(|result| result.meta.traces);
        let error = self.error.as_ref().map(|error| error.traces);
        let mut places = [result, error, Some(self.traces)].into_iter().flatten();
        places.find(|part| *part != Part::Absent).unwrap_or_default()
    }

    fn read(&mut self, buf: &'a [u8], reader: &mut Reader<'a>) -> Result<()> {
        members(reader, |key, reader| self.member(key, buf, reader))
    }

    fn member(&mut self, key: &[u8], buf: &'a [u8], reader: &mut Reader<'a>) -> Result<()> {
        match key {
            b"jsonrpc" => self.jsonrpc = text(reader)?,
            b"id" => self.id = id(reader)?,
            b"method" => self.method = text(reader)?,
            b"params" => {
                self.open = Open::Params;
                self.params = Params::default();
                let params = &mut self.params;
                members(reader, |key, reader| params.member(key, buf, reader))?;
            }
            b"result" => {
                self.open = Open::Result;
                let start = reader.peek()?.1;
                let answer = self.result.insert(Answer { raw: Part::Cut, ..Answer::default() });
                members(reader, |key, reader| answer.member(key, buf, reader))?;
                answer.raw = Part::Whole(&buf[start..reader.offset()]);
            }
            b"error" => {
                self.open = Open::Other;
                Failure::read(&mut self.error, buf, reader)?;
            }
            b"_meta" => {
                self.open = Open::Other;
                let mut meta = Meta::default();
                let read = meta.read(buf, reader);
                self.traces = meta.traces;
                read?;
            }
            _ => {
                self.open = Open::Other;
                reader.skip()?;
            }
        }
        self.open = Open::Nothing;
        Ok(())
    }

    /// Reads the members that stand whole in the tail, from the last backwards: those of the message,
    /// then those of the `params` or `result` that the head was cut in. Where the key is out of sight,
    /// too, it may be another object, which must not say what is called.
    fn read_tail(&mut self, tail: &'a [u8]) {
        let open = self.open;
        let in_content = self.result.as_ref().is_some_and(|answer| answer.in_content);
        let Some(mut back) = tail::Back::new(tail) else { return };
        let (inner, keyed) = loop {
            match back.member() {
                Some((key, value)) if open.is(key) => break (tail::Back::new(value), true),
                Some((key, value)) => {
                    let read = |key: &[u8], reader: &mut _| self.member(key, value, reader);
                    self.flawed |= each_member(key, value, read);
                }
                None => break (back.into_last(), false),
            }
        };
        self.open = open;
        let Some(mut inner) = inner else { return };
        while let Some((key, value)) = inner.member() {
            self.flawed |= each_member(key, value, |key, reader| match (open, &mut self.result) {
                _ if !keyed && matches!(key, b"name" | b"uri") => Ok(()),
                (Open::Params, _) => self.params.member(key, value, reader),
                (Open::Result, Some(answer)) => answer.member(key, value, reader),
                _ => Ok(()),
            });
        }
        // A list that reaches out of sight is the `content` that the head was cut in, and nothing stands
        // between: no other member of a tool's result is a list where official servers write it last.
        self.hide(!(keyed || in_content && inner.follows(b']')));
    }
}

impl Open {
    /// Says whether it is the member of this key, a JSON string.
    fn is(self, key: &[u8]) -> bool {
        match self {
            Open::Params => key == b"\"params\"",
            Open::Result => key == b"\"result\"",
            Open::Nothing | Open::Other => false,
        }
    }
}

/// Reads one member out of a tail, and says whether it is flawed. What is malformed otherwise is as if absent.
fn each_member<'a>(
    key: &'a [u8],
    value: &'a [u8],
    read: impl FnOnce(&[u8], &mut Reader<'a>) -> Result<()>,
) -> bool {
    if let Ok(key) = Reader::new(key, 0).text().and_then(|key| key.decode()) {
        read(key.as_bytes(), &mut Reader::of_messages(value, MAX_DEPTH)).unwrap_or_default();
    }
    is_flawed(key) || is_flawed(value)
}

/// Walks the members of the next value if it is an object, else passes over it. `each` must read or
/// skip the value.
pub(super) fn members<'a>(
    reader: &mut Reader<'a>,
    mut each: impl FnMut(&[u8], &mut Reader<'a>) -> Result<()>,
) -> Result<()> {
    if reader.peek()?.0 != Kind::Object {
        return skip(reader);
    }
    reader.object()?;
    loop {
        let name;
        let key = match reader.plain_key() {
            Some(key) => key,
            None => {
                let Some(key) = reader.key()? else { return Ok(()) };
                if key.escaped() {
                    name = key.decode().unwrap_or_default();
                    name.as_bytes()
                } else {
                    key.raw()
                }
            }
        };
        each(key, reader)?;
    }
}

pub(super) fn skip(reader: &mut Reader<'_>) -> Result<()> {
    reader.skip().map(drop)
}

/// The next value if it is a string.
fn text<'a>(reader: &mut Reader<'a>) -> Result<Option<Text<'a>>> {
    if reader.peek()?.0 == Kind::String {
        return reader.text().map(Some);
    }
    reader.skip()?;
    Ok(None)
}

/// The next value if it is a finite number.
fn number(reader: &mut Reader<'_>) -> Result<Option<f64>> {
    if reader.peek()?.0 == Kind::Number {
        return Ok(reader.number()?.parse().ok().filter(|n: &f64| n.is_finite()));
    }
    reader.skip()?;
    Ok(None)
}

/// Says whether the next value is `true`.
fn truth(reader: &mut Reader<'_>) -> Result<bool> {
    Ok(flag(reader)? == Some(true))
}

/// The next value if it is a boolean.
fn flag(reader: &mut Reader<'_>) -> Result<Option<bool>> {
    if reader.peek()?.0 == Kind::Bool {
        return reader.bool().map(Some);
    }
    reader.skip()?;
    Ok(None)
}

fn id<'a>(reader: &mut Reader<'a>) -> Result<RawId<'a>> {
    Ok(match reader.peek()?.0 {
        Kind::Number => {
            let number = reader.number()?;
            // No peer takes a word for an id.
            let digits = number.as_bytes().last().is_some_and(u8::is_ascii_digit);
            if digits { RawId::Number(number) } else { RawId::Odd }
        }
        Kind::String => RawId::Text(reader.text()?),
        Kind::Null => {
            reader.null()?;
            RawId::Null
        }
        _ => {
            reader.skip()?;
            RawId::Odd
        }
    })
}

#[cfg(test)]
mod tests;
