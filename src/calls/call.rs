//! One finished call, read from the bytes of its span.

use super::Count;
use crate::otlp::wire::view::{Item, SpanHead, ValueView};
use crate::telemetry::{Signal, SpanId, Telemetry, names};

/// The bit of a span's flags that says that the caller samples its trace (W3C Trace Context).
const SAMPLED: u32 = 1;
/// The number of `STATUS_CODE_ERROR` in OTLP's trace.proto.
const ERROR: u64 = 2;
/// Names what an error is called that has no name (OpenTelemetry, `error.type`).
const OTHER: &str = "_OTHER";

/// Holds what the span of a finished call says, borrowed from its bytes. Texts are the peers' and may be hostile;
/// what is not known is empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Call<'a> {
    /// The tapped server (`mcpcol.server.name`), or the service of the resource where no tap tells of one.
    pub server: &'a str,
    /// JSON-RPC method, such as `tools/call`.
    pub method: &'a str,
    /// Tool of a `tools/call`.
    pub tool: &'a str,
    /// `mcpcol.session.id`
    pub session: &'a str,
    /// Name of the client, as it says itself.
    pub client: &'a str,
    /// `mcpcol.outcome`; empty on spans of others.
    pub outcome: &'a str,
    /// `error.type`, or `_OTHER` of an error without one; empty where nothing failed.
    pub error: &'a str,
    /// Says when it began, in nanoseconds since the epoch.
    pub start: u64,
    /// Says when it ended, likewise.
    pub end: u64,
    /// Bytes of the request on the wire.
    pub request_size: Option<u64>,
    /// Bytes of the answer on the wire.
    pub response_size: Option<u64>,
    /// Trace id.
    pub trace: [u8; 16],
    /// Span id.
    pub span: SpanId,
    /// Id of the span above it, if there is one.
    pub parent: Option<SpanId>,
    /// The server asked the client, and not the other way round (`mcpcol.initiator`).
    pub by_server: bool,
    /// It may have ended in another way than it says (`mcpcol.doubtful`).
    pub doubtful: bool,
    /// A tap tells of it whose caller did not sample it.
    pub unsampled: bool,
}

/// Shows each call of spans that counts, in order, with the span that tells of it. Telemetry of other signals has none.
pub fn each_call<'a>(
    telemetry: &'a Telemetry,
    count: Count,
    mut show: impl FnMut(&Call<'a>, &Item<'a>),
) {
    if telemetry.signal() == Signal::Traces {
        telemetry.each_item(|item| {
            if let Some(call) = Call::of(item, count) {
                show(&call, item);
            }
        });
    }
}

impl<'a> Call<'a> {
    /// Reads the call that a span tells of; `None` if the span is no call, or one that does not count. A notification
    /// is no call, and neither is what has no ids.
    pub fn of(item: &Item<'a>, count: Count) -> Option<Self> {
        if !count.may_be_of(&item.scope) {
            return None;
        }
        let mut call = Call::default();
        let (mut is_hop, mut handed_back) = (false, false);
        let head = item.own.span(|name, value| match Attribute::of(name) {
            Some(Attribute::Hop) => is_hop = value.is_true(),
            Some(Attribute::Passback) => handed_back = value.is_true(),
            Some(other) => call.attribute(other, value),
            None => {}
        });
        let is_request = !call.method.is_empty() && !call.method.starts_with("notifications/");
        if !is_request || !count.takes(head.kind, is_hop, handed_back) {
            return None;
        }
        call.head(&head, count)?;
        if call.server.is_empty() {
            // Spans that were handed back have it themselves.
            call.server = server_of(item);
        }
        Some(call)
    }

