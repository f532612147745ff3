//! The processors of one pipeline, run as one function on the caller's thread.
//!
//! A stage owns what stands behind it: so what a processor kept has a way on, and a chain ends front to back
//! with its last holder. A chain asks no queue and settles no receipt; that is the `route`'s work.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use super::accounting::{PipelineCounters, StageCounters};
use super::gate::Gate;
use super::{Flow, INCIDENTS, Pass, Processor};
use crate::telemetry::{Batch, Clock, Nanos, Needs, Receipt, Verdict};

/// One pipeline's processors, and the exporters behind them.
pub(super) struct Chain {
    pub(super) rest: Rest,
    pub(super) counters: Arc<PipelineCounters>,
    clock: Clock,
}

/// Leads on from a place in a chain: to a processor, or to the exporters. Clones share it.
#[derive(Clone)]
pub(super) enum Rest {
    Stage(Arc<Stage>),
    Exits(Arc<[Gate]>),
}

/// One processor in its place. Dropping the last handle finishes it, before what stands behind it.
pub(super) struct Stage {
    processor: Box<dyn Processor>,
    rest: Rest,
    counters: Arc<StageCounters>,
    clock: Clock,
}

/// A batch's way through the stages. `T` is what is there once it got to the exporters.
pub(super) struct Passed<T> {
    pub(super) end: End<T>,
    pub(super) steps: Steps,
}

/// Says where a batch's way ended.
pub(super) enum End<T> {
    /// Behind the last stage.
    Exits(T),
    /// At a stage that dropped or kept all of it.
    Done(Receipt),
    /// At a stage that turned it back.
    Refused { receipt: Receipt, verdict: Verdict, items: usize, by: Arc<StageCounters> },
}

/// A batch and the exporters that it is for.
pub(super) type AtExits<'a> = (&'a [Gate], Batch);

/// Holds what the stages said and want done. Nothing of it has happened: a batch that is turned back comes
/// again.
pub(super) struct Steps(Vec<Step>);

struct Step {
    counters: Arc<StageCounters>,
    incoming: usize,
    outgoing: usize,
    pass: Pass,
}

impl Chain {
    pub(super) fn new(rest: Rest, counters: Arc<PipelineCounters>, clock: Clock) -> Arc<Self> {
        Arc::new(Chain { rest, counters, clock })
    }

    /// Gives what its processors read of content.
    pub(super) fn needs(&self) -> Needs {
        self.stages().map(|stage| stage.processor.needs()).fold(Needs::NONE, Needs::or)
    }

    /// Runs the batch through all stages; `None` if one of them panicked, and then the batch is gone.
    pub(super) fn run(&self, batch: Batch) -> Option<Passed<AtExits<'_>>> {
        self.rest.run(batch, self.clock.now())
    }

    /// Ticks every stage; how long until the first of them wants to be called again. A wait and no time,
    /// because the wall clock may jump meanwhile.
    pub(super) fn tick(&self) -> Option<Duration> {
        let now = self.clock.now();
        let next = self.stages().filter_map(|s| s.caught(|p| p.tick(now)).flatten()).min()?;
        Some(Duration::from_nanos(next.saturating_sub(now)))
    }

    fn stages(&self) -> impl Iterator<Item = &Stage> {
        std::iter::successors(self.rest.stage(), |stage| stage.rest.stage())
    }
}

impl Rest {
    /// Puts a processor in front.
    pub(super) fn behind(
        self,
        processor: Box<dyn Processor>,
        counters: Arc<StageCounters>,
        clock: Clock,
    ) -> Rest {
        Rest::Stage(Arc::new(Stage { processor, rest: self, counters, clock }))
    }

    /// Runs the batch through the stages from here on; `None` if one of them panicked. Such a bug must not
    /// take the thread with it: it may be a tap's observer.
    pub(super) fn run(&self, batch: Batch, now: Nanos) -> Option<Passed<AtExits<'_>>> {
        catch_unwind(AssertUnwindSafe(|| self.walk(batch, now))).ok()
    }

    fn walk(&self, mut batch: Batch, now: Nanos) -> Passed<AtExits<'_>> {
        let mut steps = Vec::new();
        let mut rest = self;
        let end = loop {
            let stage = match rest {
                Rest::Exits(exits) => break End::Exits((&**exits, batch)),
                Rest::Stage(stage) => stage,
            };
            let counters = Arc::clone(&stage.counters);
            let incoming = batch.telemetry.items();
            let mut pass = Pass::new(now);
            let ended = match stage.processor.process(batch, &mut pass) {
                Flow::Pass(on) => Ok(on),
                Flow::Done(receipt) => Err(End::Done(receipt)),
                Flow::Refused(receipt, verdict) => {
                    break End::Refused { receipt, verdict, items: incoming, by: counters };
                }
            };
            let outgoing = ended.as_ref().map_or(0, |on| on.telemetry.items());
            steps.push(Step { counters, incoming, outgoing, pass });
            match ended {
                Ok(on) => batch = on,
                Err(end) => break end,
            }
            rest = &stage.rest;
        };
        Passed { end, steps: Steps(steps) }
    }

    fn stage(&self) -> Option<&Stage> {
        match self {
            Rest::Stage(stage) => Some(stage),
            Rest::Exits(_) => None,
        }
    }
}

impl<T> End<T> {
    /// Goes on with what came to the exporters.
    pub(super) fn map<U>(self, go_on: impl FnOnce(T) -> U) -> End<U> {
        match self {
            End::Exits(at) => End::Exits(go_on(at)),
            End::Done(receipt) => End::Done(receipt),
            End::Refused { receipt, verdict, items, by } => {
                End::Refused { receipt, verdict, items, by }
            }
        }
    }
}

impl Steps {
    /// Lets it happen once the sender is told Accepted.
    pub(super) fn entrust(self, receipt: &Receipt) {
        for Step { counters, incoming, outgoing, pass } in self.0 {
            let said = pass.entrust(receipt);
            receipt.once_accepted(move || counters.enter(incoming, outgoing, &said));
        }
    }
}

impl Stage {
    /// A bug of one processor ends neither the others nor the process.
    fn caught<T>(&self, call: impl FnOnce(&dyn Processor) -> T) -> Option<T> {
        let result = catch_unwind(AssertUnwindSafe(|| call(&*self.processor)));
        if result.is_err()
            && let Some(unsaid) = self.counters.panics.due()
        {
            tracing::error!(target: INCIDENTS, processor = self.counters.processor(), unsaid,
                "the processor panicked");
        }
        result.ok()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let now = self.clock.now();
        self.caught(|processor| processor.finish(now));
    }
}
