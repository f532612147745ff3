//! Receivers: nouns, named for their protocol.

mod ends;
mod tap;
pub mod mcp_http;
pub mod mcp_stdio;
pub mod otlp;

use crate::pipeline::ReceiverKind;

/// Every receiver, in the order `components` lists them.
pub static RECEIVERS: &[ReceiverKind] = &[
    ReceiverKind::of::<mcp_http::Config>(),
    ReceiverKind::of::<mcp_stdio::Config>(),
    ReceiverKind::of::<otlp::Config>(),
];
