//! `mcp_metrics`: makes metrics of the calls that pass it, by OpenTelemetry's conventions for MCP.
//!
//! ```yaml
//! mcp_metrics:
//!   count: tap                          # spans of taps; or client, server: spans of SDKs
//!   metrics_interval: 60s
//!   aggregation_cardinality_limit: 1000 # series of a metric
//! ```
//! Spans and log records go on as they came. What is counted of them goes to every `metrics` pipeline that names the
//! processor as a receiver, once an interval and once more at the end, and stands on the Prometheus port all the time:
//! the same numbers under two names. It samples nothing, changes nothing, and computes no percentiles: that is
//! the backend's work, from buckets.

mod call;
mod words;
mod series;
mod sessions;
mod books;
mod export;
mod settings;

use std::sync::Arc;

use self::books::{Books, Rules};
use crate::pipeline::{Flow, Outlet, Pass, Processor};
use crate::telemetry::{Batch, Nanos, Signal};

pub use settings::Config;

/// One instance: all of one id share their books.
struct McpMetrics {
    rules: Rules,
    books: Arc<Books>,
    emit: Outlet,
}

impl McpMetrics {
    /// Sends what was counted so far to whoever wants it.
    fn send(&self, now: Nanos) {
        if self.emit.takes(Signal::Metrics) {
            for metrics in self.books.export(now) {
                self.emit.offer(Batch::new(metrics.into()));
            }
        }
    }
}

impl Processor for McpMetrics {
    fn process(&self, batch: Batch, pass: &mut Pass) -> Flow {
        // Its bytes are shared, and looked at once nobody will send them again.
        let (books, rules, telemetry) =
            (Arc::clone(&self.books), self.rules, batch.telemetry.clone());
        pass.once_accepted(move || books.count(&telemetry, &rules));
        Flow::Pass(batch)
    }

    fn tick(&self, now: Nanos) -> Option<Nanos> {
        if self.books.is_due(now, &self.rules) {
            self.books.end_sessions(&self.rules, Some(now));
            self.send(now);
        }
        Some(self.books.next())
    }

    /// The last one of its id ends the sessions and sends: after a reload that keeps the processor others go on.
    fn finish(&self, now: Nanos) {
        if self.books.leave() {
            self.books.end_sessions(&self.rules, None);
            self.send(now);
        }
    }
}

#[cfg(test)]
mod tests;
