//! From a call and its ending to a span: the OpenTelemetry conventions for MCP, in one place.
//!
//! Names, kinds, attributes and status follow the conventions; what they lack stands under `mcpcol.`.
//! Attributes come in one fixed order. The status message stays empty: error texts are content.

use std::borrow::Cow;
use std::sync::Arc;

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link, SpanKind};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;

use super::call::{Call, ClientInfo, Named, Progress, Subject, is_known, word};
use super::outcome::caller_fault;
use super::trace::span_flags;
use super::{
    Direction, Message, Outcome, Parent, Perspective, ServiceName, SessionName, Settings, SpanRef,
    TraceContext, Transport,
};
use crate::otlp::wire::compose::{self, Span};
use crate::privacy::detect::redact_uri;
use crate::telemetry::{Header, Nanos, names};

/// Says how a call ended.
pub(super) struct Ending<'m> {
    pub(super) outcome: Outcome,
    pub(super) end: Nanos,
    /// The answer and its size in bytes, if one came.
    pub(super) answer: Option<(&'m Message<'m>, u64)>,
    /// The answer was not observed whole.
    pub(super) cut: bool,
    /// Status of the HTTP response that brought the answer or the failure.
    pub(super) status: Option<u16>,
    /// The headers of that response that the user wants to see.
    pub(super) headers: Option<Arc<[Header]>>,
}

impl Ending<'_> {
    /// An ending without an answer.
    pub(super) fn bare(outcome: Outcome, end: Nanos) -> Self {
        Ending { outcome, end, answer: None, cut: false, status: None, headers: None }
    }
}

/// A tapped server.
#[derive(Clone, Debug)]
pub(super) struct Server {
    /// Its place among those of one tap.
    pub(super) index: usize,
    /// As the user named it.
    pub(super) name: String,
    /// It is but a general word, until the server says what it calls itself.
    pub(super) general: bool,
    pub(super) transport: Transport,
    /// Host and port, where there are any.
    pub(super) address: String,
    pub(super) port: Option<u16>,
}

/// Holds what all spans of a session share.
pub(super) struct Frame<'a> {
    pub(super) settings: &'a Settings,
    /// Says whose view the span takes.
    pub(super) kind: Perspective,
    pub(super) server: &'a Server,
    pub(super) session: Option<&'a SessionName>,
    pub(super) speaker: &'a ClientInfo,
    /// Holds what the server says of itself.
    pub(super) info: &'a Named,
    /// The server is known to have the tool or prompt.
    pub(super) listed: bool,
}

