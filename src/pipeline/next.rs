//! A processor's way on for what it kept: the rest of its own chain.
//!
//! For telemetry of other signals there is `Build::emit`.

use std::sync::Arc;

use super::accounting::{Accounts, PipelineCounters, StageCounters};
use super::chain::Rest;
use super::route::go_on;
use crate::telemetry::{Batch, Clock, Signal};

/// The rest of the chain behind one processor. Whoever holds it keeps that rest from ending: an instance
/// of a processor may, state that is shared by several or survives a reload must not.
#[derive(Clone)]
pub struct Next {
    rest: Rest,
    counters: Arc<StageCounters>,
    clock: Clock,
}

impl Next {
    pub(super) fn new(rest: Rest, counters: Arc<StageCounters>, clock: Clock) -> Self {
        Next { rest, counters, clock }
    }

    /// A way that leads nowhere: what is sent there is gone. For a processor outside of a pipeline.
    pub fn nowhere() -> Self {
        let pipeline = PipelineCounters::new(&Accounts::default(), "nowhere", Signal::Traces);
        let counters = StageCounters::new(Arc::new(pipeline), "nowhere");
        Next::new(Rest::Exits([].into()), Arc::new(counters), Clock::start())
    }

    /// Sends on items that were kept. Nobody waits for them any more: what a stage or a queue behind this
    /// refuses is a counted drop.
    pub fn send(&self, batch: Batch) {
        self.counters.sent_on(batch.telemetry.items());
        go_on(&self.rest, batch, self.clock.now(), &self.counters.pipeline);
    }

    /// Drops so many of the items that were kept.
    pub fn dropped(&self, reason: &'static str, items: usize) {
        self.counters.let_go(reason, items);
    }
}

impl std::fmt::Debug for Next {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Next")
    }
}
