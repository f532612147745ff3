//! A request as it is remembered until its answer comes.

use std::borrow::Cow;
use std::sync::Arc;

use super::{
    Answer, Direction, Edited, Failure, Id, Info, Message, Meta, Outcome, SpanRef, TraceContext,
};
use crate::json::Text;
use crate::privacy::cut::cut;
use crate::telemetry::{CallSecrets, Capture, Header, Nanos, Offset, Raw, SpanId};

/// The longest tool, prompt or method name kept, in bytes: they become span names and labels.
const MAX_NAME: usize = 128;
/// The longest URI kept, in bytes.
const MAX_URI: usize = 1024;
/// The longest version or status kept, in bytes.
const MAX_WORD: usize = 128;

/// The released versions of the protocol.
pub(super) const VERSIONS: [&str; 5] =
    ["2026-07-28", "2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"];

/// The methods of the specification, the frequent ones first.
const METHODS: [&str; 26] = [
    "tools/call",
    "tools/list",
    "resources/read",
    "prompts/get",
    "ping",
    "initialize",
    "tasks/get",
    "tasks/result",
    "tasks/list",
    "tasks/cancel",
    "tasks/update",
    "resources/list",
    "resources/templates/list",
    "resources/subscribe",
    "resources/unsubscribe",
    "prompts/list",
    "completion/complete",
    "logging/setLevel",
    "roots/list",
    "sampling/createMessage",
    "elicitation/create",
    "server/discover",
    "subscriptions/listen",
    "notifications/progress",
    "notifications/cancelled",
    "notifications/resources/updated",
];

/// Names what a request concerns.
#[derive(Debug, Default, PartialEq, Eq, Hash)]
pub(super) enum Subject {
    #[default]
    Nothing,
    Tool(String),
    Prompt(String),
    Resource(String),
}

/// Places a span in its trace.
#[derive(Debug)]
pub(super) struct SpanPosition {
    pub(super) own: SpanRef,
    pub(super) parent: Option<[u8; 8]>,
    /// The caller's context stands in the request itself, and not beside it.
    pub(super) told: bool,
    pub(super) flags: u8,
    pub(super) state: String,
    /// The caller's context where it is not the parent, because the trace is ours.
    pub(super) beside: Option<Box<TraceContext>>,
}

/// Identifies the SERVER span above the call of a hop.
#[derive(Debug)]
pub(super) struct Incoming {
    pub(super) span: SpanId,
    /// The client's span.
    pub(super) parent: Option<SpanId>,
}

impl SpanPosition {
    /// The span of the caller's that the request names.
    pub(super) fn caller(&self) -> Option<SpanRef> {
        match &self.beside {
            Some(context) => Some(context.parent),
            None => self.parent.map(|span| SpanRef { trace: self.own.trace, span }),
        }
    }
}

/// A progress notification, as small as can be: a server may send many while a call is in flight.
#[derive(Clone, Copy, Debug)]
pub(super) struct Progress {
    pub(super) at: Nanos,
    pub(super) value: Option<f64>,
    pub(super) total: Option<f64>,
}

