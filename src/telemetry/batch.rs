//! The unit that flows: OTLP as its bytes, with what may not leave beside it and the acknowledgement as a value.

use bytes::Bytes;

use super::{Content, Receipt, Signal};
use crate::otlp::wire::compose::{Logs, Metrics, Traces};
use crate::otlp::wire::edit::{self, Edit, Edited};
use crate::otlp::wire::split::{self, Piece};
use crate::otlp::wire::view::{Item, each_item};
use crate::otlp::wire::{Checked, Found, check};
use crate::otlp::{Messages, json};

/// Moves through a pipeline: telemetry, what was seen but may not be exported, and the duty to
/// say what became of it.
#[derive(Debug)]
pub struct Batch {
    /// Is handed to exporters, and is all that they are handed.
    pub telemetry: Telemetry,
    /// Holds what the taps saw. Processors read it; it is by type out of an exporter's reach.
    pub content: Content,
    /// Is settled by who holds the batch.
    pub receipt: Receipt,
}

impl Batch {
    /// Makes a batch without content that nobody waits for.
    pub fn new(telemetry: Telemetry) -> Self {
        Batch { telemetry, content: Content::default(), receipt: Receipt::nobody() }
    }
}

/// Makes a second holder with a receipt of its own; telemetry and content are shared, not copied.
impl Clone for Batch {
    fn clone(&self) -> Self {
        Batch {
            telemetry: self.telemetry.clone(),
            content: self.content.clone(),
            receipt: self.receipt.clone(),
        }
    }
}

/// Holds OTLP of one signal: the bytes of its export request, which passed the [check](crate::otlp::wire::check).
/// Clones share them.
#[derive(Clone, Debug)]
pub struct Telemetry {
    signal: Signal,
    items: usize,
    wire: Bytes,
    /// It is for exporters, too. A mark beside the bytes and nothing on the wire.
    sampled: bool,
}

impl Telemetry {
    /// Says which signal it is.
    pub fn signal(&self) -> Signal {
        self.signal
    }

    /// Counts spans, data points or log records.
    pub fn items(&self) -> usize {
        self.items
    }

    /// Gives the protobuf bytes of the signal's export request.
    pub fn wire(&self) -> &Bytes {
        &self.wire
    }

    /// Says whether it is for exporters: `false` for spans of a tap whose callers did not sample. Processors see those,
    /// whatever is made of them keeps the mark, and exporters have them only where they ask for it.
    pub fn sampled(&self) -> bool {
        self.sampled
    }

    /// Gives the same with that mark.
    pub fn with_sampled(self, sampled: bool) -> Self {
        Telemetry { sampled, ..self }
    }

    /// Appends one OTLP/JSON document, without a newline.
    pub fn write_json(&self, out: &mut Vec<u8>) {
        json::write(out, self.signal.request(), &self.wire);
    }

    /// Shows each item, in order.
    pub fn each_item<'a>(&'a self, mut show: impl FnMut(&Item<'a>)) {
        each_item(self.signal.request(), &self.wire, &mut show);
    }

