//! What the taps saw and nobody may export: arguments, results, error texts, by span.
//!
//! Processors read it (digest, redaction). Exporters are handed `&Telemetry` alone, so content can
//! reach one only as an attribute that a processor was configured to write.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use super::keys::OwnKeys;

/// A span id as OTLP has it: eight bytes, not all zero.
pub type SpanId = [u8; 8];

/// One raw JSON value of a message.
#[derive(Clone, Default, PartialEq, Eq)]
pub enum Raw {
    /// The message did not have it.
    #[default]
    Absent,
    /// It was there but not observed whole (the message was over `max_message_bytes`).
    Cut,
    /// It was there but is nested too deeply to be told from what follows it.
    Deep,
    /// The JSON text, exactly as on the wire.
    Whole(Bytes),
}

/// What was seen of one call.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// `params.arguments` of the request.
    pub arguments: Raw,
    /// `result` of the response.
    pub result: Raw,
    /// `error.message` of the response, a JSON string.
    pub error_message: Raw,
}

/// What was seen of the calls of one batch. Clones share.
#[derive(Clone, Default)]
pub struct Content(Option<Arc<HashMap<u64, Seen, OwnKeys>>>);

impl Content {
    /// What was seen of the call behind a span; `None` for spans that no tap of ours made.
    pub fn of(&self, span: &[u8]) -> Option<&Seen> {
        let id = SpanId::try_from(span).ok()?;
        self.0.as_ref()?.get(&u64::from_ne_bytes(id))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }
}

impl FromIterator<(SpanId, Seen)> for Content {
    fn from_iter<I: IntoIterator<Item = (SpanId, Seen)>>(seen: I) -> Self {
        let seen = seen.into_iter().map(|(span, seen)| (u64::from_ne_bytes(span), seen));
        let map: HashMap<_, _, _> = seen.collect();
        Content((!map.is_empty()).then(|| Arc::new(map)))
    }
}

// Content never prints: a debug line in a log would be a leak.
impl fmt::Debug for Raw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Raw::Absent => f.write_str("Absent"),
            Raw::Cut => f.write_str("Cut"),
            Raw::Deep => f.write_str("Deep"),
            Raw::Whole(bytes) => write!(f, "Whole({} bytes)", bytes.len()),
        }
    }
}

impl fmt::Debug for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seen")
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Content({} calls)", self.0.as_ref().map_or(0, |map| map.len()))
    }
}