/// One request in flight, or one notification that makes a span.
#[derive(Debug)]
pub(super) struct Call {
    /// Order of arrival.
    pub(super) number: u64,
    /// The HTTP exchange that brought it; 0 where there are none.
    pub(super) exchange: u64,
    pub(super) direction: Direction,
    /// Absent for notifications, and where it was out of sight.
    pub(super) id: Option<Id>,
    pub(super) method: Cow<'static, str>,
    pub(super) subject: Subject,
    pub(super) task_id: Option<TaskId>,
    /// A task was asked for (2025-11-25).
    pub(super) task: bool,
    /// Written when it is not 2.0.
    pub(super) jsonrpc: Option<String>,
    /// The client and version that a modern request names; a legacy one has its session's.
    pub(super) speaker: Option<Arc<ClientInfo>>,
    /// The protocol version that stood in a header.
    pub(super) protocol: Option<&'static str>,
    /// Version of HTTP in tenths; 0 where it is not HTTP.
    pub(super) http_version: u8,
    /// The context of the exchange, where it is not the parent.
    pub(super) carrier: Option<Box<TraceContext>>,
    pub(super) place: SpanPosition,
    /// Says where the tap is a hop: the SERVER span above it.
    pub(super) hop: Option<Box<Incoming>>,
    /// Says who asked the server for its spans.
    pub(super) wish: PassbackRequester,
    /// The span that it comes from, and why: the call that caused it, a task's beginning, or the first leg
    /// of a retry.
    pub(super) earlier: Option<(SpanRef, &'static str)>,
    pub(super) start: Nanos,
    /// Says where the wall clock was then.
    pub(super) offset: Offset,
    /// Says when it was last heard of.
    pub(super) alive: Nanos,
    pub(super) size: u64,
    /// Not observed whole.
    pub(super) cut: bool,
    pub(super) arguments: Raw,
    /// Says how much of it may be shown, once it is redacted.
    pub(super) capture: Capture,
    /// Secrets that came with it.
    pub(super) secrets: CallSecrets,
    /// Headers that came with it and that the user wants to see.
    pub(super) headers: Option<Arc<[Header]>>,
    pub(super) token: Option<Id>,
    pub(super) events: Vec<Progress>,
    pub(super) events_dropped: u32,
    /// It was in flight when observation was lost.
    pub(super) doubtful: bool,
    /// It was said that it waits.
    pub(super) said: bool,
    /// The exchange that brought it is over: another one may bring its answer.
    pub(super) adrift: bool,
    /// The server ended that exchange and is expected to answer by another one.
    pub(super) owed: Option<Owed>,
    /// Requests under the same id that came later. Boxed, because their place in the table is.
    #[expect(clippy::vec_box, reason = "moved in and out of the table as they are")]
    pub(super) behind: Vec<Box<Call>>,
}

/// An answer that did not come by the exchange of its request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Owed {
    /// Says when that exchange ended.
    pub(super) since: Nanos,
    /// Says how the call ends if it never comes, and the status of that exchange.
    pub(super) outcome: Outcome,
    pub(super) status: Option<u16>,
}

/// Says on whose account a server hands spans back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PassbackRequester {
    Nobodys,
    Clients,
    /// The tap asked where the client had not.
    Ours,
}

impl PassbackRequester {
    /// Says who asks in this request.
    pub(super) fn read(meta: &Meta<'_>, from: Direction, edited: Option<&Edited>) -> Self {
        match edited {
            Some(Edited { asked: true, .. }) => PassbackRequester::Ours,
            _ if meta.otel && from == Direction::ClientToServer => PassbackRequester::Clients,
            _ => PassbackRequester::Nobodys,
        }
    }
}

/// A task, whose id may be all that is needed to fetch its result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TaskId {
    /// Identifies the call that began the task: a keyed hash of the task's id.
    pub(super) key: u64,
    /// Stands for the id on spans: its keyed hash, or nothing where there is no key.
    pub(super) shown: String,
}

/// Holds what an implementation says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Named {
    pub(super) name: String,
    pub(super) version: String,
}

/// Names a client and the protocol version it speaks.
#[derive(Clone, Debug, Default)]
pub(super) struct ClientInfo {
    pub(super) who: Named,
    pub(super) protocol: String,
}

impl Named {
    /// Gives what `info` says; `None` if it says nothing.
    pub(super) fn read(info: &Info<'_>) -> Option<Self> {
        let told = info.name.is_some() || info.version.is_some();
        told.then(|| Named { name: word(&info.name), version: word(&info.version) })
    }

    /// Says whether `info` says just this.
    pub(super) fn matches(&self, info: &Info<'_>) -> bool {
        same(&self.name, &info.name) && same(&self.version, &info.version)
    }
}

impl ClientInfo {
    /// Gives what a modern request says of its sender.
    pub(super) fn read(meta: &Meta<'_>) -> Self {
        let who = Named::read(&meta.client).unwrap_or_default();
        ClientInfo { who, protocol: word(&meta.protocol_version) }
    }

    pub(super) fn matches(&self, meta: &Meta<'_>) -> bool {
        self.who.matches(&meta.client) && same(&self.protocol, &meta.protocol_version)
    }
}

fn same(known: &str, told: &Option<Text<'_>>) -> bool {
    told.map_or(known.is_empty(), |told| told.is(known))
}

impl Subject {
    pub(super) fn read(method: &str, message: &Message<'_>) -> Self {
        let subject = match method {
            "tools/call" => name(&message.params.name).map(Subject::Tool),
            "prompts/get" => name(&message.params.name).map(Subject::Prompt),
            "resources/read"
            | "resources/subscribe"
            | "resources/unsubscribe"
            | "notifications/resources/updated" => {
                bounded(&message.params.uri, MAX_URI).map(Subject::Resource)
            }
            _ => None,
        };
        subject.unwrap_or_default()
    }
}

