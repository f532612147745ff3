//! What the taps saw and nobody may export: arguments, results, error texts, by span.
//!
//! Processors read it (digest, redaction). Exporters are handed `&Telemetry` alone, so content can
//! reach one only as an attribute that a processor was configured to write.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::PeerKeys;
use crate::privacy::redact::KnownValues;

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
    /// It was there but nobody read such values when it came ([`Needs`]).
    Unread,
    /// The JSON text, exactly as on the wire.
    Whole(Bytes),
}

/// Holds what was seen of one call.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// `params.arguments` of the request.
    pub arguments: Raw,
    /// `result` of the response.
    pub result: Raw,
    /// Says why it failed, a JSON string: `error.message` of the response, or the first text of a result that says
    /// `isError`.
    pub error_text: Raw,
    /// Says how much of it redaction may write onto the span.
    pub capture: Capture,
    /// Headers that redaction may write onto the span.
    pub headers: Headers,
    /// Secrets that were seen with it: they are searched for in all that is told of it, and nowhere else.
    pub secrets: CallSecrets,
}

/// Secrets that came with a call, as redaction searches for them: sets, none of them empty. Equal are those that have
/// the same sets. Clones share.
#[derive(Clone, Debug, Default)]
pub struct CallSecrets(Option<Arc<[Arc<KnownValues>]>>);

impl CallSecrets {
    /// Lists the sets.
    pub fn sets(&self) -> &[Arc<KnownValues>] {
        self.0.as_deref().unwrap_or_default()
    }

    /// Says whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Gives these and those of `other`, sharing where one of them has all.
    pub fn with(&self, other: &CallSecrets) -> CallSecrets {
        let lacks = |these: &CallSecrets, those: &CallSecrets| {
            let lacks = |set: &&Arc<KnownValues>| !these.sets().iter().any(|s| Arc::ptr_eq(s, set));
            those.sets().iter().filter(lacks).cloned().collect::<Vec<_>>()
        };
        let missing = lacks(self, other);
        if missing.is_empty() {
            self.clone()
        } else if lacks(other, self).is_empty() {
            other.clone()
        } else {
            self.sets().iter().cloned().chain(missing).collect()
        }
    }
}

impl FromIterator<Arc<KnownValues>> for CallSecrets {
    /// Leaves empty sets out.
    fn from_iter<I: IntoIterator<Item = Arc<KnownValues>>>(sets: I) -> Self {
        let sets: Vec<_> = sets.into_iter().filter(|set| !set.is_empty()).collect();
        CallSecrets((!sets.is_empty()).then(|| sets.into()))
    }
}

impl PartialEq for CallSecrets {
    fn eq(&self, other: &Self) -> bool {
        self.sets().len() == other.sets().len()
            && self.sets().iter().zip(other.sets()).all(|(one, other)| Arc::ptr_eq(one, other))
    }
}

impl Eq for CallSecrets {}

/// Holds one header of a request or a response.
#[derive(Clone, PartialEq, Eq)]
pub struct Header {
    /// Names the attribute that it becomes.
    pub key: Arc<str>,
    /// Holds its values in their order; `None` for one that was too long to be handed over, or is no UTF-8.
    pub values: Vec<Option<Box<str>>>,
}

/// Holds the headers that the user has on a list, of the request and of the response of one exchange. Clones share.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Headers {
    /// Those of the request.
    pub request: Option<Arc<[Header]>>,
    /// Those of the response.
    pub response: Option<Arc<[Header]>>,
}

impl Headers {
    /// Walks over all of them, those of the request first.
    pub fn iter(&self) -> impl Iterator<Item = &Header> {
        self.request.iter().chain(&self.response).flat_map(|headers| headers.iter())
    }

    /// Counts what they take, in bytes.
    pub fn size(&self) -> usize {
        self.iter().map(Header::size).sum()
    }
}

impl Header {
    /// Counts what it takes, in bytes.
    pub fn size(&self) -> usize {
        /// Costs of a value besides its bytes.
        const VALUE: usize = 32;
        let values = self.values.iter().map(|value| value.as_ref().map_or(0, |v| v.len()) + VALUE);
        size_of::<Header>() + values.sum::<usize>()
    }
}

