//! A document being read, with a bound on what it may grow to: `{},` is three bytes of text, and a span in
//! memory several hundred. And with somebody who counts what is written of it while it grows: a number of two bytes
//! is one of eight in protobuf.

use std::ops::{Deref, DerefMut};

use super::{Error, Why};
use crate::json::{self, MAX_DEPTH};
use crate::otlp::{MAX_GROWTH, Room};

/// Names what members need that have one length, and what lengths that are guessed take of all messages around one, in
/// bytes.
const SLACK: usize = 1 << 10;

/// The pull reader, and how many bytes of messages may still be made.
pub(super) struct Reader<'a> {
    text: json::Reader<'a>,
    room: usize,
    /// Is asked before what is written grows; nobody where that is small.
    counted: Option<&'a mut dyn Room>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a [u8]) -> Self {
        let room = MAX_GROWTH.of(text.len());
        Reader { text: json::Reader::of_strings(text, MAX_DEPTH), room, counted: None }
    }

    /// Has what is written counted.
    pub(super) fn counted(self, room: &'a mut dyn Room) -> Self {
        Reader { counted: Some(room), ..self }
    }

    /// Goes on where another reader stands.
    pub(super) fn going_on(text: json::Reader<'a>) -> Self {
        let room = MAX_GROWTH.of(text.left());
        Reader { text, room, counted: None }
    }

    /// Says where it stands now.
    pub(super) fn into_text(self) -> json::Reader<'a> {
        self.text
    }

    /// Makes room for so many bytes more, beside the fields around them.
    #[inline]
    pub(super) fn make_room(&mut self, out: &mut Vec<u8>, more: usize) -> Result<(), Error> {
        let more = more.saturating_add(SLACK);
        if out.capacity() - out.len() >= more { Ok(()) } else { self.grow(out, more) }
    }

    #[cold]
    fn grow(&mut self, out: &mut Vec<u8>, more: usize) -> Result<(), Error> {
        // Who does not count lets it grow by itself.
        let Some(counted) = &mut self.counted else { return Ok(()) };
        let (len, before) = (out.len(), out.capacity());
        let wanted = before.saturating_mul(2).max(len.saturating_add(more));
        if !counted.take(wanted - before) {
            return Err(Error { why: Why::Room, at: self.text.offset() });
        }
        out.reserve_exact(wanted - len);
        Ok(())
    }

    /// Gives back what was not needed.
    pub(super) fn fit(&mut self, out: &mut Vec<u8>) {
        let before = out.capacity();
        out.shrink_to_fit();
        if let Some(counted) = &mut self.counted {
            counted.give_back(before - out.capacity());
        }
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
