//! The HTTP side of MCP as a passive observer sees it: exchanges in, spans out.
//!
//! [`Http`] takes heads and bodies of any number of HTTP exchanges and pairs what is in them: modern
//! requests within their exchange, legacy ones within their session, wherever their answer comes. It
//! does no I/O, has no clock and reads no HTTP: whoever drives it has parsed heads and decoded bodies.
//! Headers are believed only as far as they tell which bytes belong together.
//!
//! It never fails and never grows with the traffic. The books are those of all sessions together and
//! balance at every moment ([`Counts::balanced`]).

mod target;
mod credentials;
mod mirrored;
mod endpoint;
mod sse;
mod exchange;
mod finder;
mod streams;
mod sessions;
mod connections;
mod endings;
mod routing;
mod reading;
mod waiting;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use self::connections::Connections;
use self::endings::Cause;
pub use self::endpoint::{MAX_ENDPOINT, resolve_reference};
use self::exchange::{Body, ExchangeState, SessionRef};
pub use self::finder::{EndpointFinder, Looked};
pub use self::mirrored::MAX_MIRRORED;
pub use self::sse::{Event, Sse};
pub use self::target::comparable;
use super::pairing::State;
use super::{
    Counts, Direction, Edited, HandedBack, Hidden, InFlight, SessionNames, Settings, TraceContext,
};
use crate::telemetry::{Content, Nanos, Needs, Offset, OwnKeys, Telemetry};

/// Says how many exchanges are observed at once; one beyond is counted and not observed. Each takes two descriptors of
/// the tap, of which there seldom are more than 16,384.
const MAX_EXCHANGES: usize = 8192;
/// Says how many bytes of bodies and events in progress are held, over all exchanges. A body that does not fit is as if
/// it were too long.
const MAX_BUFFERED: usize = 32 << 20;

/// The number of one HTTP request and its response, unique among those in progress. Whoever drives
/// [`Http`] counts them; peers have no say.
pub type Exchange = u64;

/// A tapped server, as spans name it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HttpServer {
    /// As the user named it.
    pub name: String,
    /// Its host: `server.address`.
    pub address: String,
    /// `server.port`
    pub port: Option<u16>,
}

/// Names what a request asks of HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Messages for the server.
    Post,
    /// A stream of the server's messages.
    Get,
    /// The end of a session.
    Delete,
    /// Something that carries no messages.
    Other,
}

/// Holds what a head has for redaction, beside what it means to MCP.
#[derive(Clone, Copy, Default)]
pub struct HeadContent<'a> {
    /// Values that are credentials: of headers, whole, and of cookies that a server sets.
    pub credentials: &'a [&'a [u8]],
    /// Headers that the user wants to see.
    pub headers: &'a [HeadField<'a>],
}

/// A header that the user wants to see.
#[derive(Clone, Copy)]
pub struct HeadField<'a> {
    /// Names the attribute that it becomes.
    pub key: &'a Arc<str>,
    /// Its value; `None` for one that was too long to be handed over.
    pub value: Option<&'a [u8]>,
}

/// Holds what is known of a request before its body.
#[derive(Clone, Copy, Debug)]
pub struct RequestHead<'a> {
    /// Says which of the servers given to [`Http::new`] it is for.
    pub server: usize,
    /// Its method.
    pub verb: Verb,
    /// Path and query as the client sent them.
    pub target: &'a [u8],
    /// Version of HTTP in tenths: 10, 11, 20.
    pub http_version: u8,
    /// `Mcp-Session-Id`
    pub session: Option<&'a [u8]>,
    /// `MCP-Protocol-Version`
    pub protocol_version: Option<&'a [u8]>,
    /// `traceparent`
    pub traceparent: Option<&'a [u8]>,
    /// `tracestate`
    pub tracestate: Option<&'a [u8]>,
    /// `Last-Event-ID` is there.
    pub resumes: bool,
    /// Holds its credentials and listed headers, for redaction.
    pub content: HeadContent<'a>,
    /// `Mcp-Method`
    pub method: Option<&'a [u8]>,
    /// `Mcp-Name`
    pub name: Option<&'a [u8]>,
}

/// Holds what is known of a response before its body.
#[derive(Clone, Copy, Debug)]
pub struct ResponseHead<'a> {
    /// Its status.
    pub status: u16,
    /// Holds what its body is.
    pub kind: BodyKind,
    /// `Mcp-Session-Id`
    pub session: Option<&'a [u8]>,
    /// Holds its credentials and listed headers, for redaction.
    pub content: HeadContent<'a>,
}

/// Names what a body is, by its content type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyKind {
    /// `text/event-stream`
    Sse,
    /// Anything else; JSON, as a rule.
    Other,
}

/// Says who broke off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Party {
    /// The client disconnected.
    Client,
    /// The server could not be reached, or its connection broke.
    Server,
    /// The tap refused the request, or is stopping.
    Tap,
}

