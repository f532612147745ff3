//! The pull reader: the caller asks for what it expects, in order, and skips the rest.

use std::ops::Range;

use super::text::{Shape, Text};
use super::{Error, ErrorKind, MAX_DEPTH, Result};

/// How far a string is looked at before it is searched, in bytes.
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
    pos: usize,
    depth: usize,
    limit: usize,
    /// One bit an open container, the innermost lowest: set once it has had a member.
    filled: u128,
}

impl<'a> Reader<'a> {
    /// A reader over `buf` that refuses nesting deeper than `limit` (at most [`MAX_DEPTH`]).
    pub fn new(buf: &'a [u8], limit: usize) -> Self {
        Reader { buf, pos: 0, depth: 0, limit: limit.min(MAX_DEPTH), filled: 0 }
    }

    /// Offset of the next unread byte.
    pub fn offset(&self) -> usize {
        self.pos
    }

    /// How many bytes are unread.
    pub fn left(&self) -> usize {
        self.buf.len() - self.pos
    }

    /// How many containers are open.
    pub fn depth(&self) -> usize {
        self.depth
    }

    /// The kind of the next value, and the offset where it starts.
    pub fn peek(&mut self) -> Result<(Kind, usize)> {
        let kind = match self.byte()? {
            b'{' => Kind::Object,
            b'[' => Kind::Array,
            b'"' => Kind::String,
            b'-' | b'0'..=b'9' => Kind::Number,
            b't' | b'f' => Kind::Bool,
            b'n' => Kind::Null,
            _ => return Err(self.error(ErrorKind::Unexpected)),
        };
        Ok((kind, self.pos))
    }

    /// Enters an object; [`key`](Self::key) then walks it.
    pub fn object(&mut self) -> Result<()> {
        self.open(b'{')
    }

    /// Enters an array; [`item`](Self::item) then walks it.
    pub fn array(&mut self) -> Result<()> {
        self.open(b'[')
    }

    /// The next key of the object entered last, its value next to read; `None` leaves the object.
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

    /// Whether the array entered last has another item, next to read; `false` leaves the array.
    pub fn item(&mut self) -> Result<bool> {
        self.member(b']')
    }

    /// The next value, which must be a string.
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

    /// The next value, which must be a number by the grammar of RFC 8259 section 6, as written.
    pub fn number(&mut self) -> Result<&'a str> {
        if !matches!(self.byte()?, b'-' | b'0'..=b'9') {
            return Err(self.wrong_kind());
        }
        let start = self.pos;
        if self.buf[self.pos] == b'-' {
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
        let digits = &self.buf[start..self.pos];
        std::str::from_utf8(digits).map_err(|_| Error { kind: ErrorKind::Utf8, at: start })
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
    /// are checked, what is inside strings is not; a number or word must end where a value may end.
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
        let mut objects: u128 = 0;
        let mut open = 0;
        while let Some(b) = self.buf.get(self.pos) {
            match b {
                b'"' => {
                    let (end, _) = self.string_end(self.pos + 1)?;
                    self.pos = end;
                }
                b'{' | b'[' => {
                    if self.depth + open >= self.limit {
                        return Err(self.error(ErrorKind::Depth));
                    }
                    objects = objects << 1 | u128::from(*b == b'{');
                    open += 1;
                }
                b'}' | b']' => {
                    if (objects & 1 == 1) != (*b == b'}') {
                        return Err(self.error(ErrorKind::Unexpected));
                    }
                    objects >>= 1;
                    open -= 1;
                    if open == 0 {
                        self.pos += 1;
                        return Ok(());
                    }
                }
                _ => {}
            }
            self.pos += 1;
        }
        Err(self.error(ErrorKind::Eof))
    }

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
    fn string_end(&self, start: usize) -> Result<(usize, Shape)> {
        // Most strings are short and plain: eight bytes at a time is then cheaper than a search.
        let rest = self.buf.get(start..).unwrap_or_default();
        let mut at = start + plain_prefix(&rest[..rest.len().min(SHORT)]);
        if self.buf.get(at) == Some(&b'"') {
            return Ok((at, Shape::Plain));
        }
        let mut shape = Shape::Raw;
        while let Some(i) = memchr::memchr2(b'"', b'\\', &self.buf[at.min(self.buf.len())..]) {
            if self.buf[at + i] == b'"' {
                return Ok((at + i, shape));
            }
            shape = Shape::Escaped;
            at += i + 2;
        }
        Err(Error { kind: ErrorKind::Eof, at: self.buf.len() })
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
    fn byte(&mut self) -> Result<u8> {
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

    /// What stands here is a value of another kind, or no value at all.
    fn wrong_kind(&mut self) -> Error {
        match self.peek() {
            Ok(_) => self.error(ErrorKind::WrongKind),
            Err(error) => error,
        }
    }
}

/// How many bytes from the start are printable ASCII but quotes and backslashes.
fn plain_prefix(s: &[u8]) -> usize {
    const ONES: u64 = u64::MAX / 255;
    const HIGH: u64 = ONES << 7;
    // The high bit of each byte that is zero. Borrows can set more, but only above one that is.
    let zero = |x: u64| x.wrapping_sub(ONES) & !x;
    let (words, _) = s.as_chunks::<8>();
    for (i, word) in words.iter().enumerate() {
        let x = u64::from_le_bytes(*word);
        let quote = zero(x ^ (ONES * u64::from(b'"')));
        let backslash = zero(x ^ (ONES * u64::from(b'\\')));
        let control = x.wrapping_sub(ONES * 0x20);
        let special = (quote | backslash | control | x) & HIGH;
        if special != 0 {
            return i * 8 + special.trailing_zeros() as usize / 8;
        }
    }
    let plain = |b: &&u8| matches!(b, b' '..=0x7f) && !matches!(b, b'"' | b'\\');
    words.len() * 8 + s[words.len() * 8..].iter().take_while(plain).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_plain_prefix_ends_at_the_first_byte_that_is_not(
            s in proptest::collection::vec(
                prop_oneof![8 => b' '..=0x7f, 1 => any::<u8>()], 0..40),
        ) {
            let special = |b: &u8| !b.is_ascii() || *b < 0x20 || *b == b'"' || *b == b'\\';
            prop_assert_eq!(plain_prefix(&s), s.iter().position(special).unwrap_or(s.len()));
        }
    }
}
