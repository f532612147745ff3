//! A JSON string as it stands in the input, unescaped only when somebody asks.

use std::borrow::Cow;

use super::{Error, ErrorKind, Result};

/// The bytes between two quotes, still escaped, not yet checked.
#[derive(Clone, Copy, Debug)]
pub struct Text<'a> {
    raw: &'a [u8],
    at: usize,
    escaped: bool,
}

impl<'a> Text<'a> {
    pub(super) fn new(raw: &'a [u8], at: usize, escaped: bool) -> Self {
        Text { raw, at, escaped }
    }

    /// The bytes between the quotes as they stand in the input.
    pub fn raw(&self) -> &'a [u8] {
        self.raw
    }

    /// Offset of the first byte after the opening quote.
    pub fn offset(&self) -> usize {
        self.at
    }

    /// Whether any escape is in it.
    pub fn escaped(&self) -> bool {
        self.escaped
    }

    /// Whether this string, unescaped, is `name`. Never fails: a malformed string equals nothing.
    pub fn is(&self, name: &str) -> bool {
        if self.escaped {
            // No escape stands for less than a sixth of its length, so a huge key costs nothing here.
            self.raw.len() <= name.len() * 6 && self.decode().is_ok_and(|s| s == name)
        } else {
            self.raw == name.as_bytes()
        }
    }

    /// The string, strictly: UTF-8, no raw control characters (RFC 8259 section 7), known escapes,
    /// surrogates in pairs. Borrows when there is nothing to unescape.
    pub fn decode(&self) -> Result<Cow<'a, str>> {
        // The fold has no early exit, so it runs at memory speed; the place is looked for only if bad.
        if self.raw.iter().fold(u8::MAX, |least, b| least.min(*b)) < 0x20 {
            let i = self.raw.iter().position(|b| *b < 0x20).unwrap_or(0);
            return Err(self.error(ErrorKind::BadString, i));
        }
        let text = std::str::from_utf8(self.raw)
            .map_err(|e| self.error(ErrorKind::Utf8, e.valid_up_to()))?;
        if !self.escaped {
            return Ok(Cow::Borrowed(text));
        }
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(i) = memchr::memchr(b'\\', rest.as_bytes()) {
            out.push_str(&rest[..i]);
            let at = text.len() - rest.len() + i;
            let (c, used) = unescape(&rest.as_bytes()[i..]).map_err(|kind| self.error(kind, at))?;
            out.push(c);
            rest = &rest[i + used..];
        }
        out.push_str(rest);
        Ok(Cow::Owned(out))
    }

    /// The string for people: malformed escapes and UTF-8 become U+FFFD, raw control characters stay.
    /// At most `max` bytes, cut at a character boundary; the flag says whether anything was cut.
    pub fn lossy(&self, max: usize) -> (String, bool) {
        // An escape is at most 6 bytes a character and the worst input byte grows to a 3-byte U+FFFD,
        // so a window of 12 bytes a wanted byte is always enough and keeps huge strings cheap.
        let window = &self.raw[..self.raw.len().min(max.saturating_mul(12).saturating_add(16))];
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
        let cut = out.len() > max || window.len() < self.raw.len();
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
