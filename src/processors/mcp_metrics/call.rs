//! Reads from a span what is counted of it. Nothing is copied.

use crate::calls::Count;
use crate::otlp::wire::view::{Item, ValueView};
use crate::telemetry::names::{
    CLEAR_SESSION_ID, ERROR_TYPE, HOP, METHOD, NETWORK_PROTOCOL, NETWORK_VERSION, OPERATION,
    PASSBACK, PROMPT, PROTOCOL_VERSION, REQUEST_SIZE, RESPONSE_SIZE, SERVER_ADDRESS, SERVER_NAME,
    SERVER_PORT, SESSION_ID, STATUS_CODE, TOOL, TRANSPORT,
};
use crate::telemetry::{Nanos, SpanId};

/// The number of `SPAN_KIND_SERVER` in OTLP's trace.proto.
const SERVER: u64 = 2;
/// The bit of a span's flags that says that its trace is sampled (W3C Trace Context).
const SAMPLED: u32 = 1;

/// Whose view a span takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Side {
    /// Of the one that asked.
    Client,
    /// Of the one that was asked.
    Server,
}

/// Tells in which series a call is counted: calls with equal keys are counted in the same ones. Texts are empty where
/// the span has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key<'a> {
    pub(super) side: Side,
    /// It failed, and the server was never seen to list its tool or prompt.
    pub(super) unlisted: bool,
    /// Its request and its answer have a size.
    pub(super) sizes: [bool; 2],
    pub(super) words: Words<'a>,
}

/// Holds what becomes labels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Words<'a> {
    pub(super) server: &'a str,
    pub(super) method: &'a str,
    pub(super) tool: &'a str,
    pub(super) prompt: &'a str,
    pub(super) operation: &'a str,
    pub(super) error: &'a str,
    pub(super) status: &'a str,
    pub(super) protocol: &'a str,
    pub(super) transport: &'a str,
    pub(super) network: &'a str,
    pub(super) network_version: &'a str,
    pub(super) address: &'a str,
    /// 0 where there is none.
    pub(super) port: u16,
}

/// Holds what is counted of one span.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call<'a> {
    pub(super) key: Key<'a>,
    /// Empty where it belongs to none.
    pub(super) session: &'a str,
    pub(super) start: Nanos,
    pub(super) end: Nanos,
    /// Bytes of the request and of the answer.
    pub(super) sizes: [u64; 2],
    /// Its trace and itself, if it is sampled.
    pub(super) span: Option<([u8; 16], SpanId)>,
}

impl<'a> Words<'a> {
    /// The texts by their labels, in the order in which series have them.
    pub(super) fn texts(&self) -> [(&'static str, &'a str); 12] {
        [
            (SERVER_NAME, self.server),
            (METHOD, self.method),
            (TOOL, self.tool),
            (PROMPT, self.prompt),
            (OPERATION, self.operation),
            (ERROR_TYPE, self.error),
            (STATUS_CODE, self.status),
            (PROTOCOL_VERSION, self.protocol),
            (TRANSPORT, self.transport),
            (NETWORK_PROTOCOL, self.network),
            (NETWORK_VERSION, self.network_version),
            (SERVER_ADDRESS, self.address),
        ]
    }
}

impl<'a> Call<'a> {
    /// Reads a span of the server `server`; `None` for one that is no call, or does not count.
    pub(super) fn read(item: &Item<'a>, server: &'a str, count: Count) -> Option<Self> {
        if !count.may_be_of(&item.scope) {
            return None;
        }
        let mut said = Said::default();
        let head = item.own.span(|name, value| said.note(name, value));
        let Said { mut words, sizes, session, clear_session, is_hop, handed_back } = said;
        let is_call = !words.method.is_empty() && !words.method.starts_with("notifications/");
        if !is_call || !count.takes(head.kind, is_hop, handed_back) {
            return None;
        }
        let (trace, span) = (head.trace.try_into().ok()?, head.span.try_into().ok()?);
        words.server = server;
        let named = !words.tool.is_empty() || !words.prompt.is_empty();
        // A tap's span is named for the method alone then.
        let unlisted = count == Count::Tap && named && head.name == words.method;
        let side = if head.kind == SERVER { Side::Server } else { Side::Client };
        Some(Call {
            key: Key { side, unlisted, sizes: sizes.map(|size| size.is_some()), words },
            session: if session.is_empty() { clear_session } else { session },
            start: head.start,
            end: head.end.max(head.start),
            sizes: sizes.map(Option::unwrap_or_default),
            span: (head.flags & SAMPLED != 0).then_some((trace, span)),
        })
    }

