//! The pull reader: the caller asks for what it expects, in order, and skips the rest.

use std::borrow::Cow;
use std::ops::Range;

use super::nest::Nest;
use super::scan::{self, BLOCK, STEP};
use super::strings::{Strings, is_flawed};
use super::text::{Shape, Text, has_controls};
use super::{Error, ErrorKind, MAX_DEPTH, Result};

/// Says how far a string is looked at before it is searched, in bytes.
const SHORT: usize = 64;

/// The kind of the next value, told by its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `{`
    Object,
    /// `[`
    Array,
    /// `"`
    String,
    /// `-` or a digit
    Number,
    /// `true` or `false`
    Bool,
    /// `null`
    Null,
}

/// A cursor over one JSON text.
///
/// ```
/// # use mcpcol::json::Reader;
/// let mut r = Reader::new(br#"{"id":7,"params":{"deep":[1,2]}}"#, 16);
/// r.object()?;
/// while let Some(key) = r.key()? {
///     if key.is("id") {
///         assert_eq!(r.number()?, "7");
///     } else {
///         assert_eq!(r.skip()?, 17..31);
///     }
/// }
/// r.end()?;
/// # Ok::<(), mcpcol::json::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    buf: &'a [u8],
    /// Holds `buf` as text, where that is known to be UTF-8; else nothing.
    utf8: &'a str,
    pos: usize,
    depth: usize,
    limit: usize,
    /// One bit an open container, the innermost lowest: set once it has had a member.
    filled: u128,
    /// It reads [as peers do](Self::of_messages).
    as_peers: bool,
    flawed: bool,
}

impl<'a> Reader<'a> {
    /// A reader over `buf` that refuses nesting deeper than `limit` (at most [`MAX_DEPTH`]).
    pub fn new(buf: &'a [u8], limit: usize) -> Self {
        let limit = limit.min(MAX_DEPTH);
        let (as_peers, flawed) = (false, false);
        Reader { buf, utf8: "", pos: 0, depth: 0, limit, filled: 0, as_peers, flawed }
    }

    /// Makes a reader for who will ask for most of its strings: to look once whether all of `buf` is UTF-8 is
    /// cheaper then than to look at each. It reads the same if it is not.
    pub fn of_strings(buf: &'a [u8], limit: usize) -> Self {
        Reader { utf8: std::str::from_utf8(buf).unwrap_or_default(), ..Reader::new(buf, limit) }
    }

    /// Makes a reader of MCP messages, in which counts what one of its official clients reads, not what JSON
    /// is: `NaN`, `Infinity` and `-Infinity` are numbers, and what [none reads](Self::is_flawed) is noted.
    pub fn of_messages(buf: &'a [u8], limit: usize) -> Self {
        Reader { as_peers: true, ..Reader::new(buf, limit) }
    }

    /// Says whether a string that was read or passed over has what no JSON parser takes: a raw control character, or a
    /// backslash that makes no escape. Halves of surrogate pairs and invalid UTF-8 are taken by some. Only a reader [of
    /// messages](Self::of_messages) looks for it.
    pub fn is_flawed(&self) -> bool {
        self.flawed
    }

    /// Offset of the next unread byte.
    pub fn offset(&self) -> usize {
        self.pos
    }

    /// Says how many bytes are unread.
    pub fn left(&self) -> usize {
        self.buf.len() - self.pos
    }

    /// Says whether the next value is `null`, or what may be one.
    #[inline]
    pub fn is_null(&mut self) -> Result<bool> {
        Ok(self.byte()? == b'n')
    }

    /// The kind of the next value, and the offset where it starts.
    #[inline]
    pub fn peek(&mut self) -> Result<(Kind, usize)> {
        let kind = match self.byte()? {
            b'{' => Kind::Object,
            b'[' => Kind::Array,
            b'"' => Kind::String,
            b'-' | b'0'..=b'9' => Kind::Number,
            b't' | b'f' => Kind::Bool,
            b'n' => Kind::Null,
            _ => return self.peek_word(),
        };
        Ok((kind, self.pos))
    }

    /// Enters an object; [`key`](Self::key) then walks it.
    #[inline]
    pub fn object(&mut self) -> Result<()> {
        self.open(b'{')
    }

    /// Enters an array; [`item`](Self::item) then walks it.
    #[inline]
    pub fn array(&mut self) -> Result<()> {
        self.open(b'[')
    }

