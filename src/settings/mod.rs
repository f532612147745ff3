//! Words that many components share in YAML: where they stand, durations, queues, TLS, secrets.
//!
//! Types here are what users write, checked; they build nothing and open nothing.

mod delivery;
mod duration;
mod written;

pub use delivery::{BatchSettings, Delivery, OnFull, QueueSettings, RetrySettings, Sizer};
pub use duration::Duration;
pub use written::{Key, Mark, Node, Problem, Problems, Report, Severity, Value};
