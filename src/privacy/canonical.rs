//! RFC 8785 canonical JSON, streaming: one pass over the text into a buffer of the caller, no tree.
//!
//! Members are written as they come; an object that turns out unsorted is put in order when it closes,
//! so already sorted input is copied once. Stricter than the RFC's minimum where two readers could
//! understand a text differently (duplicate keys, lone surrogates). Numbers are doubles, as the RFC
//! says; what that changes is told as `lossy`. Depth is a counter, not recursion; the work for a text of
//! n bytes nested d deep is at most O(n log n + n d), with d limited to 128.

use std::ops::Range;

use super::members::Members;
use super::number;
use super::pointer::{Active, At, Hit, Paths};
use super::{Reason, Rejected};
use crate::json::{Kind, MAX_DEPTH, Reader};

/// The longest text that is canonicalised unless somebody says otherwise: 1 MiB, which hashes in
/// about 10 ms and is what the taps observe of a message.
pub const MAX_BYTES: usize = 1 << 20;

/// Holds what is to be known about a canonical form beside its text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// The decimal value of some number changed: an integer beyond 2^53, a fraction longer than a
    /// double holds, an underflow. Two texts with one canonical form, neither lossy, mean the same.
    pub lossy: bool,
}

/// Writes canonical forms. Keeps its buffers from one text to the next.
///
/// ```
/// # use mcpcol::privacy::canonical::Canonicalizer;
/// let mut out = Vec::new();
/// let written = Canonicalizer::default().write(br#"{ "b": 1.0, "a": "\u0041" }"#, &mut out)?;
/// assert_eq!(out, br#"{"a":"A","b":1}"#);
/// assert!(!written.lossy);
/// # Ok::<(), mcpcol::privacy::Rejected>(())
/// ```
// No Debug: the buffers hold what the last text said.
#[expect(missing_debug_implementations)]
pub struct Canonicalizer {
    max_bytes: usize,
    /// The open containers, the innermost last.
    frames: Vec<Frame>,
    members: Members,
    selected: Vec<Selected>,
}

/// An open container.
struct Frame {
    kind: Container,
    /// Says where its first value stands in the output.
    body: usize,
    /// The pointers that lead into it.
    active: Active,
}

enum Container {
    /// The number of its next item.
    Array { next: usize },
    /// Where its members start in the list of all, and whether they came in order so far.
    Object { first: usize, sorted: bool },
}

/// An open value that a pointer selects, and how things stood before it.
struct Selected {
    hit: Hit,
    /// Says how many containers it is in.
    depth: usize,
    value: usize,
    before: usize,
    lossy_before: bool,
}

impl Default for Canonicalizer {
    fn default() -> Self {
        Canonicalizer::new(MAX_BYTES)
    }
}

impl Canonicalizer {
    /// For texts of at most `max_bytes`.
    pub fn new(max_bytes: usize) -> Self {
        Canonicalizer {
            max_bytes,
            frames: Vec::new(),
            members: Members::default(),
            selected: Vec::new(),
        }
    }

    /// Appends the canonical form of `text` to `out`, which is left as it was if the text is rejected.
    pub fn write(&mut self, text: &[u8], out: &mut Vec<u8>) -> Result<Written, Rejected> {
        self.write_selected(text, &Paths::default(), out, &mut |_, _| {})
    }

    /// [`write`](Self::write) without the values that `paths` exclude. Those it names as fields are
    /// handed to `field` with their number, in canonical form, even when the text is rejected later.
    pub fn write_selected(
        &mut self,
        text: &[u8],
        paths: &Paths,
        out: &mut Vec<u8>,
        field: &mut dyn FnMut(usize, &[u8]),
    ) -> Result<Written, Rejected> {
        if text.len() > self.max_bytes {
            return Err(Rejected { reason: Reason::Size, at: self.max_bytes });
        }
        self.frames.clear();
        self.members.clear();
        self.selected.clear();
        let before = out.len();
        let reader = Reader::new(text, MAX_DEPTH);
        let mut pass = Pass { scratch: self, reader, paths, out, field, lossy: false };
        let done = pass.run();
        let lossy = pass.lossy;
        if done.is_err() {
            out.truncate(before);
        }
        done.map(|()| Written { lossy })
    }
}

/// One text on its way through.
struct Pass<'p, 't> {
    scratch: &'p mut Canonicalizer,
    reader: Reader<'t>,
    paths: &'p Paths,
    out: &'p mut Vec<u8>,
    field: &'p mut dyn FnMut(usize, &[u8]),
    lossy: bool,
}

impl Pass<'_, '_> {
    fn run(&mut self) -> Result<(), Rejected> {
        self.value(self.paths.all())?;
        while let Some(frame) = self.scratch.frames.last() {
            let next = match frame.kind {
                Container::Array { next } => self.item(next)?,
                Container::Object { first, sorted } => self.member(first, sorted)?,
            };
            if let Some(active) = next {
                self.value(active)?;
            }
        }
        Ok(self.reader.end()?)
    }

