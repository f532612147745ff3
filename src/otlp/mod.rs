//! OTLP on the wire: the check that lets bytes in, and OTLP/JSON.

pub mod wire;
