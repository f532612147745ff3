//! Which export request some bytes are, and how deep its messages may nest.

/// Bounds how deep messages may nest below the request: prost's limit, which cannot be changed there.
pub(in crate::otlp) const MAX_DEPTH: u32 = 100;

/// Says which export request some bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Request {
    /// `ExportTraceServiceRequest`
    Traces,
    /// `ExportMetricsServiceRequest`
    Metrics,
    /// `ExportLogsServiceRequest`
    Logs,
}