impl Frame<'_> {
    /// Writes the span of `call`.
    pub(super) fn span(&self, call: &Call, ending: &Ending<'_>, span: &mut Span<'_>) {
        let place = &call.place;
        let error = self.error_type(call, ending);
        span.ids(&place.own.trace, &place.own.span);
        span.trace_state(&place.state);
        place.parent.iter().for_each(|parent| span.parent(parent));
        self.name(call, ending, span);
        span.kind(self.kind());
        let (start, end) = call.times(ending.end);
        span.times(start, end);
        self.attributes(call, ending, error.as_deref(), &mut Attributes(span));
        call.events.iter().for_each(|progress| span.event(&event(call, progress)));
        span.dropped_events(call.events_dropped);
        if let Some((to, why)) = call.earlier {
            span.link(&link(to, span_flags(place.flags, false), "", why));
        }
        self.callers(call, span);
        span.status(status(error.as_deref()));
        let remote = place.parent.is_some() && call.hop.is_none();
        span.flags(span_flags(place.flags, remote));
    }

    /// Writes the links to contexts of the caller's that are not the parent.
    pub(super) fn callers(&self, call: &Call, span: &mut Span<'_>) {
        let remote = |context: &TraceContext, why| {
            link(context.parent, span_flags(context.flags, true), &context.state, why)
        };
        if self.settings.parent == Parent::Link {
            call.place.beside.iter().for_each(|context| span.link(&remote(context, "parent")));
        }
        call.carrier.iter().for_each(|context| span.link(&remote(context, "http")));
    }

    fn kind(&self) -> SpanKind {
        match self.kind {
            Perspective::Client => SpanKind::Client,
            Perspective::Server => SpanKind::Server,
            Perspective::Internal => SpanKind::Internal,
        }
    }

    /// Writes the name: `{method} {target}`. A target or method that a peer may have made up stays out of
    /// it unless the server answered well: names become metric labels downstream.
    pub(super) fn name(&self, call: &Call, ending: &Ending<'_>, span: &mut Span<'_>) {
        let good = matches!(ending.outcome, Outcome::Ok | Outcome::InputRequired);
        if !good && !is_known(&call.method) {
            return span.name("_OTHER");
        }
        match &call.subject {
            Subject::Tool(target) | Subject::Prompt(target) if good || self.listed => {
                span.name_in_parts([&printable(&call.method), " ", &printable(target)]);
            }
            _ => span.name(&printable(&call.method)),
        }
    }

    /// `error.type`, which is there exactly when the status is ERROR.
    pub(super) fn error_type(&self, call: &Call, ending: &Ending<'_>) -> Option<Cow<'static, str>> {
        // A client that is refused so goes on with the handshake: nothing failed. One that is sent elsewhere
        // asks again.
        let redirected = ending.answer.is_none() && matches!(ending.status, Some(300..400));
        if call.probes() && ending.outcome == Outcome::ClientError && !redirected {
            return None;
        }
        if let Some(failure) = ending.answer.and_then(|(message, _)| call.failure(message)) {
            return match failure.code {
                Some(code) if self.handles() && caller_fault(code) => None,
                Some(code) => Some(code.to_string().into()),
                None => Some("_OTHER".into()),
            };
        }
        if let Some(status @ 300..) = ending.status.filter(|_| ending.answer.is_none()) {
            // Proposed for the conventions as it is here: what HTTP refused, or sent elsewhere, is told by its
            // status.
            let callers = self.handles() && status < 500;
            return (!callers).then(|| status.to_string().into());
        }
        match ending.outcome {
            Outcome::Ok | Outcome::InputRequired => None,
            Outcome::Cancelled(_) if !self.settings.cancelled_is_error => None,
            // A failed task that does not say why.
            Outcome::ProtocolError => Some("_OTHER".into()),
            other => Some(other.name().into()),
        }
    }

    fn handles(&self) -> bool {
        self.kind == Perspective::Server
    }

    pub(super) fn attributes(
        &self,
        call: &Call,
        ending: &Ending<'_>,
        error: Option<&str>,
        out: &mut Attributes<'_, '_>,
    ) {
        self.request(call, out);
        self.network(call, ending, out);
        self.parties(call, out);
        out.int(names::REQUEST_SIZE, call.size);
        if let Some((_, size)) = ending.answer {
            out.int(names::RESPONSE_SIZE, size);
        }
        out.text(names::OUTCOME, ending.outcome.name());
        if let Outcome::Cancelled(by) = ending.outcome {
            out.text(names::CANCELLED_BY, by.name());
        }
        if let Some(error) = error {
            out.text(names::ERROR_TYPE, error);
        }
        self.answer(call, ending, out);
        if call.cut || ending.cut {
            out.text(names::OBSERVED, "cut");
        }
        if call.doubtful {
            out.flag(names::DOUBTFUL);
        }
    }

    fn request(&self, call: &Call, out: &mut Attributes<'_, '_>) {
        out.text(names::METHOD, &call.method);
        if call.method == "tools/call" {
            out.text(names::OPERATION, "execute_tool");
        }
        match &call.subject {
            Subject::Nothing => {}
            Subject::Tool(name) => out.text(names::TOOL, name),
            Subject::Prompt(name) => out.text(names::PROMPT, name),
            Subject::Resource(uri) => out.text(names::RESOURCE_URI, &redact_uri(uri)),
        }
        if let Some(id) = &call.id {
            out.text(names::REQUEST_ID, id.shown(&mut itoa::Buffer::new()));
        }
        if let Some(version) = &call.jsonrpc {
            out.text(names::JSONRPC_VERSION, version);
        }
        match self.speaker.protocol.as_str() {
            "" => out.word(names::PROTOCOL_VERSION, call.protocol.unwrap_or_default()),
            told => out.text(names::PROTOCOL_VERSION, told),
        }
    }

    fn network(&self, call: &Call, ending: &Ending<'_>, out: &mut Attributes<'_, '_>) {
        match self.server.transport {
            Transport::Pipe => out.text(names::TRANSPORT, "pipe"),
            Transport::Http => {
                out.text(names::TRANSPORT, "tcp");
                out.text(names::NETWORK_PROTOCOL, "http");
            }
        }
        match call.http_version {
            0 => {}
            10 => out.text(names::NETWORK_VERSION, "1.0"),
            11 => out.text(names::NETWORK_VERSION, "1.1"),
            20 => out.text(names::NETWORK_VERSION, "2"),
            tenths => {
                out.text(names::NETWORK_VERSION, &format!("{}.{}", tenths / 10, tenths % 10));
            }
        }
        out.word(names::SERVER_ADDRESS, &self.server.address);
        if let Some(port) = self.server.port {
            out.int(names::SERVER_PORT, port.into());
        }
        if let Some(status) = ending.status {
            out.int(names::HTTP_STATUS, status.into());
        }
    }

    fn parties(&self, call: &Call, out: &mut Attributes<'_, '_>) {
        let by_server = call.direction == Direction::ServerToClient;
        // The other side of the one whose view the span takes.
        let peer =
            if by_server == self.handles() { &self.server.name } else { &self.speaker.who.name };
        out.word(names::PEER_SERVICE, peer);
        if let Some(session) = self.session {
            out.text(names::SESSION_ID, &session.shown);
            out.word(names::CLEAR_SESSION_ID, session.clear.as_deref().unwrap_or_default());
        }
        if by_server {
            out.text(names::INITIATOR, "server");
        }
        out.word(names::CLIENT_NAME, &self.speaker.who.name);
        out.word(names::CLIENT_VERSION, &self.speaker.who.version);
        out.word(names::SERVER_INFO_NAME, &self.info.name);
        out.word(names::SERVER_INFO_VERSION, &self.info.version);
    }

    fn answer(&self, call: &Call, ending: &Ending<'_>, out: &mut Attributes<'_, '_>) {
        let message = ending.answer.map(|(message, _)| message);
        if let Some(code) = message.and_then(|m| call.failure(m)).and_then(|e| e.code) {
            out.text(names::STATUS_CODE, &code.to_string());
        }
        let result = message.and_then(|m| m.result.as_ref());
        if let Some(kind) = result.and_then(|r| r.result_type).filter(|kind| !kind.is("complete")) {
            out.word(names::RESULT_TYPE, &word(&Some(kind)));
        }
        if let Some(task) = &call.task_id {
            out.word(names::TASK_ID, &task.shown);
            if let Some(result) = result {
                out.word(names::TASK_STATUS, &word(&result.task_status));
            }
        }
    }
}

