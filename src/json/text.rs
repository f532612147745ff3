//! A JSON string as it stands in the input, unescaped only when somebody asks.

use std::borrow::Cow;

use super::write::{write_char, write_plain};
use super::{Error, ErrorKind, Result};

/// A string as it stands between its quotes, still escaped, not yet checked.
#[derive(Clone, Copy, Debug)]
pub struct Text<'a> {
    /// With its quotes.
    quoted: &'a [u8],
    at: usize,
    shape: Shape,
}

/// Names what the search for the closing quote saw on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)] // A text is moved often, and moved as whole words that way.
pub(super) enum Shape {
    /// Printable ASCII without escapes: nothing to check.
    Plain,
    /// No escapes; the bytes may be anything.
    Raw,
    /// At least one backslash.
    Escaped,
}

impl<'a> Text<'a> {
    /// `quoted` is the string with its quotes; `at` the offset of what is between them.
    pub(super) fn new(quoted: &'a [u8], at: usize, shape: Shape) -> Self {
        Text { quoted, at, shape }
    }

    /// The bytes between the quotes as they stand in the input.
    pub fn raw(&self) -> &'a [u8] {
        &self.quoted[1..self.quoted.len() - 1]
    }

    /// Offset of the first byte after the opening quote.
    pub fn offset(&self) -> usize {
        self.at
    }

    /// Says whether any escape is in it.
    pub fn escaped(&self) -> bool {
        self.shape == Shape::Escaped
    }

    /// Says whether this string, unescaped, is `name`. Never fails: a malformed string equals nothing.
    pub fn is(&self, name: &str) -> bool {
        if self.escaped() {
            // No escape stands for less than a sixth of its length, so a huge key costs nothing here.
            self.raw().len() <= name.len() * 6 && self.decode().is_ok_and(|s| s == name)
        } else {
            self.raw() == name.as_bytes()
        }
    }

    /// The string, strictly: UTF-8, no raw control characters (RFC 8259 section 7), known escapes,
    /// surrogates in pairs. Borrows when there is nothing to unescape.
    pub fn decode(&self) -> Result<Cow<'a, str>> {
        let text = self.checked()?;
        if !self.escaped() {
            return Ok(Cow::Borrowed(text));
        }
        let mut out = String::with_capacity(text.len());
        self.pieces(text, |piece| match piece {
            Piece::Run(run) => out.push_str(run),
            Piece::Char(c) => out.push(c),
        })?;
        Ok(Cow::Owned(out))
    }

    /// Appends what [`write_string`](super::write_string) makes of the [decoded](Self::decode) string,
    /// without making that string. An error leaves the part before it in `out`.
    pub fn write(&self, out: &mut Vec<u8>) -> Result<()> {
        if self.shape == Shape::Plain {
            out.extend_from_slice(self.quoted);
            return Ok(());
        }
        let text = self.checked()?;
        out.push(b'"');
        // Between escapes nothing needs one: quotes end strings, control characters were refused.
        self.pieces(text, |piece| match piece {
            Piece::Run(run) => write_plain(out, run),
            Piece::Char(c) => write_char(out, c),
        })?;
        out.push(b'"');
        Ok(())
    }

    /// The raw string, known to be UTF-8 without control characters.
    fn checked(&self) -> Result<&'a str> {
        let raw = self.raw();
        // The place is looked for only if there is one.
        if self.shape != Shape::Plain && has_controls(raw) {
            let i = raw.iter().position(|b| *b < 0x20).unwrap_or(0);
            return Err(self.error(ErrorKind::BadString, i));
        }
        std::str::from_utf8(raw).map_err(|e| self.error(ErrorKind::Utf8, e.valid_up_to()))
    }

    /// Takes the checked string apart, in order.
    fn pieces(&self, text: &'a str, mut each: impl FnMut(Piece<'a>)) -> Result<()> {
        let mut rest = text;
        while let Some(i) = memchr::memchr(b'\\', rest.as_bytes()) {
            each(Piece::Run(&rest[..i]));
            let at = text.len() - rest.len() + i;
            let (c, used) = unescape(&rest.as_bytes()[i..]).map_err(|kind| self.error(kind, at))?;
            each(Piece::Char(c));
            rest = &rest[i + used..];
        }
        each(Piece::Run(rest));
        Ok(())
    }

    /// The string for people: malformed escapes and UTF-8 become U+FFFD, raw control characters stay.
    /// At most `max` bytes, cut at a character boundary; the flag says whether anything was cut.
    pub fn lossy(&self, max: usize) -> (String, bool) {
        // An escape is at most 6 bytes a character and the worst input byte grows to a 3-byte U+FFFD,
        // so a window of 12 bytes a wanted byte is always enough and keeps huge strings cheap.
        let raw = self.raw();
        let window = &raw[..raw.len().min(max.saturating_mul(12).saturating_add(16))];
        let mut out = String::new();
        let mut rest = window;
        while let Some(i) = memchr::memchr(b'\\', rest) {
            out.push_str(&String::from_utf8_lossy(&rest[..i]));
            match unescape(&rest[i..]) {
                Ok((c, used)) => {
                    out.push(c);
                    rest = &rest[i + used..];
                }
                Err(kind) => {
                    out.push(char::REPLACEMENT_CHARACTER);
                    // Half a surrogate pair is a whole escape, anything else not even that.
                    let used = if kind == ErrorKind::Surrogate { 6 } else { 2 };
                    rest = &rest[(i + used).min(rest.len())..];
                }
            }
        }
        out.push_str(&String::from_utf8_lossy(rest));
        let cut = out.len() > max || window.len() < raw.len();
        let mut end = out.len().min(max);
        while !out.is_char_boundary(end) {
            end -= 1;
        }
        out.truncate(end);
        (out, cut)
    }

    fn error(&self, kind: ErrorKind, i: usize) -> Error {
        Error { kind, at: self.at + i }
    }
}

