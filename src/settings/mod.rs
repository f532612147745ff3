//! Words that many components share in YAML: where they stand, durations, queues, TLS, secrets.
//!
//! Types here are what users write, checked; they build nothing and open nothing.

mod client;
mod delivery;
mod duration;
mod secret;
mod tls;
mod written;

pub use client::{Compression, Endpoint, Headers, Keepalive, Unsupported};
pub use delivery::{BatchSettings, Delivery, OnFull, QueueSettings, RetrySettings, Sizer};
pub use duration::Duration;
pub use secret::Secret;
pub use tls::{ClientTls, TlsError, TlsMaterial};
pub use written::{Key, Mark, Node, Problem, Problems, Report, Severity, Value};