/// All that one tap observes over HTTP.
pub struct Http {
    connections: Connections,
    exchanges: HashMap<Exchange, Box<ExchangeState>, OwnKeys>,
    /// Bytes held in them.
    buffered: usize,
    /// No request expires or is to be said before this.
    quiet_until: Nanos,
}

impl Http {
    /// A tap of `servers` that has seen nothing yet. `ambient` is the context in our environment,
    /// `seed` makes the trace and span ids, `session_name` says what may be told of a session id.
    pub fn new(
        settings: Arc<Settings>,
        servers: Vec<HttpServer>,
        ambient: Option<TraceContext>,
        seed: [u8; 32],
        session_name: SessionNames,
    ) -> Self {
        Http {
            connections: Connections::new(settings, servers, ambient, seed, session_name),
            exchanges: HashMap::default(),
            buffered: 0,
            quiet_until: 0,
        }
    }

    /// Shares the memory of what was handed back with others; each has its own otherwise.
    pub fn share(&mut self, handed_back: Arc<HandedBack>) {
        self.connections.common.handed_back = handed_back;
    }

    /// Says where the wall clock is from here on: spans that begin later are told by it.
    pub fn anchor(&mut self, offset: Offset) {
        self.connections.common.offset = offset;
    }

    /// Says what may be told of task ids from here on: nothing unless said otherwise.
    pub fn hide(&mut self, hidden: Hidden) {
        self.connections.common.hidden = hidden;
    }

    /// Gives what of calls' content is kept for processors from here on: all of it unless said otherwise.
    pub fn keep(&mut self, needs: Needs) {
        self.connections.common.needs = needs;
    }

    /// The head of a request came.
    pub fn request(&mut self, x: Exchange, head: &RequestHead<'_>, now: Nanos) {
        if self.exchanges.contains_key(&x) {
            self.over(x, Cause::Tap, now);
        }
        if self.exchanges.len() >= MAX_EXCHANGES {
            return self.connections.overflow(head);
        }
        let mut open = self.connections.open(x, head, now);
        if self.buffered + open.held() > MAX_BUFFERED {
            self.connections.give_up_headers(&mut open);
        }
        self.buffered += open.held();
        self.exchanges.insert(x, Box::new(open));
    }

    /// The head of its response came.
    pub fn response(&mut self, x: Exchange, head: &ResponseHead<'_>, now: Nanos) {
        let Some(open) = self.exchanges.get_mut(&x) else { return };
        self.buffered -= open.held();
        self.connections.replied(open, head, now);
        if self.buffered + open.held() > MAX_BUFFERED {
            self.connections.give_up_headers(open);
        }
        self.buffered += open.held();
    }

    /// The request in the body of that exchange was edited on its way; the bytes that come are the
    /// original. Told before them. Nothing of it is believed of a batch.
    pub fn edited(&mut self, x: Exchange, edited: Edited) {
        if let Some(open) = self.exchanges.get_mut(&x) {
            open.edited = Some(Box::new(edited));
        }
    }

    /// Bytes of a body as they were read, content decoded, at any boundary. `now` is when.
    pub fn bytes(&mut self, x: Exchange, direction: Direction, chunk: &[u8], now: Nanos) {
        let Some(open) = self.exchanges.get_mut(&x) else { return };
        let held = open.held();
        let left = MAX_BUFFERED.saturating_sub(self.buffered);
        let max = self.connections.max_message_bytes().min(held + left);
        match direction {
            Direction::ClientToServer => open.request.push(chunk, max, left > 0),
            Direction::ServerToClient => match &open.reply {
                Body::Events(_) => self.connections.events(open, chunk, max, now),
                _ => open.reply.push(chunk, max, left > 0),
            },
        }
        self.buffered = self.buffered + open.held() - held;
    }

    /// The last bytes of a body: [`bytes`](Self::bytes) and [`ended`](Self::ended) in one. A body that comes
    /// by this alone, as short ones do, is read where it is and not held, so it needs none of the room that
    /// all bodies in progress share.
    pub fn last(&mut self, x: Exchange, direction: Direction, chunk: &[u8], now: Nanos) {
        let Some(open) = self.exchanges.get_mut(&x) else { return };
        let body = open.body(direction);
        if chunk.len() > self.connections.max_message_bytes() || !body.is_text_to_come() {
            self.bytes(x, direction, chunk, now);
            return self.ended(x, direction, now);
        }
        *body = Body::Nothing;
        match direction {
            Direction::ServerToClient => self.over_with(x, chunk, Cause::Ended, now),
            Direction::ClientToServer => self.connections.request_came(open, chunk, now),
        }
    }

