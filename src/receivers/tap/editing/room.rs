//! Bounds what messages that are not whole yet take together.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Editing;

/// Counts what one tap holds, over all messages, in bytes. What does not fit passes as it is.
const HOLD_ALL: usize = 64 << 20;

/// Room for one message that is held; given back when it is dropped.
pub(in crate::receivers) struct Room {
    editing: Arc<Editing>,
    bytes: usize,
}

impl Room {
    /// None taken yet.
    pub(in crate::receivers) fn new(editing: &Arc<Editing>) -> Self {
        Room { editing: Arc::clone(editing), bytes: 0 }
    }

    /// From here on so much is held; `false`, and as before, if there is no room for it.
    pub(in crate::receivers) fn take(&mut self, bytes: usize) -> bool {
        let held = &self.editing.held;
        if bytes > self.bytes {
            let more = bytes - self.bytes;
            if held.fetch_add(more, Ordering::Relaxed) + more > HOLD_ALL {
                held.fetch_sub(more, Ordering::Relaxed);
                return false;
            }
        } else {
            held.fetch_sub(self.bytes - bytes, Ordering::Relaxed);
        }
        self.bytes = bytes;
        true
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.take(0);
    }
}
