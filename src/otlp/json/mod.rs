//! OTLP/JSON: one document of `TracesData`, `MetricsData` or `LogsData`, as the OTLP file format has
//! one a line.
//!
//! The specification's rules: ids are lower-case hex, other bytes base64, 64-bit integers are strings,
//! enums numbers, keys lowerCamelCase. Members that hold their default are left out; a oneof keeps its
//! chosen member. Written straight into bytes, with no tree and no serde between.

mod object;
#[cfg(test)]
mod tests;
mod write;

pub use write::{write_logs, write_metrics, write_traces};
