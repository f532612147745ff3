//! Spans, metrics and log records written as protobuf from the start, for who makes many of them: a span is some fifty
//! strings as messages, and one piece of memory here.
//!
//! What is written decodes by construction: texts are `str`, ids arrays, lengths are those of what is there.
//! Fields that hold their default are left out, as proto3 has it, but for the time of an event that may yet
//! be changed. It does not watch over order or uniqueness; who calls each method once, in the order in
//! which they stand here, writes what an encoder of the messages would.

mod fields;
mod attributes;
mod group;
mod spans;
mod metrics;
mod logs;

pub use attributes::{Attributes, Value};
pub(in crate::otlp) use fields::{Open, fixed32, fixed64, header, slice, varint};
pub use logs::{LogRecord, LogRecords, Logs};
pub use metrics::{
    About, Exemplar, HistogramPoint, Metrics, NumberPoint, ScopeMetrics, Temporality,
};
pub use spans::{ResourceSpans, ScopeSpans, Span, Spans, Traces};

#[cfg(test)]
mod tests;
