//! The version of HTTP that a server is spoken to in.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Chooses the version of HTTP that a server is spoken to in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// Speaks with TLS what both sides agree on, else HTTP/1.1.
    #[default]
    Auto,
    /// Speaks HTTP/1.1.
    Http1,
    /// Speaks HTTP/2, also without TLS (prior knowledge, RFC 9113 section 3.3).
    Http2,
}
