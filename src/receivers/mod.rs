//! Receivers: nouns, named for their protocol.

pub mod mcp_http;
pub mod mcp_stdio;
mod tap;

use crate::pipeline::ReceiverKind;

/// Every receiver, in the order `components` lists them.
pub static RECEIVERS: &[ReceiverKind] =
    &[ReceiverKind::of::<mcp_http::Config>(), ReceiverKind::of::<mcp_stdio::Config>()];