/// Says whether a control character stands there that JSON forbids in strings. There is no early exit, so it runs at
/// memory speed.
#[inline]
pub(super) fn has_controls(raw: &[u8]) -> bool {
    raw.iter().fold(u8::MAX, |least, b| least.min(*b)) < 0x20
}

/// A part of a string: what stands as it is, or one that was escaped.
enum Piece<'a> {
    Run(&'a str),
    Char(char),
}

/// One escape at the start of `s` (which begins with a backslash): the character and its length.
fn unescape(s: &[u8]) -> std::result::Result<(char, usize), ErrorKind> {
    let c = match s.get(1) {
        Some(b'"') => '"',
        Some(b'\\') => '\\',
        Some(b'/') => '/',
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(b'n') => '\n',
        Some(b'r') => '\r',
        Some(b't') => '\t',
        Some(b'u') => return unescape_unicode(s),
        _ => return Err(ErrorKind::BadString),
    };
    Ok((c, 2))
}

fn unescape_unicode(s: &[u8]) -> std::result::Result<(char, usize), ErrorKind> {
    let first = hex4(s.get(2..6))?;
    if let Some(c) = char::from_u32(first) {
        return Ok((c, 6));
    }
    if first >= 0xDC00 || s.get(6..8) != Some(b"\\u") {
        return Err(ErrorKind::Surrogate);
    }
    let second = hex4(s.get(8..12))?;
    if !(0xDC00..0xE000).contains(&second) {
        return Err(ErrorKind::Surrogate);
    }
    let c = 0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00);
    char::from_u32(c).map(|c| (c, 12)).ok_or(ErrorKind::Surrogate)
}

fn hex4(s: Option<&[u8]>) -> std::result::Result<u32, ErrorKind> {
    let mut value = 0;
    for b in s.ok_or(ErrorKind::BadString)? {
        let digit = (*b as char).to_digit(16).ok_or(ErrorKind::BadString)?;
        value = value * 16 + digit;
    }
    Ok(value)
}