impl Call {
    /// Long is normal: it waits for a person, for a task, or for as long as somebody listens.
    pub(super) fn waits(&self) -> bool {
        self.asks_people() || self.listens() || self.method == "tasks/result"
    }

    /// It lives for as long as somebody listens.
    pub(super) fn listens(&self) -> bool {
        self.method == "subscriptions/listen"
    }

    /// It asks whether the server is of the modern era.
    pub(super) fn probes(&self) -> bool {
        self.method == "server/discover"
    }

    /// The client that asks so.
    pub(super) fn prober(&self) -> Named {
        self.speaker.as_ref().map(|speaker| speaker.who.clone()).unwrap_or_default()
    }

    /// The server may have to ask the client something before it is answered.
    pub(super) fn may_ask(&self) -> bool {
        matches!(
            &*self.method,
            "tools/call"
                | "resources/read"
                | "prompts/get"
                | "completion/complete"
                | "tasks/result"
        )
    }

    /// A person has to act before it is answered.
    pub(super) fn asks_people(&self) -> bool {
        matches!(&*self.method, "elicitation/create" | "sampling/createMessage")
    }

    /// The status of the task that this answer to it tells of, where the answer tells how the task
    /// ended, too (2026-07-28). Legacy tasks end in the answer to `tasks/result`.
    pub(super) fn task_status<'a>(&self, result: &Answer<'a>) -> Option<Text<'a>> {
        let modern = self.speaker.is_some() || result.result_type.is_some();
        result.task_status.filter(|_| modern && self.method == "tasks/get")
    }

    /// The JSON-RPC error that answers it, or that its task failed with.
    pub(super) fn failure<'m>(&self, answer: &'m Message<'m>) -> Option<&'m Failure<'m>> {
        let of_task = || {
            let result = answer.result.as_ref()?;
            let failed = self.task_status(result).is_some_and(|status| status.is("failed"));
            result.task_error.as_ref().filter(|_| failed)
        };
        answer.error.as_ref().or_else(of_task)
    }

    /// Says when it began, and when some `later` time was, by the wall clock as it stood when it began: between the two
    /// is what was measured, wherever that clock went meanwhile.
    pub(super) fn times(&self, later: Nanos) -> (Nanos, Nanos) {
        (self.offset.wall(self.start), self.offset.wall(later.max(self.start)))
    }

    /// Says where its span stands, and the flags of its trace.
    pub(super) fn in_trace(&self) -> (SpanRef, u8) {
        (self.place.own, self.place.flags)
    }

    /// Says how many spans it makes.
    pub(super) fn spans(&self) -> u64 {
        1 + u64::from(self.hop.is_some())
    }

    /// Bytes of content it holds.
    pub(super) fn held(&self) -> usize {
        let arguments = if let Raw::Whole(bytes) = &self.arguments { bytes.len() } else { 0 };
        let headers = self.headers.iter().flat_map(|headers| headers.iter());
        arguments + headers.map(Header::size).sum::<usize>()
    }
}

/// A method name, without a copy if it is one of the specification.
pub(super) fn method(text: &Text<'_>) -> Cow<'static, str> {
    match METHODS.iter().find(|known| text.is(known)) {
        Some(known) => Cow::Borrowed(known),
        None => Cow::Owned(shown(text, MAX_NAME)),
    }
}

/// Says whether a protocol version was released.
pub fn is_version(version: &str) -> bool {
    VERSIONS.contains(&version)
}

/// Says whether a method is one of the specification.
pub fn is_known(method: &str) -> bool {
    METHODS.contains(&method)
}

/// A tool or prompt name.
pub(super) fn name(text: &Option<Text<'_>>) -> Option<String> {
    bounded(text, MAX_NAME)
}

/// A version, status or the like; empty if there is none.
pub(super) fn word(text: &Option<Text<'_>>) -> String {
    bounded(text, MAX_WORD).unwrap_or_default()
}

/// A text of at most so many bytes, as it may be shown.
fn shown(text: &Text<'_>, max: usize) -> String {
    let (text, more) = text.lossy(max);
    cut(text, max, more).into_owned()
}

fn bounded(text: &Option<Text<'_>>, max: usize) -> Option<String> {
    text.map(|text| shown(&text, max)).filter(|text| !text.is_empty())
}
