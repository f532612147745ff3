//! Where the members of one object stand: found by name, at most once, and never by guessing.

use std::ops::Range;

use super::{Splice, Unedited};
use crate::json::{Kind, MAX_DEPTH, Reader};

/// One object of a message, with the members that were looked for.
pub(super) struct Object<const N: usize> {
    found: [Result<Option<Member>, Unedited>; N],
    /// Right after its opening bracket.
    open: usize,
    /// Right after its last member, if it has any.
    last: Option<usize>,
    /// Says how many members it has.
    pub(super) members: usize,
    /// Right after its closing bracket.
    pub(super) end: usize,
}

/// One member of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Member {
    /// From its key's first quote to the end of its value.
    pub(super) whole: Range<usize>,
    /// Its value.
    pub(super) value: Range<usize>,
    /// Says where the member before it ends.
    before: Option<usize>,
    /// Says where the one after it begins.
    after: Option<usize>,
}

/// Says where members can be added to an object, and whether it has any.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    at: usize,
    empty: bool,
}

impl<const N: usize> Object<N> {
    /// Walks the object that stands at `at` and looks for these keys. Fails where a string is such that nobody
    /// reads the object.
    pub(super) fn scan(
        text: &[u8],
        at: Range<usize>,
        keys: [&str; N],
    ) -> Result<Object<N>, Unedited> {
        let base = at.start;
        let mut reader = Reader::of_messages(&text[at], MAX_DEPTH);
        if reader.peek()?.0 != Kind::Object {
            return Err(Unedited::NotAnObject);
        }
        reader.object()?;
        let mut object = Object {
            found: [const { Ok(None) }; N],
            open: base + reader.offset(),
            last: None,
            members: 0,
            end: 0,
        };
        let mut latest: Option<usize> = None;
        while let Some(key) = reader.key()? {
            let start = base + key.offset() - 1;
            if let Some(Ok(Some(member))) = latest.take().map(|i| &mut object.found[i]) {
                member.after = Some(start);
            }
            let value = reader.skip()?;
            let value = base + value.start..base + value.end;
            let end = value.end;
            if let Some(i) = keys.iter().position(|name| key.is(name)) {
                let before = object.last;
                let member = Member { whole: start..end, value, before, after: None };
                object.found[i] = match object.found[i] {
                    Ok(None) if key.escaped() => Err(Unedited::Escaped),
                    Ok(None) => Ok(Some(member)),
                    _ => Err(Unedited::Duplicate),
                };
                latest = Some(i);
            }
            object.last = Some(end);
            object.members += 1;
        }
        if reader.is_flawed() {
            return Err(Unedited::Invalid);
        }
        object.end = base + reader.offset();
        Ok(object)
    }

    /// The member of the key of that number.
    pub(super) fn member(&self, key: usize) -> Result<Option<&Member>, Unedited> {
        self.found[key].as_ref().map(Option::as_ref).map_err(|why| *why)
    }

    /// Says where more members go: behind the last one.
    pub(super) fn room(&self) -> Room {
        Room { at: self.last.unwrap_or(self.open), empty: self.last.is_none() }
    }
}

impl Member {
    /// Takes it out, and one comma with it, unless it is alone.
    pub(super) fn removed(&self) -> Splice {
        let at = match (self.before, self.after) {
            (Some(before), _) => before..self.whole.end,
            (None, Some(after)) => self.whole.start..after,
            (None, None) => self.whole.clone(),
        };
        Splice { at, text: Vec::new() }
    }
}

impl Room {
    /// Adds members, written without the comma before the first.
    pub(super) fn add(self, members: &str) -> Splice {
        let comma = if self.empty { "" } else { "," };
        Splice { at: self.at..self.at, text: format!("{comma}{members}").into_bytes() }
    }
}

/// Says whether a value is an object.
pub(super) fn is_object(text: &[u8], value: &Range<usize>) -> bool {
    text[value.start] == b'{'
}
