//! What a processor says about one batch while it works on it: what it dropped, what it keeps, and what
//! happens once the sender is told that the batch was accepted.

use crate::telemetry::{Nanos, Receipt};

/// One batch's way through one processor.
pub struct Pass {
    now: Nanos,
    said: Said,
    effects: Vec<Box<dyn FnOnce() + Send>>,
}

/// Tells what became of the items that do not go on now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// Items dropped, by reason.
    pub dropped: Vec<(&'static str, usize)>,
    /// Items kept for later.
    pub kept: usize,
}

impl Pass {
    /// The way of a batch that a processor is handed at `now`.
    pub fn new(now: Nanos) -> Self {
        Pass { now, said: Said::default(), effects: Vec::new() }
    }

    /// The time at which the batch came to this chain.
    pub fn now(&self) -> Nanos {
        self.now
    }

    /// Says that so many items of the batch end here. The reason is a label of the counter of drops.
    pub fn dropped(&mut self, reason: &'static str, items: usize) {
        if items > 0 {
            self.said.dropped.push((reason, items));
        }
    }

    /// Keeps so many items of the batch for later: `keep` takes them, once the sender is told Accepted. From
    /// then on the processor holds them, and sends them on or drops them by [`Next`](super::Next).
    pub fn keep(&mut self, items: usize, keep: impl FnOnce() + Send + 'static) {
        self.said.kept += items;
        self.once_accepted(keep);
    }

    /// Runs `effect` once the sender is told Accepted, and never if it is told to come again: see
    /// [`Receipt::once_accepted`].
    pub fn once_accepted(&mut self, effect: impl FnOnce() + Send + 'static) {
        self.effects.push(Box::new(effect));
    }

    /// Hands the effects to the receipt on which they depend, and returns what was said.
    pub fn entrust(self, receipt: &Receipt) -> Said {
        self.effects.into_iter().for_each(|effect| receipt.once_accepted(effect));
        self.said
    }
}

impl std::fmt::Debug for Pass {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pass").field("said", &self.said).finish_non_exhaustive()
    }
}
