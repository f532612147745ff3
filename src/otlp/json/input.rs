//! A document being read, with a bound on what it may grow to: `{},` is three bytes of text, and a span in
//! memory several hundred.

use std::ops::{Deref, DerefMut};

use super::{Error, Why};
use crate::json::{self, MAX_DEPTH};
use crate::otlp::MAX_GROWTH;

/// The pull reader, and how many bytes of messages may still be made.
pub(super) struct Reader<'a> {
    text: json::Reader<'a>,
    room: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a [u8]) -> Self {
        Reader { text: json::Reader::of_strings(text, MAX_DEPTH), room: MAX_GROWTH.of(text.len()) }
    }

    /// Goes on where another reader stands.
    pub(super) fn going_on(text: json::Reader<'a>) -> Self {
        let room = MAX_GROWTH.of(text.left());
        Reader { text, room }
    }

    /// Where it stands now.
    pub(super) fn into_text(self) -> json::Reader<'a> {
        self.text
    }

    /// Takes note of so many more bytes in memory.
    pub(super) fn spend(&mut self, bytes: usize) -> Result<(), Error> {
        let room = self.room.checked_sub(bytes);
        self.room = room.ok_or(Error { why: Why::Growth, at: self.text.offset() })?;
        Ok(())
    }
}

impl<'a> Deref for Reader<'a> {
    type Target = json::Reader<'a>;

    fn deref(&self) -> &Self::Target {
        &self.text
    }
}

impl DerefMut for Reader<'_> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.text
    }
}
