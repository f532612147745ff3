//! Lines of one direction that may change on their way.
//!
//! A line is held until it is whole, up to a limit past which it passes as it is. Where nothing changes
//! and no line began in an earlier read, the bytes are passed on from where they were read.

use std::io;
use std::sync::Arc;

use memchr::{memchr, memrchr};

use super::Direction;
use crate::mcp::Edited;
use crate::mcp::edit::{Edit, Scope};
use crate::receivers::tap::{Around, Change, Editing, HOLD, why};

/// Edits the lines of one direction.
pub(super) struct Edits {
    editing: Arc<Editing>,
    direction: Direction,
}

/// Lines in the making.
pub(super) struct Lines {
    edits: Edits,
    /// The line that is not whole yet, as far as it has come.
    held: Vec<u8>,
    /// The current line was too long to be held: it passes as it comes.
    passing: bool,
    /// Holds what is written, where it is not what was read.
    out: Vec<u8>,
}

/// Holds what is to be forwarded next.
pub(super) struct Due<'a> {
    pieces: Vec<Piece<'a>>,
    out: &'a [u8],
}

/// A line, or a stretch of what does not change.
struct Piece<'a> {
    original: &'a [u8],
    change: Option<(Edit, Option<Edited>)>,
}

/// A buffer that held more than this is given back.
const KEPT: usize = 64 * 1024;
/// Everything on one connection: it has one client and one server.
const HERE: Scope = Scope::Session(0);
const AROUND: Around<'static> = Around { exchange: HERE, session: HERE, peer: HERE, carrier: None };

impl Edits {
    /// Those of a direction; `None` if nothing ever changes that way.
    pub(super) fn new(editing: &Arc<Editing>, direction: Direction) -> Option<Self> {
        let any = direction == Direction::ClientToServer || editing.wants_answers();
        any.then(|| Edits { editing: Arc::clone(editing), direction })
    }

    fn change(&self, line: &[u8]) -> Option<(Edit, Option<Edited>)> {
        match self.direction {
            Direction::ClientToServer => {
                let Change { edit, .. } = self.editing.request(line, &AROUND);
                edit.map(|(edit, edited)| (edit, Some(edited)))
            }
            Direction::ServerToClient => {
                self.editing.answer(line, &AROUND).map(|edit| (edit, None))
            }
        }
    }

    fn pass(&self, head: &[u8]) {
        match self.direction {
            Direction::ClientToServer => {
                self.editing.pass_request(head, &AROUND, why::TOO_LONG);
            }
            Direction::ServerToClient => self.editing.pass_answer(head, &AROUND, why::TOO_LONG),
        }
    }
}

impl Lines {
    pub(super) fn new(edits: Edits) -> Self {
        Lines { edits, held: Vec::new(), passing: false, out: Vec::new() }
    }

    /// Takes what was read, nothing at the end, and forwards what is due, if anything is.
    pub(super) fn take(
        &mut self,
        read: &[u8],
        forward: impl FnOnce(&Due<'_>) -> io::Result<()>,
    ) -> io::Result<()> {
        let first = self.first(read);
        let (before, rest) = read.split_at(first.unwrap_or(read.len()));
        let mut held = std::mem::take(&mut self.held);
        let mut pieces = Vec::new();
        if self.passing {
            pieces.push(Piece { original: before, change: None });
            self.passing = first.is_none();
        } else if !held.is_empty() {
            held.extend_from_slice(before);
            if held.len() > HOLD {
                self.edits.pass(&held);
                pieces.push(Piece { original: &held, change: None });
                self.passing = first.is_none();
            } else if first.is_some() || read.is_empty() {
                pieces.push(Piece { original: &held, change: self.edits.change(&held) });
            } else {
                self.held = held;
                return Ok(());
            }
        }
        self.whole_lines(rest, &mut pieces);
        pieces.retain(|piece| !piece.original.is_empty());
        if pieces.is_empty() {
            return Ok(());
        }
        let due = Due::new(pieces, &mut self.out);
        let forwarded = forward(&due);
        drop(due);
        if self.held.capacity() == 0 && held.capacity() <= KEPT {
            held.clear();
            self.held = held;
        }
        if self.out.capacity() > KEPT {
            self.out = Vec::new();
        }
        forwarded
    }

    /// Says how much of `read` belongs to the line that began before it; `None` for all of it.
    fn first(&self, read: &[u8]) -> Option<usize> {
        if self.held.is_empty() && !self.passing {
            return Some(0);
        }
        memchr(b'\n', read).map(|newline| newline + 1)
    }

    /// The whole lines of `read`; the rest is held.
    fn whole_lines<'r>(&mut self, read: &'r [u8], pieces: &mut Vec<Piece<'r>>) {
        let (lines, rest) = read.split_at(memrchr(b'\n', read).map_or(0, |newline| newline + 1));
        let (mut from, mut start) = (0, 0);
        while let Some(length) = memchr(b'\n', &lines[start..]) {
            let end = start + length + 1;
            if let Some(change) = self.edits.change(&lines[start..end]) {
                pieces.push(Piece { original: &lines[from..start], change: None });
                pieces.push(Piece { original: &lines[start..end], change: Some(change) });
                from = end;
            }
            start = end;
        }
        pieces.push(Piece { original: &lines[from..], change: None });
        self.held.extend_from_slice(rest);
    }
}

impl<'a> Due<'a> {
    fn new(pieces: Vec<Piece<'a>>, out: &'a mut Vec<u8>) -> Self {
        if let [Piece { original, change: None }] = pieces[..] {
            return Due { pieces, out: original };
        }
        out.clear();
        for Piece { original, change } in &pieces {
            match change {
                Some((edit, _)) => edit.apply(original, out),
                None => out.extend_from_slice(original),
            }
        }
        Due { pieces, out }
    }

    /// Returns the bytes that go on.
    pub(super) fn bytes(&self) -> &[u8] {
        self.out
    }

    /// Returns the bytes that came, with what the observer is told of each request that changes.
    pub(super) fn originals(&self) -> impl Iterator<Item = (&[u8], Option<&Edited>)> {
        self.pieces.iter().map(|Piece { original, change }| {
            (*original, change.as_ref().and_then(|(_, edited)| edited.as_ref()))
        })
    }
}

#[cfg(test)]
mod tests;