/// The status of a span: the message stays empty.
pub(super) fn status(error: Option<&str>) -> StatusCode {
    if error.is_some() { StatusCode::Error } else { StatusCode::Unset }
}

/// The resource of a tap's spans. Where the service is a peer, `peer` is what that says of itself: a version
/// beside its name is its own.
pub(super) fn resource(settings: &Settings, server: &Server, peer: &Named) -> Resource {
    let ours = env!("CARGO_PKG_VERSION");
    let (service, version) = match &settings.service_name {
        ServiceName::Fixed(name) => {
            let said = settings.resource.iter().find(|(key, _)| key == names::SERVICE_VERSION);
            (name, said.map_or(ours, |(_, version)| version))
        }
        ServiceName::Server => (&server.name, &*peer.version),
        ServiceName::Client => (&peer.name, &*peer.version),
    };
    let unnamed = service.is_empty();
    let (service, version) = if unnamed { (names::SCOPE, ours) } else { (&**service, version) };
    let told = [
        (names::SERVICE_NAME, service),
        (names::SERVICE_VERSION, version),
        (names::SERVER_NAME, &server.name),
    ];
    let own = |key: &str| told.iter().any(|(known, _)| *known == key);
    let around = settings.resource.iter().filter(|(key, _)| !own(key));
    let around = around.map(|(key, value)| (key.as_str(), value.as_str()));
    let own = told.into_iter().filter(|(_, value)| !value.is_empty());
    let text = |(name, text): (&str, &str)| attribute(name, Value::StringValue(text.to_owned()));
    Resource { attributes: own.chain(around).map(text).collect(), ..Resource::default() }
}

/// The scope of a tap's spans.
pub(super) fn scope() -> InstrumentationScope {
    InstrumentationScope {
        name: names::SCOPE.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..InstrumentationScope::default()
    }
}

/// A progress notification as an event of its call.
fn event(call: &Call, progress: &Progress) -> Event {
    let parts = [(names::PROGRESS_VALUE, progress.value), (names::PROGRESS_TOTAL, progress.total)];
    let told = parts.into_iter().filter_map(|(key, value)| Some((key, value?)));
    Event {
        time_unix_nano: call.times(progress.at).1,
        name: names::PROGRESS.to_owned(),
        attributes: told.map(|(key, value)| attribute(key, Value::DoubleValue(value))).collect(),
        dropped_attributes_count: 0,
    }
}

fn link(to: SpanRef, flags: u32, state: &str, why: &'static str) -> Link {
    Link {
        trace_id: to.trace.to_vec(),
        span_id: to.span.to_vec(),
        trace_state: state.to_owned(),
        attributes: vec![attribute(names::LINK, Value::StringValue(why.to_owned()))],
        flags,
        ..Link::default()
    }
}

/// The attributes of a span in the making.
pub(super) struct Attributes<'a, 's>(pub(super) &'a mut Span<'s>);

// Inlined, because it is much less work where the name is known.
impl Attributes<'_, '_> {
    #[inline(always)]
    fn text(&mut self, key: &'static str, value: &str) {
        self.0.attribute(key, compose::Value::Text(value));
    }

    /// Nothing for an empty text: it is not known.
    #[inline(always)]
    fn word(&mut self, key: &'static str, value: &str) {
        if !value.is_empty() {
            self.text(key, value);
        }
    }

    #[inline(always)]
    fn int(&mut self, key: &'static str, value: u64) {
        let value = i64::try_from(value).unwrap_or(i64::MAX);
        self.0.attribute(key, compose::Value::Int(value));
    }

    pub(super) fn flag(&mut self, key: &'static str) {
        self.0.attribute(key, compose::Value::Bool(true));
    }
}

fn attribute(key: &str, value: Value) -> KeyValue {
    let value = Some(AnyValue { value: Some(value) });
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}

/// Control characters have no place in a span name: a terminal would obey them.
fn printable(name: &str) -> Cow<'_, str> {
    let plain = |b: u8| matches!(b, b' '..=b'~');
    if !name.bytes().all(plain) && name.chars().any(char::is_control) {
        return name.replace(char::is_control, "\u{fffd}").into();
    }
    name.into()
}
