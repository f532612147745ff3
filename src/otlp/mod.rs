//! OTLP on the wire: the check that lets bytes in, and OTLP/JSON.
//!
//! One table of OTLP's messages serves all of it; knows nothing of batches, pipelines or transports.

mod growth;
pub mod ids;
pub mod json;
pub mod messages;
mod schema;
pub mod wire;

pub use growth::{Growth, MAX_GROWTH};
pub use messages::Messages;
pub use schema::Holder;

#[cfg(test)]
pub(crate) mod arbitrary;