    /// The next key of the object entered last, its value next to read; `None` leaves the object.
    #[inline]
    pub fn key(&mut self) -> Result<Option<Text<'a>>> {
        if !self.member(b'}')? {
            return Ok(None);
        }
        if self.byte()? != b'"' {
            return Err(self.error(ErrorKind::Unexpected));
        }
        let key = self.text()?;
        if self.byte()? != b':' {
            return Err(self.error(ErrorKind::Unexpected));
        }
        self.pos += 1;
        Ok(Some(key))
    }

    /// The next key, if it stands as most do: short, nothing to decode, and nothing around it but its comma
    /// and colon. `None`, and nothing read, for every other, near the end of the text, and where there is
    /// none: [`key`](Self::key) knows.
    #[inline]
    pub fn plain_key(&mut self) -> Option<&'a [u8]> {
        let mut at = self.pos;
        if self.filled & 1 == 1 {
            if self.buf.get(at) != Some(&b',') {
                return None;
            }
            at += 1;
        }
        if self.buf.get(at) != Some(&b'"') {
            return None;
        }
        let end = self.plain_end(at + 1)?;
        if self.buf.get(end + 1) != Some(&b':') {
            return None;
        }
        self.pos = end + 2;
        self.filled |= 1;
        Some(&self.buf[at + 1..end])
    }

    /// Says whether the array entered last has another item, next to read; `false` leaves the array.
    #[inline]
    pub fn item(&mut self) -> Result<bool> {
        self.member(b']')
    }

    /// The next value, which must be a string.
    #[inline]
    pub fn text(&mut self) -> Result<Text<'a>> {
        if self.byte()? != b'"' {
            return Err(self.wrong_kind());
        }
        let start = self.pos + 1;
        let (end, shape) = self.string_end(start)?;
        let quoted = &self.buf[self.pos..=end];
        self.pos = end + 1;
        Ok(Text::new(quoted, start, shape))
    }

    /// The next value, which must be a string, [decoded](Text::decode).
    #[inline]
    pub fn string(&mut self) -> Result<Cow<'a, str>> {
        match self.plain() {
            Some(plain) => Ok(Cow::Borrowed(plain)),
            None => self.text()?.decode(),
        }
    }

    /// The next value, if it is a string [as most are](Self::of_strings): short, nothing to decode, and
    /// nothing before it. `None`, and nothing read, for every other and near the end of the text.
    #[inline]
    pub fn plain(&mut self) -> Option<&'a str> {
        if self.buf.get(self.pos) != Some(&b'"') {
            return None;
        }
        let start = self.pos + 1;
        let end = self.plain_end(start)?;
        let plain = self.known(start..end)?;
        self.pos = end + 1;
        Some(plain)
    }

    /// The next value, if it is a whole number [as most are](Self::plain): at most nineteen digits, in
    /// quotes or not, and nothing before or after them. `None`, and nothing read, for every other.
    #[inline]
    pub fn plain_whole(&mut self) -> Option<u64> {
        let quoted = self.buf.get(self.pos) == Some(&b'"');
        let start = self.pos + usize::from(quoted);
        let (mut at, mut whole) = (start, 0_u64);
        while at < start + 16
            && let Some(eight) = self.buf.get(at..)?.first_chunk().copied()
            && let Some(eight) = scan::eight_digits(eight)
        {
            whole = whole * 100_000_000 + eight;
            at += 8;
        }
        let mut next = *self.buf.get(at)?;
        while next.is_ascii_digit() {
            if at - start == 19 {
                return None;
            }
            whole = whole * 10 + u64::from(next - b'0');
            at += 1;
            next = *self.buf.get(at)?;
        }
        let ends = if quoted { next == b'"' } else { matches!(next, b',' | b'}' | b']') };
        let plain = ends && at > start && (at == start + 1 || self.buf[start] != b'0');
        plain.then(|| {
            self.pos = at + usize::from(quoted);
            whole
        })
    }

    /// The next value, which must be a number by the grammar of RFC 8259 section 6, as written. In
    /// [messages](Self::of_messages) it may be a word that stands for what is no number.
    pub fn number(&mut self) -> Result<&'a str> {
        if !matches!(self.byte()?, b'-' | b'0'..=b'9') {
            return self.no_number();
        }
        let start = self.pos;
        if self.buf[self.pos] == b'-' {
            if self.buf.get(self.pos + 1) == Some(&b'I') {
                return self.no_number();
            }
            self.pos += 1;
        }
        if self.buf.get(self.pos) == Some(&b'0') {
            self.pos += 1;
        } else {
            self.digits()?;
        }
        if self.buf.get(self.pos) == Some(&b'.') {
            self.pos += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.buf.get(self.pos) {
            self.pos += 1;
            if let Some(b'+' | b'-') = self.buf.get(self.pos) {
                self.pos += 1;
            }
            self.digits()?;
        }
        if let Some(b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-') = self.buf.get(self.pos) {
            return Err(self.error(ErrorKind::Unexpected));
        }
        match self.known(start..self.pos) {
            Some(digits) => Ok(digits),
            None => std::str::from_utf8(&self.buf[start..self.pos])
                .map_err(|_| Error { kind: ErrorKind::Utf8, at: start }),
        }
    }

    /// The next value, which must be `true` or `false`.
    pub fn bool(&mut self) -> Result<bool> {
        match self.byte()? {
            b't' => self.word(b"true").map(|()| true),
            b'f' => self.word(b"false").map(|()| false),
            _ => Err(self.wrong_kind()),
        }
    }

    /// The next value, which must be `null`.
    pub fn null(&mut self) -> Result<()> {
        if self.byte()? != b'n' {
            return Err(self.wrong_kind());
        }
        self.word(b"null")
    }

    /// Passes over the next value, whatever it is, and tells where it stood. Brackets and string ends
    /// are checked, and that no backslash is outside of strings; what is inside strings is not, but it may be
    /// [noted](Self::of_messages). A number or word must end where a value may end.
    #[inline]
    pub fn skip(&mut self) -> Result<Range<usize>> {
        let (kind, start) = self.peek()?;
        match kind {
            Kind::String => drop(self.text()?),
            Kind::Number => drop(self.number()?),
            Kind::Bool => drop(self.bool()?),
            Kind::Null => self.null()?,
            Kind::Object | Kind::Array => self.skip_container()?,
        }
        Ok(start..self.pos)
    }

    /// Says whether so many more containers may be open at once.
    pub fn has_room(&self, levels: usize) -> bool {
        self.depth + levels <= self.limit
    }

    /// Passes over `bytes` if they are what stands next, to the letter. For who knows how others write:
    /// what they open and close goes unnoticed, so before anything else is asked for all that was opened
    /// must be closed the same way, and there must have been [room](Self::has_room) for it.
    #[inline]
    pub fn exactly(&mut self, bytes: &[u8]) -> bool {
        let found = self.buf[self.pos..].starts_with(bytes);
        self.pos += if found { bytes.len() } else { 0 };
        found
    }

    /// Goes back to an [offset](Self::offset) where it stood in the same container.
    pub fn back_to(&mut self, offset: usize) {
        self.pos = offset;
    }

    /// Checks that nothing but white space follows.
    pub fn end(&mut self) -> Result<()> {
        self.space();
        if self.pos < self.buf.len() {
            return Err(self.error(ErrorKind::Trailing));
        }
        Ok(())
    }

    /// Passes over a container without looking at commas and colons: only brackets and string ends
    /// decide where it stops, which is what keeps a peek cheap on large results.
    fn skip_container(&mut self) -> Result<()> {
        let (mut strings, mut nest) = (Strings::default(), Nest::default());
        let mut padded = [b' '; BLOCK];
        while self.pos < self.buf.len() {
            let rest = &self.buf[self.pos..];
            let bytes = rest.first_chunk().unwrap_or_else(|| {
                padded[..rest.len()].copy_from_slice(rest);
                &padded
            });
            let places = strings.next(bytes);
            // JSON has no backslash outside of strings; what stands behind one is not looked at.
            let stray = places.backslashes & !places.inside;
            let before = (stray & stray.wrapping_neg()).wrapping_sub(1);
            let outside = !places.inside & before;
            let brackets = if outside == 0 { 0 } else { scan::brackets(bytes) & outside };
            let room = self.limit - self.depth;
            let end = nest.pass(bytes, brackets, room);
            let end = end.map_err(|error| Error { at: self.pos + error.at, ..error })?;
            let length = end.unwrap_or(rest.len().min(BLOCK));
            if self.as_peers {
                self.flawed |= strings.is_flawed(bytes, &places, length);
            }
            if end.is_some() {
                self.pos += length + 1;
                return Ok(());
            }
            if stray != 0 {
                let place = stray.trailing_zeros() as usize;
                return Err(Error { kind: ErrorKind::Unexpected, at: self.pos + place });
            }
            self.pos += length;
        }
        Err(self.error(ErrorKind::Eof))
    }

    #[inline]
    fn open(&mut self, bracket: u8) -> Result<()> {
        if self.byte()? != bracket {
            return Err(self.wrong_kind());
        }
        if self.depth >= self.limit {
            return Err(self.error(ErrorKind::Depth));
        }
        self.pos += 1;
        self.depth += 1;
        self.filled <<= 1;
        Ok(())
    }

    /// Steps to the next member of the innermost container, or out of it at `close`.
    #[inline]
    fn member(&mut self, close: u8) -> Result<bool> {
        let b = self.byte()?;
        if b == close {
            self.pos += 1;
            self.depth = self.depth.saturating_sub(1);
            self.filled >>= 1;
            return Ok(false);
        }
        if self.filled & 1 == 1 {
            if b != b',' {
                return Err(self.error(ErrorKind::Unexpected));
            }
            self.pos += 1;
            if self.byte()? == close {
                return Err(self.error(ErrorKind::Unexpected));
            }
        }
        self.filled |= 1;
        Ok(true)
    }

    /// The closing quote of the string whose first byte is at `start`, and what was seen on the way.
    #[inline]
    fn string_end(&mut self, start: usize) -> Result<(usize, Shape)> {
        match self.plain_end(start) {
            Some(end) => Ok((end, Shape::Plain)),
            None => self.other_end(start),
        }
    }

    /// Finds the end of a string that is plain and short, as most are: to look at all of their bytes is cheaper
    /// than a search. `None` for every other, and near the end of the text.
    #[inline]
    fn plain_end(&self, start: usize) -> Option<usize> {
        let mut at = start;
        while at < start + SHORT {
            let special = scan::special(self.buf.get(at..)?.first_chunk()?);
            if special != 0 {
                at += special.trailing_zeros() as usize;
                return (self.buf[at] == b'"').then_some(at);
            }
            at += STEP;
        }
        None
    }

    /// Finds the closing quote of any string, and notes its flaws on the way.
    #[inline(never)]
    fn other_end(&mut self, start: usize) -> Result<(usize, Shape)> {
        let (mut at, mut shape) = (start, Shape::Raw);
        while let Some(i) = memchr::memchr2(b'"', b'\\', &self.buf[at.min(self.buf.len())..]) {
            if self.buf[at + i] == b'"' {
                self.flawed |= self.as_peers
                    && match shape {
                        Shape::Escaped => is_flawed(&self.buf[start - 1..=at + i]),
                        _ => has_controls(&self.buf[start..at + i]),
                    };
                return Ok((at + i, shape));
            }
            shape = Shape::Escaped;
            at += i + 2;
        }
        self.flawed |= self.as_peers && is_flawed(&self.buf[start - 1..]);
        Err(Error { kind: ErrorKind::Eof, at: self.buf.len() })
    }

    /// Gives what stands in a place, if it is known to be a `str`.
    #[inline]
    fn known(&self, place: Range<usize>) -> Option<&'a str> {
        self.utf8.get(place)
    }

    /// The next value, which must be a word that stands for what is no number, and may be.
    #[inline(never)]
    fn no_number(&mut self) -> Result<&'static str> {
        let rest = &self.buf[self.pos..];
        let words = ["NaN", "Infinity", "-Infinity"];
        match words.into_iter().find(|word| self.as_peers && rest.starts_with(word.as_bytes())) {
            Some(word) => {
                self.pos += word.len();
                Ok(word)
            }
            None => Err(self.wrong_kind()),
        }
    }

    /// The kind of what begins as no value of JSON does.
    #[inline(never)]
    fn peek_word(&self) -> Result<(Kind, usize)> {
        match self.buf.get(self.pos) {
            Some(b'N' | b'I') if self.as_peers => Ok((Kind::Number, self.pos)),
            _ => Err(self.error(ErrorKind::Unexpected)),
        }
    }

    fn digits(&mut self) -> Result<()> {
        let start = self.pos;
        while self.buf.get(self.pos).is_some_and(u8::is_ascii_digit) {
            self.pos += 1;
        }
        if self.pos == start {
            let eof = self.pos >= self.buf.len();
            return Err(self.error(if eof { ErrorKind::Eof } else { ErrorKind::Unexpected }));
        }
        Ok(())
    }

    fn word(&mut self, word: &[u8]) -> Result<()> {
        let rest = &self.buf[self.pos..];
        if !rest.starts_with(word) {
            let cut = word.starts_with(rest);
            return Err(self.error(if cut { ErrorKind::Eof } else { ErrorKind::Unexpected }));
        }
        self.pos += word.len();
        Ok(())
    }

    /// The next byte that is not white space, left unread.
    #[inline]
    fn byte(&mut self) -> Result<u8> {
        // Machines write none.
        match self.buf.get(self.pos) {
            Some(b) if *b > b' ' => Ok(*b),
            _ => self.byte_behind_space(),
        }
    }

    #[inline(never)]
    fn byte_behind_space(&mut self) -> Result<u8> {
        self.space();
        self.buf.get(self.pos).copied().ok_or(Error { kind: ErrorKind::Eof, at: self.buf.len() })
    }

    fn space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.buf.get(self.pos) {
            self.pos += 1;
        }
    }

    fn error(&self, kind: ErrorKind) -> Error {
        Error { kind, at: self.pos }
    }

    /// Makes the error of a value of another kind, or of none at all.
    fn wrong_kind(&mut self) -> Error {
        match self.peek() {
            Ok(_) => self.error(ErrorKind::WrongKind),
            Err(error) => error,
        }
    }
}
