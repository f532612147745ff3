//! The three signals of OTLP.

use crate::otlp::Request;

/// Names the three signals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Signal {
    /// Spans.
    Traces,
    /// Metric data points.
    Metrics,
    /// Log records.
    Logs,
}

impl Signal {
    /// Lists all three, in the order in which people list them.
    pub const ALL: [Signal; 3] = [Signal::Traces, Signal::Metrics, Signal::Logs];

    /// Gives the word that stands in pipeline ids.
    pub fn name(self) -> &'static str {
        match self {
            Signal::Traces => "traces",
            Signal::Metrics => "metrics",
            Signal::Logs => "logs",
        }
    }

    /// Gives the export request of this signal.
    pub fn request(self) -> Request {
        match self {
            Signal::Traces => Request::Traces,
            Signal::Metrics => Request::Metrics,
            Signal::Logs => Request::Logs,
        }
    }

    /// Says what one item is called in the Collector's metric names.
    pub fn items(self) -> &'static str {
        match self {
            Signal::Traces => "spans",
            Signal::Metrics => "metric_points",
            Signal::Logs => "log_records",
        }
    }
}

impl From<Request> for Signal {
    fn from(request: Request) -> Self {
        match request {
            Request::Traces => Signal::Traces,
            Request::Metrics => Signal::Metrics,
            Request::Logs => Signal::Logs,
        }
    }
}