    /// Runs a pass over it; returns what that makes of it, which shares the bytes if it changes nothing.
    pub fn edited<'a>(&'a self, by: &mut impl Edit<'a>) -> Telemetry {
        let Edited { bytes, dropped } = edit::edit(self.signal.request(), &self.wire, by);
        let wire = bytes.unwrap_or_else(|| self.wire.clone());
        debug_assert!(check(self.signal.request(), wire.clone()).is_ok());
        Telemetry { wire, items: self.items - dropped, ..*self }
    }

    /// Cuts into pieces of at most `max` spans, log records or metrics (a metric with its data points
    /// is not cut), in order. `max` of 0 is taken as 1. Where their resources are so large that all pieces would have
    /// more than twice the bytes and 1 MiB, pieces are larger.
    pub fn split(self, max: usize) -> Vec<Telemetry> {
        if self.items <= max.max(1) {
            return vec![self];
        }
        let most = self.wire.len().saturating_mul(2).saturating_add(1 << 20);
        let mut max = max.max(1);
        while max < self.items {
            if let Some(pieces) = split::split(self.signal.request(), &self.wire, max, most) {
                return pieces.into_iter().map(|piece| self.piece(piece)).collect();
            }
            max = max.saturating_mul(2);
        }
        vec![self]
    }

    /// Cuts into two pieces with about half of the spans, log records or metrics each; a single metric
    /// by its data points. `None` if there is one item or none: that cannot be cut; nor is one of more than 1 MiB of
    /// which most would stand in both.
    pub fn halves(&self) -> Option<[Telemetry; 2]> {
        if self.items < 2 {
            return None;
        }
        let halves = split::halves(self.signal.request(), &self.wire)?;
        Some(halves.map(|piece| self.piece(piece)))
    }

    fn piece(&self, (wire, items): Piece) -> Telemetry {
        Telemetry { items, wire, ..*self }
    }

    /// Joins all of `parts` as one, on the wire: a repeated field of a message is its occurrences in
    /// order, so requests join by concatenation. `None` for nothing; the parts must share signal and mark.
    pub fn join(parts: Vec<Telemetry>) -> Option<Telemetry> {
        let signal = parts.first()?.signal();
        let sampled = parts.iter().any(Telemetry::sampled);
        debug_assert!(parts.iter().all(|part| (part.signal, part.sampled) == (signal, sampled)));
        if let [_] = parts.as_slice() {
            return parts.into_iter().next();
        }
        let mut wire = Vec::with_capacity(parts.iter().map(|part| part.wire.len()).sum());
        for part in &parts {
            wire.extend_from_slice(&part.wire);
        }
        let items = parts.iter().map(Telemetry::items).sum();
        Some(Telemetry { signal, items, wire: wire.into(), sampled })
    }

    /// Says how much memory its [messages](Self::messages) take beside the texts in them, in bytes, roughly.
    pub fn decoded_size(&self) -> usize {
        check(self.signal.request(), self.wire.clone()).map_or(0, |found| found.decoded_size())
    }

    fn composed(signal: Signal, (bytes, items): (Vec<u8>, usize)) -> Self {
        let wire = Bytes::from(bytes);
        debug_assert!(check(signal.request(), wire.clone()).is_ok());
        Telemetry { signal, items, wire, sampled: true }
    }

    /// Decodes it, for those who print it.
    pub fn messages(&self) -> Messages {
        Messages::decode(self.signal.request(), self.wire.clone())
            .expect("bytes that passed the check decode")
    }
}

/// Takes checked bytes alone: nobody behind has to doubt them.
impl From<Checked> for Telemetry {
    fn from(checked: Checked) -> Self {
        let (signal, items) = (checked.request().into(), checked.items());
        Telemetry { signal, items, wire: checked.into_bytes(), sampled: true }
    }
}

/// Takes what was composed, which is regular by construction.
impl From<Traces> for Telemetry {
    fn from(traces: Traces) -> Self {
        Telemetry::composed(Signal::Traces, traces.into_parts())
    }
}

/// Takes log records that were composed, likewise.
impl From<Logs> for Telemetry {
    fn from(logs: Logs) -> Self {
        Telemetry::composed(Signal::Logs, logs.into_parts())
    }
}

/// Takes metrics that were composed, likewise.
impl From<Metrics> for Telemetry {
    fn from(metrics: Metrics) -> Self {
        Telemetry::composed(Signal::Metrics, metrics.into_parts())
    }
}

/// Takes what an encoder writes, which passes the check. Panics for messages that nest deeper than decoders go.
impl From<Messages> for Telemetry {
    fn from(messages: Messages) -> Self {
        let checked = check(messages.request(), messages.encode().into()).and_then(Found::repaired);
        checked.expect("what is encoded here decodes").into()
    }
}

#[cfg(test)]
mod tests;
