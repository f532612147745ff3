//! Where a receiver puts its batches: a door whose other side can be changed.

use std::sync::Arc;

use arc_swap::ArcSwapOption;

use crate::telemetry::{Batch, Needs, Signal, Verdict};

/// Runs the chains behind an outlet, and offers the result to the queues.
pub trait Consumer: Send + Sync {
    /// Takes the batch, which came in over `transport`, and settles its receipt, now or later. Never
    /// waits.
    fn offer(&self, batch: Batch, transport: Transport);

    /// Says whether anybody behind it wants this signal.
    fn takes(&self, _: Signal) -> bool {
        true
    }

    /// Gives what is read of content behind it.
    fn needs(&self) -> Needs {
        Needs::ALL
    }
}

/// Says how telemetry came in, as the Collector's `transport` label has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Transport {
    /// It was made here: no label.
    #[default]
    None,
    /// `grpc`
    Grpc,
    /// `http`
    Http,
}

impl Transport {
    /// All of them.
    pub const ALL: [Transport; 3] = [Transport::None, Transport::Grpc, Transport::Http];

    /// The label's value; empty for none.
    pub fn name(self) -> &'static str {
        match self {
            Transport::None => "",
            Transport::Grpc => "grpc",
            Transport::Http => "http",
        }
    }
}

/// A receiver's way out. Clones lead to the same place. The target is loaded at each offer, so a
/// reload re-points it without the receiver knowing, and an old chain ends with its last offer.
#[derive(Clone, Default)]
pub struct Outlet {
    target: Arc<ArcSwapOption<Box<dyn Consumer>>>,
    transport: Transport,
}

impl Outlet {
    /// An outlet that leads to `target`.
    pub fn to(target: impl Consumer + 'static) -> Self {
        let outlet = Outlet::default();
        outlet.point(Some(Box::new(target)));
        outlet
    }

    /// Changes where it leads; `None` for nowhere.
    pub fn point(&self, target: Option<Box<dyn Consumer>>) {
        self.target.store(target.map(Arc::new));
    }

    /// The same way out, for what comes in over `transport`.
    pub fn over(&self, transport: Transport) -> Outlet {
        Outlet { target: Arc::clone(&self.target), transport }
    }

    /// Says whether a pipeline behind it wants this signal; while it leads nowhere, it may yet.
    pub fn takes(&self, signal: Signal) -> bool {
        self.target.load_full().is_none_or(|target| target.takes(signal))
    }

    /// Gives what is read of content behind it; while it leads nowhere, all may yet be.
    pub fn needs(&self) -> Needs {
        self.target.load_full().map_or(Needs::ALL, |target| target.needs())
    }

    /// Hands a batch over. Never waits: full queues refuse or drop, and the receipt tells.
    pub fn offer(&self, batch: Batch) {
        match self.target.load_full() {
            Some(target) => target.offer(batch, self.transport),
            None => batch.receipt.settle(Verdict::Retry { after: None }),
        }
    }
}

impl std::fmt::Debug for Outlet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Outlet")
    }
}
