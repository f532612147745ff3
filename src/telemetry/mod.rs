//! The unit that flows: OTLP itself, in two views, with what may not leave beside it and the
//! acknowledgement as a value.
//!
//! There is no second span type: the messages of `opentelemetry-proto` are the model, as pdata is in
//! the Collector. Nothing here does I/O or knows MCP.

pub mod names;

mod clock;
mod content;
mod keys;
mod receipt;
mod split;
mod view;

pub use clock::{Clock, Nanos, Offset};
pub use content::{Content, Raw, Reads, Seen, SpanId, SpanKey};
pub use keys::{OwnKey, OwnKeys, PeerKeys};
pub use receipt::{Receipt, Verdict, Waiting};
pub use view::{Model, Signal, Telemetry};

/// What moves through a pipeline: telemetry, what was seen but may not be exported, and the duty to
/// say what became of it.
#[derive(Debug)]
pub struct Batch {
    /// What exporters are handed, and all they are handed.
    pub telemetry: Telemetry,
    /// What the taps saw. Processors read it; it is by type out of an exporter's reach.
    pub content: Content,
    /// Who holds the batch settles it.
    pub receipt: Receipt,
}

impl Batch {
    /// A batch without content that nobody waits for.
    pub fn new(telemetry: Telemetry) -> Self {
        Batch { telemetry, content: Content::default(), receipt: Receipt::nobody() }
    }
}

/// A second holder with a receipt of its own; telemetry and content are shared, not copied.
impl Clone for Batch {
    fn clone(&self) -> Self {
        Batch {
            telemetry: self.telemetry.clone(),
            content: self.content.clone(),
            receipt: self.receipt.clone(),
        }
    }
}
