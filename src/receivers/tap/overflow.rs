//! Holds the unobserved rest of a message longer than the limit: its length and its last 4 KiB, where peers
//! often put `id` and `error`.

use crate::mcp::TAIL;

/// Counts what is past the limit of one message and keeps its end.
#[derive(Debug, Default)]
pub(in crate::receivers) struct OverflowTail {
    /// Bytes that are not kept.
    left_out: u64,
    /// The last bytes, at most [`TAIL`].
    tail: Vec<u8>,
}

impl OverflowTail {
    /// Takes more of the message.
    pub(in crate::receivers) fn add(&mut self, bytes: &[u8]) {
        let dropped = (self.tail.len() + bytes.len()).saturating_sub(TAIL);
        self.tail.drain(..dropped.min(self.tail.len()));
        self.tail.extend_from_slice(&bytes[bytes.len().saturating_sub(TAIL)..]);
        self.left_out += dropped as u64;
    }

    /// Ends the message: tells how many bytes are left out and what comes after them, if anything is past the
    /// limit, and is empty again. `true` if something was.
    pub(in crate::receivers) fn end(&mut self, tell: impl FnOnce(u64, &[u8])) -> bool {
        let any = !self.tail.is_empty();
        if any {
            tell(std::mem::take(&mut self.left_out), &self.tail);
            self.tail.clear();
        }
        any
    }
}
