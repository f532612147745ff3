//! The unit that flows: OTLP itself, as bytes, with what may not leave beside it and the acknowledgement as a
//! value.
//!
//! There is no second span type and nothing is decoded on the way: who reads takes [views](crate::otlp::wire::view)
//! of the bytes, who changes is an [`Edit`](crate::otlp::wire::edit::Edit). Nothing here does I/O or knows MCP.

mod clock;
mod keys;
mod content;
mod instance;
pub mod names;
mod receipt;
mod signal;
mod batch;

pub use batch::{Batch, Telemetry};
pub use clock::{Clock, Nanos, Offset};
pub use content::{
    CallSecrets, Capture, CaptureLevel, Content, Header, Headers, Needs, Raw, Seen, SpanId, SpanKey,
};
pub use instance::instance_id;
pub use keys::{OwnKey, OwnKeys, PeerKeys};
pub use receipt::{Receipt, Verdict, Waiting};
pub use signal::Signal;