    /// Writes a scalar, or opens a container into which the `active` pointers lead.
    fn value(&mut self, active: Active) -> Result<(), Rejected> {
        let (kind, at) = self.reader.peek()?;
        match kind {
            Kind::String => self.reader.text()?.write(self.out)?,
            Kind::Number => match number::write(self.out, self.reader.number()?) {
                Some(lossy) => self.lossy |= lossy,
                None => return Err(Rejected { reason: Reason::NumberRange, at }),
            },
            Kind::Bool => {
                let word = if self.reader.bool()? { "true" } else { "false" };
                self.out.extend_from_slice(word.as_bytes());
            }
            Kind::Null => {
                self.reader.null()?;
                self.out.extend_from_slice(b"null");
            }
            Kind::Array => {
                self.reader.array()?;
                self.open(b'[', Container::Array { next: 0 }, active);
            }
            Kind::Object => {
                self.reader.object()?;
                let first = self.scratch.members.len();
                self.open(b'{', Container::Object { first, sorted: true }, active);
            }
        }
        Ok(())
    }

    fn open(&mut self, bracket: u8, kind: Container, active: Active) {
        self.out.push(bracket);
        self.scratch.frames.push(Frame { kind, body: self.out.len(), active });
    }

    /// Steps to the next item of the innermost array, or out of it.
    fn item(&mut self, next: usize) -> Result<Option<Active>, Rejected> {
        self.leave_value();
        if !self.reader.item()? {
            self.out.push(b']');
            self.scratch.frames.pop();
            return Ok(None);
        }
        let before = self.out.len();
        self.comma();
        let below = self.enter_value(At::Item(next), before);
        self.innermost().kind = Container::Array { next: next + 1 };
        Ok(Some(below))
    }

    /// Steps to the next member of the innermost object, or out of it.
    fn member(&mut self, first: usize, sorted: bool) -> Result<Option<Active>, Rejected> {
        self.leave_value();
        self.scratch.members.ended(first, self.out.len());
        let before = self.out.len();
        if let Some(name) = self.reader.plain_key() {
            // Its quote and colon stand behind it.
            let begin = self.reader.offset() - 2 - name.len();
            self.comma();
            let start = self.out.len();
            self.out.push(b'"');
            self.out.extend_from_slice(name);
            self.out.extend_from_slice(b"\":");
            return self.named(first, sorted, name, before..start, begin).map(Some);
        }
        let Some(key) = self.reader.key()? else {
            if !sorted {
                let body = self.innermost().body;
                self.scratch.members.sort(first, body, self.out)?;
            }
            self.scratch.members.truncate(first);
            self.out.push(b'}');
            self.scratch.frames.pop();
            return Ok(None);
        };
        self.comma();
        let start = self.out.len();
        key.write(self.out)?;
        self.out.push(b':');
        let unescaped = key.escaped().then(|| key.decode()).transpose()?;
        let name = unescaped.as_ref().map_or(key.raw(), |name| name.as_bytes());
        self.named(first, sorted, name, before..start, key.offset()).map(Some)
    }

    /// Takes note of a member whose key was written, at `begin` of the text. Of the output, what it is for
    /// begins with `grown`, and its key where that ends.
    fn named(
        &mut self,
        first: usize,
        sorted: bool,
        name: &[u8],
        grown: Range<usize>,
        begin: usize,
    ) -> Result<Active, Rejected> {
        let in_order = self.scratch.members.push(first, name, grown.end, begin)?;
        let below = self.enter_value(At::Member(name), grown.start);
        self.innermost().kind = Container::Object { first, sorted: sorted && in_order };
        Ok(below)
    }

    fn comma(&mut self) {
        if self.out.len() > self.innermost().body {
            self.out.push(b',');
        }
    }

    /// Gives what the pointers say about the next value, for whose sake the output grew from `before` on.
    fn enter_value(&mut self, at: At<'_>, before: usize) -> Active {
        let active = self.innermost().active;
        if active == 0 {
            return 0;
        }
        let depth = self.scratch.frames.len();
        let hit = self.paths.hit(active, depth - 1, at);
        if hit.excluded || hit.field.is_some() {
            let (value, lossy_before) = (self.out.len(), self.lossy);
            self.scratch.selected.push(Selected { hit, depth, value, before, lossy_before });
        }
        hit.below
    }

    /// The value that was open in the innermost container, if any, is complete.
    fn leave_value(&mut self) {
        let depth = self.scratch.frames.len();
        let Some(selected) = self.scratch.selected.pop_if(|value| value.depth == depth) else {
            return;
        };
        if let Some(number) = selected.hit.field {
            (self.field)(number, &self.out[selected.value..]);
        }
        if selected.hit.excluded {
            self.out.truncate(selected.before);
            self.lossy = selected.lossy_before;
        }
    }

    fn innermost(&mut self) -> &mut Frame {
        self.scratch.frames.last_mut().expect("called only while a container is open")
    }
}

#[cfg(test)]
mod tests;
