//! The processors of one pipeline, run as one function on the caller's thread.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use super::books::count_drop;
use super::{Complaint, Counter, INCIDENTS, Id, Processor, Vitals};
use crate::privacy::digest::Key;
use crate::telemetry::{Batch, Clock, Reads};

/// One pipeline's processors. Dropping the last handle finishes them, in order: an old chain ends with
/// its last offer.
pub(super) struct Chain {
    id: String,
    stages: Vec<Stage>,
    clock: Clock,
    vitals: Vitals,
    accepted: Counter,
    panics: Complaint,
}

struct Stage {
    id: String,
    processor: Box<dyn Processor>,
    incoming: Counter,
    outgoing: Counter,
    panics: Complaint,
}

/// A batch at the end of the chain, with how many items each stage let through. Nothing is counted
/// until somebody has taken the batch: a refused one comes again.
pub(super) struct Passed {
    pub(super) batch: Option<Batch>,
    /// Items before the first stage and after each.
    items: Vec<usize>,
}

impl Chain {
    pub(super) fn new(
        pipeline: &Id,
        processors: Vec<(Id, Box<dyn Processor>)>,
        clock: Clock,
        vitals: &Vitals,
    ) -> Arc<Self> {
        let signal = pipeline.kind.clone();
        let stage = |(id, processor): (Id, Box<dyn Processor>)| {
            let id = id.to_string();
            let labels = [("processor", id.as_str()), ("otel.signal", signal.as_str())];
            let incoming = vitals.counter("otelcol_processor_incoming_items", &labels);
            let outgoing = vitals.counter("otelcol_processor_outgoing_items", &labels);
            Stage { id, processor, incoming, outgoing, panics: Complaint::default() }
        };
        let id = pipeline.to_string();
        let accepted = vitals.counter("mcpcol_pipeline_accepted_items", &[("pipeline", &id)]);
        let stages = processors.into_iter().map(stage).collect();
        let (vitals, panics) = (vitals.clone(), Complaint::default());
        Arc::new(Chain { id, stages, clock, vitals, accepted, panics })
    }

    /// What its processors read of content.
    pub(super) fn reads(&self) -> Reads {
        self.stages.iter().map(|stage| stage.processor.reads()).fold(Reads::NONE, Reads::or)
    }

    /// The key of the first processor that has one.
    pub(super) fn key(&self) -> Option<Key> {
        self.stages.iter().find_map(|stage| stage.processor.key())
    }

    /// Runs the batch through all stages.
    pub(super) fn run(&self, batch: Batch) -> Passed {
        let now = self.clock.now();
        let mut items = Vec::with_capacity(self.stages.len() + 1);
        items.push(batch.telemetry.items());
        let mut batch = Some(batch);
        for stage in &self.stages {
            batch = batch.and_then(|b| stage.processor.process(b, now));
            items.push(batch.as_ref().map_or(0, |b| b.telemetry.items()));
        }
        Passed { batch, items }
    }

    /// Enters a batch that was taken into the books.
    pub(super) fn book(&self, passed: &[usize]) {
        self.accepted.add(passed[0] as u64);
        for (stage, step) in self.stages.iter().zip(passed.windows(2)) {
            stage.incoming.add(step[0] as u64);
            stage.outgoing.add(step[1] as u64);
            if step[1] < step[0] {
                let ended = (step[0] - step[1]) as u64;
                count_drop(&self.vitals, "pipeline", &self.id, &stage.id, ended);
            }
        }
    }

    /// Enters a batch that ended in a panic of one of the stages.
    pub(super) fn book_panic(&self, items: usize) {
        self.accepted.add(items as u64);
        count_drop(&self.vitals, "pipeline", &self.id, "panic", items as u64);
        if let Some(unsaid) = self.panics.due() {
            tracing::error!(target: INCIDENTS, pipeline = self.id, items, unsaid,
                "a processor panicked: dropping");
        }
    }

    /// Ticks every stage; how long until the first of them wants to be called again. A wait and no time,
    /// because the wall clock may jump meanwhile.
    pub(super) fn tick(&self) -> Option<Duration> {
        let now = self.clock.now();
        let next = self.stages.iter().filter_map(|s| s.caught(|p| p.tick(now)).flatten()).min()?;
        Some(Duration::from_nanos(next.saturating_sub(now)))
    }
}

impl Stage {
    /// A bug of one processor ends neither the others nor the process.
    fn caught<T>(&self, call: impl FnOnce(&dyn Processor) -> T) -> Option<T> {
        let result = catch_unwind(AssertUnwindSafe(|| call(&*self.processor)));
        if result.is_err()
            && let Some(unsaid) = self.panics.due()
        {
            tracing::error!(target: INCIDENTS, processor = %self.id, unsaid,
                "the processor panicked");
        }
        result.ok()
    }
}

impl Passed {
    /// The batch, and the counts for [`Chain::book`].
    pub(super) fn into_parts(self) -> (Option<Batch>, Vec<usize>) {
        (self.batch, self.items)
    }
}

impl Drop for Chain {
    fn drop(&mut self) {
        let now = self.clock.now();
        for stage in &self.stages {
            stage.caught(|processor| processor.finish(now));
        }
    }
}
