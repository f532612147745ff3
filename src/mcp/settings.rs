//! Defines what a tap may be told about observing, as plain data. Enums are read by the words that users
//! write; the settings around them are the receivers' own.

use std::fmt;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{CaptureRules, TraceContext};

/// Says how a session is observed.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Says whose view the spans take.
    pub span_kind: Perspective,
    /// `service.name` of the resource.
    pub service_name: ServiceName,
    /// More attributes of the resource. Those that the tap has of its own win, but for a version of a fixed service.
    pub resource: Vec<(String, String)>,
    /// Says whether notifications make spans.
    pub notifications: Notifications,
    /// Says how a caller's trace context is used: as the parent, as a link, or not at all.
    pub parent: Parent,
    /// Holds what becomes of a span whose parent was not sampled.
    pub unsampled: Unsampled,
    /// Says which spans share a trace of ours: where nobody sent a context, or it is not the parent.
    pub trace: Traces,
    /// Cancelled calls get status ERROR and `error.type` `cancelled`.
    pub cancelled_is_error: bool,
    /// The longest line, body or event that is read whole, in bytes.
    pub max_message_bytes: usize,
    /// The most requests in flight, each direction, over all sessions of a tap, of one among many sessions
    /// (or posts without one) no more than it leaves to others; a request beyond is not tracked.
    pub max_in_flight: usize,
    /// The most bytes of arguments, results and error texts held at once; what does not fit is
    /// marked as cut.
    pub max_content_bytes: usize,
    /// A request without an answer or progress for this long is given up as timed out. Requests that
    /// wait for people are exempt.
    pub request_timeout: Duration,
    /// A request that has waited this long is said in a log record, once; zero for never. Requests for which long is
    /// normal are exempt.
    pub pending_after: Duration,
    /// Says how long after the end of a cancelled or given up request its late answer is expected.
    pub late_answers: Duration,
    /// With [`Traces::Session`]: the silence after which a new trace begins.
    pub session_idle: Duration,
    /// Holds what is done with spans that servers hand back.
    pub passback: Passback,
    /// Makes log records of what servers log by notifications.
    pub log_messages: bool,
    /// Says how much of calls' content is captured.
    pub capture: CaptureRules,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            span_kind: Perspective::Client,
            service_name: ServiceName::Fixed("mcpcol".to_owned()),
            resource: Vec::new(),
            notifications: Notifications::Off,
            parent: Parent::Meta,
            unsampled: Unsampled::Drop,
            trace: Traces::Request,
            cancelled_is_error: false,
            max_message_bytes: 1 << 20,
            max_in_flight: 10_000,
            max_content_bytes: 16 << 20,
            request_timeout: Duration::from_secs(30 * 60),
            pending_after: Duration::from_secs(60),
            late_answers: Duration::from_secs(60),
            session_idle: Duration::from_secs(30 * 60),
            passback: Passback::default(),
            log_messages: false,
            capture: CaptureRules::default(),
        }
    }
}

/// Holds what is done with the spans that servers hand back in `_meta.otel` (SEP-2448). Nothing of them is believed;
/// what is over a limit is dropped and counted, and the call never suffers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passback {
    /// Says whose asking makes spans welcome.
    pub ingest: Ingest,
    /// Holds what becomes of spans that name no parent that is known.
    pub orphans: Orphans,
    /// Known dialects of attribute names are brought to the conventions.
    pub normalize: bool,
    /// The most bytes of one answer's `traces` that are looked into.
    pub max_bytes: usize,
    /// The most spans taken from one answer.
    pub max_spans: usize,
    /// The most attributes of a span, an event, a link or a resource.
    pub max_attributes: usize,
    /// The most events of a span.
    pub max_events: usize,
    /// The most links of a span.
    pub max_links: usize,
    /// The longest text of a value, in bytes; what is beyond is cut off.
    pub max_value_bytes: usize,
    /// Says how deep values may nest.
    pub max_depth: usize,
}