/// Says how much of a value is captured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CaptureLevel {
    /// Captures nothing.
    #[default]
    Off,
    /// Captures its shape: names, kinds, sizes.
    Keys,
    /// Captures it as redaction leaves it.
    Redacted,
}

/// Says what of a call's content redaction may write onto its span. Nobody else may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capture {
    /// Its arguments.
    pub arguments: CaptureLevel,
    /// Its result.
    pub results: CaptureLevel,
    /// Says why it failed.
    pub errors: CaptureLevel,
    /// The most bytes of each, arguments and result, after redaction.
    pub max_bytes: usize,
}

impl Default for Capture {
    fn default() -> Self {
        let off = CaptureLevel::Off;
        Capture { arguments: off, results: off, errors: off, max_bytes: 4096 }
    }
}

/// Says which content somebody needs: what nobody reads is not copied from the traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Needs {
    /// Arguments of calls.
    pub arguments: bool,
    /// Results of calls.
    pub results: bool,
    /// Says why calls failed.
    pub errors: bool,
    /// Secrets and headers that came with them: whoever redacts wants to have them.
    pub secrets: bool,
}

impl Needs {
    /// All of it.
    pub const ALL: Needs = Needs { arguments: true, results: true, errors: true, secrets: true };
    /// None of it.
    pub const NONE: Needs =
        Needs { arguments: false, results: false, errors: false, secrets: false };

    /// Adds up what this reader needs and that.
    pub fn or(self, other: Needs) -> Needs {
        Needs {
            arguments: self.arguments || other.arguments,
            results: self.results || other.results,
            errors: self.errors || other.errors,
            secrets: self.secrets || other.secrets,
        }
    }
}

/// Names a span for [`Content`]: its trace and its id. A peer may choose any span id, but hardly
/// one that is taken in a trace of its own.
pub type SpanKey = ([u8; 16], SpanId);

/// Holds what was seen beside one batch: of the calls behind its spans, and of all of it. Clones share.
#[derive(Clone, Default)]
pub struct Content {
    calls: Option<Arc<HashMap<SpanKey, Seen, PeerKeys>>>,
    secrets: CallSecrets,
}

impl Content {
    /// Holds secrets that are searched for in all of a batch: log records have no id by which they could be told.
    pub fn with_secrets(secrets: CallSecrets) -> Self {
        Content { calls: None, secrets }
    }

    /// Gives the secrets that are searched for in all of the batch.
    pub fn secrets(&self) -> &CallSecrets {
        &self.secrets
    }

    /// Gives what was seen of the call behind a span; `None` for spans that no tap of ours put out.
    pub fn of(&self, trace: &[u8], span: &[u8]) -> Option<&Seen> {
        let key = (trace.try_into().ok()?, span.try_into().ok()?);
        self.calls.as_ref()?.get(&key)
    }

    /// Says whether there is none.
    pub fn is_empty(&self) -> bool {
        self.calls.is_none() && self.secrets.is_empty()
    }
}

impl FromIterator<(SpanKey, Seen)> for Content {
    /// Of several for one span the last stays.
    fn from_iter<I: IntoIterator<Item = (SpanKey, Seen)>>(seen: I) -> Self {
        let map: HashMap<_, _, _> = seen.into_iter().collect();
        let calls = (!map.is_empty()).then(|| Arc::new(map));
        Content { calls, secrets: CallSecrets::default() }
    }
}

// Content never prints: a debug line in a log would be a leak.
impl fmt::Debug for Raw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Raw::Absent => f.write_str("Absent"),
            Raw::Cut => f.write_str("Cut"),
            Raw::Deep => f.write_str("Deep"),
            Raw::Unread => f.write_str("Unread"),
            Raw::Whole(bytes) => write!(f, "Whole({} bytes)", bytes.len()),
        }
    }
}

impl fmt::Debug for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Header({})", self.key)
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Headers({})", self.iter().count())
    }
}

impl fmt::Debug for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seen")
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Content({} calls)", self.calls.as_ref().map_or(0, |map| map.len()))
    }
}