    /// That many bytes of a body were left out here on purpose, because it is too long; what follows by
    /// [`bytes`](Self::bytes) continues after them. In an event stream they must be of one line.
    pub fn skip(&mut self, x: Exchange, direction: Direction, skipped: u64) {
        let Some(open) = self.exchanges.get_mut(&x) else { return };
        let max = self.connections.max_message_bytes();
        self.buffered -= open.held();
        match direction {
            Direction::ClientToServer => open.request.skip(skipped, max),
            Direction::ServerToClient => open.reply.skip(skipped, max),
        }
        self.buffered += open.held();
    }

    /// That body is complete. The exchange is over when the response ended.
    pub fn ended(&mut self, x: Exchange, direction: Direction, now: Nanos) {
        match direction {
            Direction::ServerToClient => self.over(x, Cause::Ended, now),
            Direction::ClientToServer => {
                let Some(open) = self.exchanges.get_mut(&x) else { return };
                self.buffered -= open.held();
                self.connections.request_ended(open, now);
                self.buffered += open.held();
            }
        }
    }

    /// The exchange is over before its end.
    pub fn broken(&mut self, x: Exchange, by: Party, now: Nanos) {
        let cause = match by {
            Party::Client => Cause::Client,
            Party::Server => Cause::Server,
            Party::Tap => Cause::Tap,
        };
        self.over(x, cause, now);
    }

    /// From here on this direction of the exchange is not observed; its end is still told.
    pub fn lost(&mut self, x: Exchange, direction: Direction, _now: Nanos) {
        let Some(open) = self.exchanges.get_mut(&x) else { return };
        self.buffered -= open.held();
        match direction {
            Direction::ClientToServer => self.connections.request_lost(open),
            Direction::ServerToClient => self.connections.reply_lost(open),
        }
        self.buffered += open.held();
    }

    /// Whole exchanges went by unobserved, `requests` POSTs among them, `bytes` bytes of bodies in all.
    pub fn gap(&mut self, requests: u64, bytes: u64, _now: Nanos) {
        self.connections.gap(requests, bytes);
    }

    /// Lets time pass: requests that nobody answers are given up. Cheap while nothing is due.
    pub fn tick(&mut self, now: Nanos) {
        self.connections.end_in_vain(now);
        self.connections.forget_secrets(now);
        if now < self.quiet_until {
            return;
        }
        let provisional = self.exchanges.values_mut().filter_map(|open| open.home.provisional());
        self.quiet_until = self.connections.tick(provisional, now);
    }

    /// The tap stops: all that is in flight ends as cancelled.
    pub fn finish(&mut self, now: Nanos) {
        let mut open: Vec<_> = self.exchanges.keys().copied().collect();
        open.sort_unstable();
        open.into_iter().for_each(|x| self.over(x, Cause::Tap, now));
        self.connections.finish(now);
    }

    /// The books so far.
    pub fn counts(&self) -> Counts {
        self.connections.common.counts()
    }

    /// Names the servers.
    pub fn servers(&self) -> impl Iterator<Item = &str> {
        self.connections.servers.iter().map(|tapped| &*tapped.server.name)
    }

    /// Shows what waits for its answer, in no order.
    pub fn in_flight(&self) -> impl Iterator<Item = InFlight<'_>> {
        let homeless = self.exchanges.values().filter_map(|open| match &open.home {
            SessionRef::Provisional(state) => Some(&**state),
            SessionRef::None | SessionRef::Session(_) => None,
        });
        self.connections.states().chain(homeless).flat_map(State::waiting)
    }

    /// Says how many spans are ready to be taken, and what log records weigh beside them.
    pub fn ready(&self) -> usize {
        self.connections.common.ready()
    }

    /// The spans finished since the last call, by resource, with what was seen of them; those whose
    /// callers did not sample apart.
    pub fn take(&mut self) -> Vec<(Telemetry, Content)> {
        self.connections.common.take()
    }

    /// The log records made since the last call, with what is searched for in them.
    pub fn take_logs(&mut self) -> Vec<(Telemetry, Content)> {
        self.connections.common.logs.take()
    }

    /// Says whether log records are made from here on: none unless somebody wants them.
    pub fn want_logs(&mut self, wanted: bool) {
        self.connections.common.logs.wanted = wanted;
    }

    fn over(&mut self, x: Exchange, cause: Cause, now: Nanos) {
        self.over_with(x, b"", cause, now);
    }

    /// The same with a response that was not held, if it is not empty.
    fn over_with(&mut self, x: Exchange, reply: &[u8], cause: Cause, now: Nanos) {
        let Some(open) = self.exchanges.remove(&x) else { return };
        self.buffered -= open.held();
        self.connections.over(open, reply, cause, now);
        if self.exchanges.is_empty() {
            /// A burst does not keep its table for good.
            const KEEP: usize = 1024;
            self.exchanges.shrink_to(KEEP);
        }
    }
}

// What is observed never prints: a debug line in a log would be a leak.
impl fmt::Debug for HeadContent<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HeadContent")
    }
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Http({} exchanges)", self.exchanges.len())
    }
}

#[cfg(test)]
mod tests;