impl Default for Passback {
    fn default() -> Self {
        Passback {
            ingest: Ingest::Solicited,
            orphans: Orphans::Drop,
            normalize: true,
            max_bytes: 1 << 20,
            max_spans: 512,
            max_attributes: 128,
            max_events: 128,
            max_links: 128,
            max_value_bytes: 4096,
            max_depth: 16,
        }
    }
}

/// Whose asking makes handed back spans welcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Ingest {
    /// Takes spans where the client or we asked.
    #[default]
    Solicited,
    /// Takes spans only where we asked.
    Requested,
    /// Takes none.
    Off,
}

/// Names what becomes of handed back spans of a request without a context of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Orphans {
    /// Counts and drops them.
    #[default]
    Drop,
    /// Keeps them under the tap's span, and marks them.
    Mark,
}

/// Whose view a span takes: the OTLP span kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Perspective {
    /// Makes CLIENT spans: the view of the initiator of the request, whichever side that is.
    #[default]
    Client,
    /// Makes SERVER spans: the view of the one that handles it. Caller faults are no errors then.
    Server,
    /// Makes INTERNAL spans, for places where both ends make spans of their own.
    Internal,
}

/// Names what `service.name` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServiceName {
    /// This text.
    Fixed(String),
    /// What the client calls itself; `mcpcol` until it has.
    Client,
    /// The name of the tapped server.
    Server,
}

/// Says whether notifications make spans.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Notifications {
    /// Counts them.
    #[default]
    Off,
    /// Makes one span of no length of each; progress stays an event of its call.
    Span,
}

/// Names what the context means that a request stands in: its own, else that of its HTTP request, else that of our
/// environment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Parent {
    /// Makes it the parent, and its trace is the span's.
    #[default]
    Meta,
    /// Links to it from a trace of ours: some clients send contexts of traces that nobody exports.
    Link,
    /// Ignores it: the trace is ours.
    Own,
}

/// Names what becomes of a span whose parent was not sampled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Unsampled {
    /// Counts it and keeps it from exporters.
    #[default]
    Drop,
    /// Treats it like any other.
    Keep,
}

/// Says which spans share a trace of ours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Traces {
    /// Begins a trace with every request.
    #[default]
    Request,
    /// Puts all of a session into one trace, until it was idle for a while; what is asked without one begins a
    /// trace.
    Session,
}

/// Says how the observed bytes travel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Transport {
    /// Standard input and output of a child process.
    #[default]
    Pipe,
    /// HTTP over TCP.
    Http,
}

/// Says who is observed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Identity {
    /// The tapped server as the user named it.
    pub server: String,
    /// That is but a general word: once the server says what it calls itself, that is its name.
    pub general: bool,
    /// Random id of this stdio process or HTTP session, safe to export.
    pub session: String,
    /// Says how the bytes travel.
    pub transport: Transport,
    /// The context in our environment (`TRACEPARENT`), parent of what brings none of its own.
    pub ambient: Option<TraceContext>,
}

/// Holds what may be told of a session id, which is as good as a password.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionName {
    /// Holds what stands for it: `mcpcol.session.id`.
    pub shown: String,
    /// The id itself, only where the user asked for it: `mcp.session.id`.
    pub clear: Option<String>,
}

/// Says what stands for a task id, which may be all that is needed to fetch a result. Nothing is told of
/// one unless somebody says what.
#[derive(Default)]
pub struct Hidden(Option<Naming>);

type Naming = Box<dyn Fn(&[u8]) -> String + Send>;

impl Hidden {
    /// Gives what `name` says.
    pub fn by(name: impl Fn(&[u8]) -> String + Send + 'static) -> Self {
        Hidden(Some(Box::new(name)))
    }

    /// Gives what stands for `id`; empty for nothing.
    pub(super) fn name(&self, id: &[u8]) -> String {
        self.0.as_ref().map(|name| name(id)).unwrap_or_default()
    }
}

// There is a key in it.
impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hidden")
    }
}

/// Says what may be told of a session id as it is on the wire.
pub type SessionNames = Box<dyn Fn(&[u8]) -> SessionName + Send>;
