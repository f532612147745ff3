//! Where a receiver puts its batches: a door whose other side can be changed.

use std::sync::Arc;

use arc_swap::ArcSwapOption;

use crate::telemetry::{Batch, Verdict};

/// What stands behind an outlet: runs the chains and offers the result to the queues.
pub trait Target: Send + Sync {
    /// Takes the batch and settles its receipt, now or later. Never waits.
    fn offer(&self, batch: Batch);
}

/// A receiver's way out. Clones lead to the same place. The target is loaded at each offer, so a
/// reload re-points it without the receiver knowing, and an old chain ends with its last offer.
#[derive(Clone, Default)]
pub struct Outlet(Arc<ArcSwapOption<Box<dyn Target>>>);

impl Outlet {
    /// An outlet that leads to `target`.
    pub fn to(target: impl Target + 'static) -> Self {
        let outlet = Outlet::default();
        outlet.point(Some(Box::new(target)));
        outlet
    }

    /// Changes where it leads; `None` for nowhere.
    pub fn point(&self, target: Option<Box<dyn Target>>) {
        self.0.store(target.map(Arc::new));
    }

    /// Hands a batch over. Never waits: full queues refuse or drop, and the receipt tells.
    pub fn offer(&self, batch: Batch) {
        match self.0.load_full() {
            Some(target) => target.offer(batch),
            None => batch.receipt.settle(Verdict::Retry { after: None }),
        }
    }
}

impl std::fmt::Debug for Outlet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Outlet")
    }
}
