//! Reading the end of a message backwards, where its beginning is out of sight.
//!
//! The last byte closes the message, so a member that stands right before it is a member of the
//! message, and so on back until a value reaches out of sight. Backwards, too, quotes are
//! unambiguous: outside of strings the next quote closes one, inside of a string every quote but its
//! first has a backslash before it. What is not certain is not told.

/// A cursor that walks back over the members of one object.
pub(super) struct Back<'a> {
    buf: &'a [u8],
    /// Everything from here on has been read.
    end: usize,
    /// The object's opening bracket was met.
    done: bool,
}

impl<'a> Back<'a> {
    /// Stands before the bracket that closes the message; `None` if there is none.
    pub(super) fn new(tail: &'a [u8]) -> Option<Self> {
        let mut back = Back { buf: tail, end: tail.len(), done: false };
        back.expect(b'}')?;
        Some(back)
    }

    /// The member before, as the JSON texts of key and value. At `None` the cursor stands after the
    /// value that could not be read.
    pub(super) fn member(&mut self) -> Option<(&'a [u8], &'a [u8])> {
        if self.done {
            return None;
        }
        let start = self.end;
        let member = self.try_member();
        if member.is_none() {
            self.end = start;
        }
        member
    }

    /// Says whether a value that could not be read ends in that byte.
    pub(super) fn follows(&mut self, end: u8) -> bool {
        !self.done && self.last() == Some(end)
    }

    /// If the value before is an object, a cursor over its members.
    pub(super) fn into_last(mut self) -> Option<Self> {
        if self.done {
            return None;
        }
        self.expect(b'}')?;
        Some(self)
    }

    fn try_member(&mut self) -> Option<(&'a [u8], &'a [u8])> {
        let value = self.value()?;
        self.expect(b':')?;
        if self.last()? != b'"' {
            return None;
        }
        let key = self.value()?;
        match self.last()? {
            b',' => self.end -= 1,
            b'{' => self.done = true,
            _ => return None,
        }
        Some((key, value))
    }

    fn value(&mut self) -> Option<&'a [u8]> {
        let last = self.last()?;
        let end = self.end;
        match last {
            b'"' => self.string()?,
            b'}' | b']' => self.container()?,
            _ => {
                let length = self.buf[..end].iter().rev().take_while(|b| in_word(**b)).count();
                if length == 0 || length == end {
                    return None;
                }
                self.end -= length;
            }
        }
        Some(&self.buf[self.end..end])
    }

    /// From after a closing quote to before the opening one.
    fn string(&mut self) -> Option<()> {
        let mut at = self.end.checked_sub(1)?;
        loop {
            at = memchr::memrchr(b'"', &self.buf[..at])?;
            let slashes = self.buf[..at].iter().rev().take_while(|b| **b == b'\\').count();
            if slashes == at {
                return None;
            }
            if slashes % 2 == 0 {
                self.end = at;
                return Some(());
            }
        }
    }

    /// From after a closing bracket to before the opening one.
    fn container(&mut self) -> Option<()> {
        let mut depth = 0usize;
        loop {
            match self.buf[..self.end].last()? {
                b'"' => {
                    self.string()?;
                    continue;
                }
                b'}' | b']' => depth += 1,
                b'{' | b'[' => depth -= 1,
                _ => {}
            }
            self.end -= 1;
            if depth == 0 {
                return Some(());
            }
        }
    }

    /// The byte before that is not white space.
    fn last(&mut self) -> Option<u8> {
        while let Some(b' ' | b'\t' | b'\r' | b'\n') = self.buf[..self.end].last() {
            self.end -= 1;
        }
        self.buf[..self.end].last().copied()
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.last()? == byte).then(|| self.end -= 1)
    }
}

/// Bytes that a JSON number may hold.
pub(super) fn in_number(b: u8) -> bool {
    matches!(b, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E')
}

/// Bytes that a number or `true`, `false`, `null`, `NaN` and `Infinity` may hold.
fn in_word(b: u8) -> bool {
    in_number(b) || b.is_ascii_lowercase() || matches!(b, b'N' | b'I')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(tail: &str) -> Vec<(&str, &str)> {
        let Some(mut back) = Back::new(tail.as_bytes()) else { return Vec::new() };
        let mut out = Vec::new();
        while let Some((key, value)) = back.member() {
            out.push((std::str::from_utf8(key).unwrap(), std::str::from_utf8(value).unwrap()));
        }
        out
    }

    #[test]
    fn members_are_read_from_the_last_backwards_until_one_is_out_of_sight() {
        let tail = r#"gone"}]} , "jsonrpc" : "2.0","x":[{"a":"}\""}] ,"id":-5 } "#;
        assert_eq!(
            members(tail),
            [("\"id\"", "-5"), ("\"x\"", r#"[{"a":"}\""}]"#), ("\"jsonrpc\"", "\"2.0\"")]
        );
        assert_eq!(members(r#"{"a":1,"b":"\\"}"#), [("\"b\"", r#""\\""#), ("\"a\"", "1")]);
    }

    #[test]
    fn what_is_not_certain_is_not_told() {
        for tail in
            [r#"5}"#, r#""id":5}"#, r#"\"id":5}"#, r#"id":5}"#, r#"x,"id":5]"#, "", "}", r#"]}"#]
        {
            assert!(members(tail).is_empty(), "{tail}");
        }
    }

    #[test]
    fn an_object_out_of_sight_can_be_entered_from_behind() {
        let tail = r#"...],"isError":true},"jsonrpc":"2.0","id":9}"#;
        let mut back = Back::new(tail.as_bytes()).unwrap();
        while back.member().is_some() {}
        let mut inner = back.into_last().unwrap();
        assert_eq!(inner.member(), Some((&b"\"isError\""[..], &b"true"[..])));
        assert_eq!(inner.member(), None);
    }
}
