//! OTLP on the wire: the check that lets bytes in, and OTLP/JSON.
//!
//! One table of OTLP's messages serves all of it; knows nothing of batches, pipelines or transports.

mod growth;
pub mod ids;
mod request;
mod schema;
pub mod messages;
pub mod wire;
pub mod json;

pub use growth::{Growth, MAX_GROWTH, Room};
pub use messages::Messages;
pub use request::Request;
pub use schema::Holder;

#[cfg(test)]
pub(crate) mod arbitrary;
