//! What a message has past the limit of observation: how much, and its last bytes, where the members that
//! tell an answer's kind often stand.

/// How much of the end of a cut message is handed over: some peers write the id last.
const TAIL: usize = 4096;

/// See the module.
#[derive(Debug, Default)]
pub(in crate::receivers) struct Beyond {
    /// Bytes that are not kept.
    left_out: u64,
    /// The last bytes, at most [`TAIL`].
    tail: Vec<u8>,
}

impl Beyond {
    /// More of the message.
    pub(in crate::receivers) fn add(&mut self, bytes: &[u8]) {
        let dropped = (self.tail.len() + bytes.len()).saturating_sub(TAIL);
        self.tail.drain(..dropped.min(self.tail.len()));
        self.tail.extend_from_slice(&bytes[bytes.len().saturating_sub(TAIL)..]);
        self.left_out += dropped as u64;
    }

    /// The message ended: tells how many bytes are left out and what comes after them, if there is
    /// anything past the limit, and is empty again.
    pub(in crate::receivers) fn end(&mut self, tell: impl FnOnce(u64, &[u8])) -> bool {
        let any = !self.tail.is_empty();
        if any {
            tell(std::mem::take(&mut self.left_out), &self.tail);
            self.tail.clear();
        }
        any
    }
}
