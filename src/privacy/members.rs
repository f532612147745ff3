//! The members of open objects: their keys in UTF-16 order (RFC 8785 section 3.2.3), no key twice.

use std::cmp::Ordering;
use std::ops::Range;

use super::{Reason, Rejected};

/// Members of all open objects, the innermost object's last, so that one list serves any nesting.
#[derive(Default)]
pub(super) struct Members {
    list: Vec<Member>,
    /// Their keys, unescaped.
    keys: Vec<u8>,
    /// The body of an object while it is put in order.
    body: Vec<u8>,
}

struct Member {
    /// Its part of the keys.
    key: Range<usize>,
    /// `"key":value` in the output; empty if the value was left out.
    text: Range<usize>,
    /// Says where the key stands in the input.
    at: usize,
}

impl Members {
    pub(super) fn clear(&mut self) {
        self.truncate(0);
    }

    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    /// Adds a member of the object whose members start at `first`; its text starts at `start` of the
    /// output. Tells whether it comes after the one before it.
    pub(super) fn push(
        &mut self,
        first: usize,
        key: &[u8],
        start: usize,
        at: usize,
    ) -> Result<bool, Rejected> {
        let order = match self.list[first..].last() {
            Some(previous) => utf16_order(&self.keys[previous.key.clone()], key),
            None => Ordering::Less,
        };
        if order == Ordering::Equal {
            return Err(Rejected { reason: Reason::DuplicateKey, at });
        }
        let from = self.keys.len();
        self.keys.extend_from_slice(key);
        self.list.push(Member { key: from..self.keys.len(), text: start..start, at });
        Ok(order == Ordering::Less)
    }

    /// The value of the last member of that object, if it has one, ended at `end` of the output.
    pub(super) fn ended(&mut self, first: usize, end: usize) {
        if let Some(member) = self.list[first..].last_mut() {
            member.text.end = end;
        }
    }

    /// Puts that object's members in order; they are all of `out` from `body` on.
    pub(super) fn sort(
        &mut self,
        first: usize,
        body: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), Rejected> {
        let Members { list, keys, body: unsorted } = self;
        let members = &mut list[first..];
        let key = |member: &Member| &keys[member.key.clone()];
        members.sort_unstable_by(|a, b| utf16_order(key(a), key(b)));
        if let Some([a, b]) = members.array_windows().find(|[a, b]| key(a) == key(b)) {
            return Err(Rejected { reason: Reason::DuplicateKey, at: a.at.max(b.at) });
        }
        unsorted.clear();
        unsorted.extend_from_slice(&out[body..]);
        out.truncate(body);
        for member in members.iter().filter(|member| !member.text.is_empty()) {
            if out.len() > body {
                out.push(b',');
            }
            out.extend_from_slice(&unsorted[member.text.start - body..member.text.end - body]);
        }
        Ok(())
    }

    /// Forgets that object's members.
    pub(super) fn truncate(&mut self, first: usize) {
        self.list.truncate(first);
        // What is left belongs to objects still open, so its members stand as they were pushed.
        self.keys.truncate(self.list.last().map_or(0, |member| member.key.end));
    }
}

/// The order of two strings, given in UTF-8, by UTF-16 code units. It is that of the bytes, but
/// for U+E000..U+FFFF (lead bytes EE and EF), which come after the surrogates that all of F0 and up
/// are made of.
fn utf16_order(a: &[u8], b: &[u8]) -> Ordering {
    let weight = |byte: u8| if matches!(byte, 0xee | 0xef) { byte + 0x10 } else { byte };
    match a.iter().zip(b).find(|(a, b)| a != b) {
        Some((a, b)) => weight(*a).cmp(&weight(*b)),
        None => a.len().cmp(&b.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_order_is_that_of_utf_16(a: String, b: String) {
            prop_assert_eq!(utf16_order(a.as_bytes(), b.as_bytes()), a.encode_utf16().cmp(b.encode_utf16()));
        }

        #[test]
        fn the_order_is_that_of_utf_16_around_the_surrogates(
            a in "[a\u{d7ff}\u{e000}\u{ffff}\u{10000}\u{10ffff}]{0,3}",
            b in "[a\u{d7ff}\u{e000}\u{ffff}\u{10000}\u{10ffff}]{0,3}",
        ) {
            prop_assert_eq!(utf16_order(a.as_bytes(), b.as_bytes()), a.encode_utf16().cmp(b.encode_utf16()));
        }
    }
}
