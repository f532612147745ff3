//! What stands in for a component that cannot be built while a tap's server already runs: nothing leaves
//! through it, and the accounts say how much did not.

use super::{BoxFuture, ExportError, Exported, Exporter, Flow, Id, Pass, Processor};
use crate::telemetry::{Batch, Telemetry};

/// In place of an exporter: why it cannot start.
pub(super) struct DisabledExporter(pub(super) String);

/// In place of a processor: nothing passes, because what it was there to withhold must not leave.
pub(super) struct BlockingProcessor;

impl Exporter for DisabledExporter {
    fn export<'a>(&'a self, _: &'a Telemetry) -> BoxFuture<'a, Result<Exported, ExportError>> {
        let why = format!("cannot start: {}", self.0);
        Box::pin(async { Err(ExportError::Reject { why }) })
    }
}

impl BlockingProcessor {
    pub(super) fn because(id: &Id, error: &anyhow::Error) -> Self {
        tracing::error!(processor = %id, "cannot start, its pipeline passes nothing: {error:#}");
        BlockingProcessor
    }
}

impl Processor for BlockingProcessor {
    fn process(&self, batch: Batch, _: &mut Pass) -> Flow {
        // Nothing is said of the items: they are dropped under the processor's own name.
        Flow::Done(batch.receipt)
    }
}
