//! The version of HTTP that a server is spoken to in.

use serde::Deserialize;

/// Chooses the version of HTTP that a server is spoken to in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// With TLS what both sides agree on, else HTTP/1.1.
    #[default]
    Auto,
    /// HTTP/1.1.
    Http1,
    /// HTTP/2, also without TLS (prior knowledge, RFC 9113 section 3.3).
    Http2,
}
