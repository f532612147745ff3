//! OTLP on the wire: the check that lets bytes in, and OTLP/JSON.
//!
//! Works on the messages of `opentelemetry-proto`; knows nothing of batches, pipelines or transports.

mod growth;
pub mod ids;
pub mod json;
pub mod sieve;
pub mod wire;

pub use growth::{Growth, MAX_GROWTH};

#[cfg(test)]
pub(crate) mod arbitrary;