    /// Says how long it took, in seconds.
    pub(super) fn seconds(&self) -> f64 {
        seconds(self.end - self.start)
    }
}

/// Nanoseconds as seconds.
pub(super) fn seconds(nanos: Nanos) -> f64 {
    std::time::Duration::from_nanos(nanos).as_secs_f64()
}

/// Holds what the attributes of a span say.
#[derive(Default)]
struct Said<'a> {
    words: Words<'a>,
    sizes: [Option<u64>; 2],
    session: &'a str,
    clear_session: &'a str,
    is_hop: bool,
    handed_back: bool,
}

impl<'a> Said<'a> {
    #[inline]
    fn note(&mut self, name: &[u8], value: ValueView<'a>) {
        let is = |known: &str| name == known.as_bytes();
        let words = &mut self.words;
        // Most others are told by their length alone.
        let word = match name.len() {
            10 if is(ERROR_TYPE) => &mut words.error,
            10 if is(HOP) => return self.is_hop = value.is_true(),
            11 if is(SERVER_PORT) => {
                let port = value.int().and_then(|port| u16::try_from(port).ok());
                return words.port = port.unwrap_or_default();
            }
            14 if is(SERVER_ADDRESS) => &mut words.address,
            14 if is(CLEAR_SESSION_ID) => &mut self.clear_session,
            15 if is(METHOD) => &mut words.method,
            15 if is(PASSBACK) => return self.handed_back = value.is_true(),
            16 if is(TOOL) => &mut words.tool,
            17 if is(TRANSPORT) => &mut words.transport,
            17 if is(SESSION_ID) => &mut self.session,
            18 if is(PROMPT) => &mut words.prompt,
            19 if is(REQUEST_SIZE) => return self.sizes[0] = size(value),
            20 if is(PROTOCOL_VERSION) => &mut words.protocol,
            20 if is(RESPONSE_SIZE) => return self.sizes[1] = size(value),
            21 if is(OPERATION) => &mut words.operation,
            21 if is(NETWORK_PROTOCOL) => &mut words.network,
            24 if is(STATUS_CODE) => &mut words.status,
            24 if is(NETWORK_VERSION) => &mut words.network_version,
            _ => return,
        };
        *word = value.text().unwrap_or_default();
    }
}

fn size(value: ValueView<'_>) -> Option<u64> {
    value.int().and_then(|size| u64::try_from(size).ok())
}

/// A key that is kept.
#[derive(Debug)]
pub(super) struct Kept {
    side: Side,
    unlisted: bool,
    sizes: [bool; 2],
    texts: [Box<str>; 12],
    port: u16,
}

impl Kept {
    /// Copies a key.
    pub(super) fn of(key: &Key<'_>) -> Self {
        let Key { side, unlisted, sizes, words } = *key;
        let texts = words.texts().map(|(_, text)| text.into());
        Kept { side, unlisted, sizes, texts, port: words.port }
    }

    /// Says whether it is this one.
    pub(super) fn is(&self, key: &Key<'_>) -> bool {
        let Key { side, unlisted, sizes, words } = key;
        let same = (self.side, self.unlisted, self.sizes, self.port)
            == (*side, *unlisted, *sizes, words.port);
        same && self.texts.iter().zip(words.texts()).all(|(kept, (_, text))| **kept == *text)
    }
}
