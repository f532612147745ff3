//! A text that comes in pieces, of which at most a head and the last bytes are kept.
//!
//! Lines of stdio, HTTP bodies and server-sent events are gathered this way. It knows nothing of what
//! ends them.

/// Limits the last bytes that are kept of an over-long text: TypeScript peers put the id there.
pub const TAIL: usize = 4096;

/// Describes the rest of a text that was too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut<'a> {
    /// Bytes of the whole text.
    pub size: u64,
    /// The last bytes of the text, at most [`TAIL`].
    pub tail: &'a [u8],
}

/// A text in progress.
#[derive(Debug, Default)]
pub(super) struct Partial {
    /// Its beginning, at most the limit.
    head: Vec<u8>,
    /// Bytes past `head`.
    over: u64,
    /// The last of those bytes, at most twice [`TAIL`].
    tail: Vec<u8>,
}

impl Partial {
    /// Takes the next bytes. `max` is the longest text that is kept whole.
    pub(super) fn push(&mut self, bytes: &[u8], max: usize) {
        let room = if self.over > 0 { 0 } else { max.saturating_sub(self.head.len()) };
        let (head, rest) = bytes.split_at(bytes.len().min(room));
        self.head.extend_from_slice(head);
        self.keep(rest);
    }

    /// The next `skipped` bytes were not observed.
    pub(super) fn skip(&mut self, skipped: u64) {
        if skipped > 0 {
            self.over += skipped;
            self.tail.clear();
        }
    }

    /// Says whether nothing came yet.
    pub(super) fn is_empty(&self) -> bool {
        self.head.is_empty() && self.over == 0
    }

    /// Bytes of the whole text.
    pub(super) fn size(&self) -> u64 {
        self.head.len() as u64 + self.over
    }

    /// Bytes that are kept of it.
    pub(super) fn held(&self) -> usize {
        self.head.len() + self.tail.len()
    }

    /// The text, or its head if it was cut.
    pub(super) fn text(&self) -> &[u8] {
        &self.head
    }

    /// Gives what is known of the rest of a text that was too long.
    pub(super) fn cut(&self) -> Option<Cut<'_>> {
        let tail = &self.tail[self.tail.len().saturating_sub(TAIL)..];
        (self.over > 0).then_some(Cut { size: self.size(), tail })
    }

    /// Begins anew.
    pub(super) fn clear(&mut self) {
        /// A buffer that once held a long text is given back rather than kept for the next.
        const KEEP: usize = 64 * 1024;
        self.head.clear();
        self.head.shrink_to(KEEP);
        self.tail.clear();
        self.over = 0;
    }

    /// Counts bytes past the head and remembers the last of them.
    fn keep(&mut self, bytes: &[u8]) {
        self.over += bytes.len() as u64;
        self.tail.extend_from_slice(&bytes[bytes.len().saturating_sub(TAIL)..]);
        if self.tail.len() > 2 * TAIL {
            self.tail.drain(..self.tail.len() - TAIL);
        }
    }
}