    fn head(&mut self, head: &SpanHead<'a>, count: Count) -> Option<()> {
        self.trace = head.trace.try_into().ok()?;
        self.span = head.span.try_into().ok()?;
        self.parent = head.parent.try_into().ok();
        (self.start, self.end) = (head.start, head.end);
        // Flags of other senders' spans say nothing for certain.
        self.unsampled = count == Count::Tap && head.flags & SAMPLED == 0;
        if self.error.is_empty() && head.status == ERROR {
            self.error = OTHER;
        }
        Some(())
    }

    fn attribute(&mut self, name: Attribute, value: ValueView<'a>) {
        let text = || value.text().unwrap_or_default();
        let size = || value.int().and_then(|size| u64::try_from(size).ok());
        match name {
            Attribute::Server => self.server = text(),
            Attribute::Method => self.method = text(),
            Attribute::Tool => self.tool = text(),
            Attribute::Session => self.session = text(),
            Attribute::Client => self.client = text(),
            Attribute::Outcome => self.outcome = text(),
            Attribute::Error => self.error = text(),
            Attribute::RequestSize => self.request_size = size(),
            Attribute::ResponseSize => self.response_size = size(),
            Attribute::Initiator => self.by_server = value.text() == Some("server"),
            Attribute::Doubtful => self.doubtful = value.is_true(),
            Attribute::Hop | Attribute::Passback => {}
        }
    }

    /// Says whether it failed: its span has `error.type`, or the status ERROR. So a cancelled call has not, unless the
    /// tap was told that it has (`cancelled_is_error`).
    pub fn is_error(&self) -> bool {
        !self.error.is_empty()
    }

    /// Names the class of its error, one of few: the outcome where a tap tells it, else `error.type`. `None` where
    /// nothing failed.
    pub fn error_class(&self) -> Option<&'a str> {
        let class = if self.outcome.is_empty() { self.error } else { self.outcome };
        self.is_error().then_some(class)
    }

    /// Names how it ended: `mcpcol.outcome`; of spans of others `ok`, or the class of the error.
    pub fn outcome(&self) -> &'a str {
        match self.outcome {
            "" => self.error_class().unwrap_or("ok"),
            outcome => outcome,
        }
    }

    /// Says how long it took, in nanoseconds; 0 where it ends before it began.
    pub fn duration(&self) -> u64 {
        self.end.saturating_sub(self.start)
    }
}

/// Finds whose call it is on the resource.
fn server_of<'a>(item: &Item<'a>) -> &'a str {
    let (mut server, mut service) = ("", "");
    item.resource.each_attribute(|name, value| {
        if name == names::SERVER_NAME.as_bytes() {
            server = value.text().unwrap_or_default();
        } else if name == names::SERVICE_NAME.as_bytes() {
            service = value.text().unwrap_or_default();
        }
    });
    if server.is_empty() { service } else { server }
}

/// The attributes that are read.
#[derive(Clone, Copy)]
enum Attribute {
    Server,
    Method,
    Tool,
    Session,
    Client,
    Outcome,
    Error,
    RequestSize,
    ResponseSize,
    Initiator,
    Doubtful,
    Hop,
    Passback,
}

impl Attribute {
    #[inline]
    fn of(name: &[u8]) -> Option<Self> {
        const NAMES: [(&str, Attribute); 13] = [
            (names::SERVER_NAME, Attribute::Server),
            (names::METHOD, Attribute::Method),
            (names::TOOL, Attribute::Tool),
            (names::SESSION_ID, Attribute::Session),
            (names::CLIENT_NAME, Attribute::Client),
            (names::OUTCOME, Attribute::Outcome),
            (names::ERROR_TYPE, Attribute::Error),
            (names::REQUEST_SIZE, Attribute::RequestSize),
            (names::RESPONSE_SIZE, Attribute::ResponseSize),
            (names::INITIATOR, Attribute::Initiator),
            (names::DOUBTFUL, Attribute::Doubtful),
            (names::HOP, Attribute::Hop),
            (names::PASSBACK, Attribute::Passback),
        ];
        NAMES.iter().find(|(known, _)| known.as_bytes() == name).map(|(_, found)| *found)
    }
}
