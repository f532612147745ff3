//! The settings of `mcp_metrics`: as written, and what is wrong with them.

use std::sync::Arc;
use std::time;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::McpMetrics;
use super::books::{Books, Rules};
use super::series::Shown;
use crate::calls::Count;
use crate::metrics::MAX_SERIES;
use crate::pipeline::{Build, ComponentConfig, Processor, ProcessorConfig};
use crate::settings::{Duration, Report};
use crate::telemetry::names::{ERROR_TYPE, METHOD, TOOL};
use crate::telemetry::{Nanos, Signal};

/// The shortest `metrics_interval`: each sends every series.
const SHORTEST: time::Duration = time::Duration::from_secs(1);

/// Settings of the `mcp_metrics` processor.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Says which spans are calls: each call has one of them, however many parties tell of it.
    count: Whose,
    /// Says how often metrics are sent, 1s or more.
    metrics_interval: Duration,
    /// Says how long a session is quiet before it counts as ended with its last call.
    session_idle: Duration,
    /// Bounds the series of each metric, 1 to 2000: what comes after shares one more, with `otel.metric.overflow`.
    aggregation_cardinality_limit: usize,
}

/// Whose spans are calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Whose {
    /// Counts what taps made, here or elsewhere.
    #[default]
    Tap,
    /// Counts CLIENT spans of clients' own instrumentation.
    Client,
    /// Counts SERVER spans of servers' own instrumentation.
    Server,
}

impl From<Whose> for Count {
    fn from(whose: Whose) -> Self {
        match whose {
            Whose::Tap => Count::Tap,
            Whose::Client => Count::Client,
            Whose::Server => Count::Server,
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Config {
            count: Whose::default(),
            metrics_interval: Duration::secs(60),
            session_idle: Duration::secs(30 * 60),
            aggregation_cardinality_limit: 1000,
        }
    }
}

impl ComponentConfig for Config {
    const NAME: &'static str = "mcp_metrics";
    const ABOUT: &'static str = "makes metrics of calls, by the conventions for MCP";
    const SIGNALS: &'static [Signal] = &[Signal::Traces, Signal::Logs];

    fn check(&self, report: &mut Report<'_>) {
        if self.metrics_interval.0 < SHORTEST {
            report.error("metrics_interval", "must be 1s or more: each sends every series");
        }
        if self.session_idle.0.is_zero() {
            report.error("session_idle", "must be more than 0");
        }
        if !(1..=MAX_SERIES).contains(&self.aggregation_cardinality_limit) {
            let message = format!("must be from 1 to {MAX_SERIES}");
            report.error("aggregation_cardinality_limit", message);
        }
    }
}

impl ProcessorConfig for Config {
    fn emits(&self) -> &'static [Signal] {
        &[Signal::Metrics]
    }

    fn needs(&self) -> Vec<&str> {
        vec![METHOD, TOOL, ERROR_TYPE]
    }

    fn build(&self, cx: &Build<'_>) -> anyhow::Result<Box<dyn Processor>> {
        let books = cx.shared(|| {
            let shown = Shown { metrics: cx.metrics().clone(), by: cx.id.to_string() };
            Books::new(shown, cx.clock.now())
        });
        books.enter();
        Ok(Box::new(self.on(Arc::clone(&books), cx)))
    }
}

impl Config {
    fn on(&self, books: Arc<Books>, cx: &Build<'_>) -> McpMetrics {
        let nanos = |of: Duration| Nanos::try_from(of.0.as_nanos()).unwrap_or(Nanos::MAX);
        let rules = Rules {
            count: self.count.into(),
            max: self.aggregation_cardinality_limit,
            interval: nanos(self.metrics_interval),
            idle: nanos(self.session_idle),
        };
        McpMetrics { rules, books, emit: cx.emit.clone() }
    }
}
