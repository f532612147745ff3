//! Holds the lines of a private key together (RFC 7468): only the first of them says that the rest are secret.
//!
//! It hides nothing itself: redaction finds a key in one text.

use memchr::memmem;

/// The most lines that are held: a key of RSA with 16,384 bits has some 200.
const MAX_LINES: usize = 256;
/// The most bytes.
const MAX_BYTES: usize = 32 << 10;
/// A line of a key has at least so many characters, but for its last ones.
const LEAST: usize = 40;

/// Holds the lines of a key that has begun and not ended, and is empty otherwise.
#[derive(Debug, Default)]
pub(in crate::mcp) struct KeyLines {
    text: Vec<u8>,
    lines: usize,
    /// Lines were lost, and the beginning of a key may be among them.
    doubt: bool,
}

/// Says what becomes of a line.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::mcp) enum Taken<'a> {
    /// It belongs to a key whose end has not come.
    Held,
    /// It may be part of a key whose beginning was lost: nobody may tell it.
    Withheld,
    /// It is told, or the whole key that it ends.
    Text(Vec<u8>),
    /// It is told as it is.
    Line(&'a [u8]),
}

impl KeyLines {
    /// Takes the next line. After 256 of them, or 32 KiB, what is held is told without its end.
    pub(in crate::mcp) fn take<'a>(&mut self, line: &'a [u8]) -> Taken<'a> {
        if self.lines == 0 {
            if std::mem::take(&mut self.doubt) && is_body(line) {
                self.doubt = true;
                return Taken::Withheld;
            }
            if !begins(line) {
                return Taken::Line(line);
            }
        } else {
            self.text.push(b'\n');
        }
        self.text.extend_from_slice(line);
        self.lines += 1;
        let ends = memmem::find(line, b"-----END ").is_some() && self.lines > 1;
        let full = self.lines == MAX_LINES || self.text.len() >= MAX_BYTES;
        if ends || full { Taken::Text(self.end()) } else { Taken::Held }
    }

    /// Says that lines were lost.
    pub(in crate::mcp) fn lost(&mut self) {
        self.doubt = self.lines == 0;
    }

    /// Gives what is held, because nothing will come.
    pub(in crate::mcp) fn end(&mut self) -> Vec<u8> {
        self.lines = 0;
        std::mem::take(&mut self.text)
    }
}

/// Says whether a line begins a private key and does not end it.
fn begins(line: &[u8]) -> bool {
    let Some(at) = memmem::rfind(line, b"-----BEGIN ") else { return false };
    let rest = &line[at..];
    memmem::find(rest, b"PRIVATE KEY").is_some() && memmem::find(rest, b"-----END ").is_none()
}

/// Says whether a line has nothing but base64, and enough of it.
fn is_body(line: &[u8]) -> bool {
    let line = line.trim_ascii();
    let base64 = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'=');
    line.len() >= LEAST && line.iter().all(base64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(what: &str) -> String {
        ["-----", what, " PRIVATE", " KEY-----"].concat()
    }

    #[test]
    fn a_key_is_told_as_one_and_other_lines_as_they_are() {
        let mut key = KeyLines::default();
        let (begin, end) = (format!("read {}", mark("BEGIN")), format!("{}, done", mark("END")));
        assert_eq!(key.take(b"before"), Taken::Line(b"before"));
        assert_eq!(key.take(begin.as_bytes()), Taken::Held);
        assert_eq!(key.take(b"TUlJRQ"), Taken::Held);
        let whole = format!("{begin}\nTUlJRQ\n{end}");
        assert_eq!(key.take(end.as_bytes()), Taken::Text(whole.into_bytes()));
        assert_eq!(key.take(end.as_bytes()), Taken::Line(end.as_bytes()));
        let one = format!("{begin}TUlJRQ{end}");
        assert_eq!(key.take(one.as_bytes()), Taken::Line(one.as_bytes()));
        let public = ["-----BEGIN PUBLIC", " KEY-----"].concat();
        assert_eq!(key.take(public.as_bytes()), Taken::Line(public.as_bytes()));
    }

    #[test]
    fn a_key_that_never_ends_is_bounded() {
        let mut key = KeyLines::default();
        for line in ["x", &"x".repeat(1000)] {
            assert_eq!(key.take(mark("BEGIN").as_bytes()), Taken::Held);
            let held = (0..).take_while(|_| key.take(line.as_bytes()) == Taken::Held).count();
            assert!((30..MAX_LINES).contains(&held), "{held}");
        }
        key.take(mark("BEGIN").as_bytes());
        assert_eq!(key.end(), mark("BEGIN").into_bytes());
        assert_eq!(key.end(), b"");
    }

    #[test]
    fn the_rest_of_a_key_whose_beginning_was_lost_is_withheld() {
        let mut key = KeyLines::default();
        let body = "QUJD".repeat(16);
        assert_eq!(key.take(body.as_bytes()), Taken::Line(body.as_bytes()));
        key.lost();
        assert_eq!(key.take(body.as_bytes()), Taken::Withheld);
        assert_eq!(key.take(body.as_bytes()), Taken::Withheld);
        assert_eq!(key.take(b"QUJD"), Taken::Line(b"QUJD"));
        assert_eq!(key.take(body.as_bytes()), Taken::Line(body.as_bytes()));
    }
}
