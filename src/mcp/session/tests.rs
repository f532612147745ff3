//! Every rule of the session, by plain calls: what goes in by direction, what spans come out.

use opentelemetry_proto::tonic::trace::v1::span::SpanKind;

use super::*;
use crate::mcp::testing::{Done, hidden, pairs, text, versioned};
use crate::mcp::{
    Notifications, Perspective, ServiceName, TraceContext, Traces, Transport, Unsampled,
};
use crate::otlp::Messages;
use crate::telemetry::{Raw, Seen, names};
use bytes::Bytes;

use Direction::{ClientToServer as C, ServerToClient as S};

const SECOND: Nanos = 1_000_000_000;
const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01";

/// A session under test, and a clock that steps one second a message.
struct Tap {
    session: Session,
    now: Nanos,
}

impl Tap {
    fn new() -> Tap {
        Tap::with(Settings::default())
    }

    fn with(settings: Settings) -> Tap {
        Tap::of(settings, identity())
    }

    fn of(settings: Settings, identity: Identity) -> Tap {
        let mut session = Session::new(Arc::new(settings), identity, [1; 32]);
        session.hide(hidden());
        Tap { session, now: 1_000 * SECOND }
    }

    fn say(&mut self, direction: Direction, line: &str) {
        self.now += SECOND;
        self.session.bytes(direction, versioned(line).as_bytes(), self.now);
        self.session.bytes(direction, b"\n", self.now);
        assert!(self.session.counts().balanced(), "{:?}", self.session.counts());
    }

    /// The client says.
    fn c(&mut self, line: &str) -> &mut Self {
        self.say(C, line);
        self
    }

    /// The server says.
    fn s(&mut self, line: &str) -> &mut Self {
        self.say(S, line);
        self
    }

    fn call(&mut self, id: u32) -> &mut Self {
        self.c(&format!(r#"{{"id":{id},"method":"tools/call","params":{{"name":"t"}}}}"#))
    }

    fn ok(&mut self, id: u32) -> &mut Self {
        self.s(&format!(r#"{{"id":{id},"result":{{}}}}"#))
    }

    fn cancel(&mut self, id: u32) -> &mut Self {
        self.c(&format!(r#"{{"method":"notifications/cancelled","params":{{"requestId":{id}}}}}"#))
    }

    fn gap(&mut self, direction: Direction) -> &mut Self {
        self.session.gap(direction, 100, 1, self.now);
        self
    }

    /// Lets time pass.
    fn wait(&mut self, seconds: u64) -> &mut Self {
        self.now += seconds * SECOND;
        self.session.tick(self.now);
        self
    }

    fn end(&mut self) -> &mut Self {
        self.session.end(self.now);
        self
    }

    fn counts(&self) -> Counts {
        self.session.counts()
    }

    fn spans(&mut self) -> Vec<Done> {
        assert!(self.counts().balanced(), "{:?}", self.counts());
        Done::all(self.session.take())
    }

    fn only(&mut self) -> Done {
        let mut spans = self.spans();
        assert_eq!(spans.len(), 1);
        spans.remove(0)
    }

    fn outcomes(&mut self) -> Vec<(String, String)> {
        let text =
            |done: &Done| (done.get(names::REQUEST_ID).to_owned(), done.outcome().to_owned());
        self.spans().iter().map(text).collect()
    }

    fn names(&mut self) -> Vec<String> {
        self.spans().into_iter().map(|done| done.span.name).collect()
    }
}

fn identity() -> Identity {
    let (server, session) = ("files".to_owned(), "s-1".to_owned());
    Identity { server, session, ..Identity::default() }
}

mod cancelled;
mod capture;
mod clock;
mod doubt;
mod endings;
mod hidden;
mod hops;
mod logs;
mod ids;
mod naming;
mod pairing;
mod parents;
mod passback;
mod pending;
mod probes;
mod server_requests;
mod shape;
mod unreadable;
