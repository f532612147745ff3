//! Every rule of observing HTTP, by plain calls: what goes in by exchange, what spans come out.

use super::*;
use crate::mcp::SessionName;
use crate::mcp::testing::{Done, hidden, pairs, text, versioned};
use crate::telemetry::names;

use Direction::{ClientToServer as C, ServerToClient as S};

const SECOND: Nanos = 1_000_000_000;
const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01";
const OTHER: &str = "00-11111111111111111111111111111111-2222222222222222-01";

/// A tap of two servers under test, and a clock that steps one second an event.
struct Tap {
    http: Http,
    now: Nanos,
    next: Exchange,
}

const NOTHING: HeadContent<'static> = HeadContent { credentials: &[], headers: &[] };

/// The head of a POST without anything to it.
const POST: RequestHead<'static> = RequestHead {
    server: 0,
    verb: Verb::Post,
    target: b"/mcp",
    http_version: 11,
    session: None,
    protocol_version: None,
    traceparent: None,
    tracestate: None,
    resumes: false,
    content: NOTHING,
    method: None,
    name: None,
};

const GET: RequestHead<'static> = RequestHead { verb: Verb::Get, ..POST };

/// The head of a POST in the session `s`.
const IN_SESSION: RequestHead<'static> = RequestHead { session: Some(b"s"), ..POST };

fn modern(id: u32, rest: &str) -> String {
    format!(
        r#"{{"id":{id},"method":"tools/call","params":{{"name":"t"{rest},"_meta":{{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}}}}"#
    )
}

fn call(id: u32) -> String {
    format!(r#"{{"id":{id},"method":"tools/call","params":{{"name":"t"}}}}"#)
}

fn ok(id: u32) -> String {
    format!(r#"{{"id":{id},"result":{{}}}}"#)
}

fn cancel(id: u32) -> String {
    format!(r#"{{"method":"notifications/cancelled","params":{{"requestId":{id}}}}}"#)
}

fn server(name: &str, port: Option<u16>) -> HttpServer {
    HttpServer { name: name.to_owned(), address: format!("{name}.example"), port }
}

impl Tap {
    fn new() -> Tap {
        Tap::with(Settings::default())
    }

    fn with(settings: Settings) -> Tap {
        let servers = vec![server("one", Some(8080)), server("two", None)];
        let name = |raw: &[u8]| SessionName {
            shown: format!("name of {}", String::from_utf8_lossy(raw)),
            clear: None,
        };
        let mut http = Http::new(Arc::new(settings), servers, None, [1; 32], Box::new(name));
        http.hide(hidden());
        Tap { http, now: 1_000 * SECOND, next: 1 }
    }

    fn step(&mut self) {
        self.now += SECOND;
        assert!(self.counts().balanced(), "{:?}", self.counts());
    }

    /// A request of which the head came.
    fn begin(&mut self, head: &RequestHead<'_>) -> Exchange {
        self.step();
        self.next += 1;
        self.http.request(self.next, head, self.now);
        self.next
    }

    /// A whole request.
    fn send(&mut self, head: &RequestHead<'_>, body: &str) -> Exchange {
        let x = self.begin(head);
        self.http.bytes(x, C, versioned(body).as_bytes(), self.now);
        self.http.ended(x, C, self.now);
        self.step();
        x
    }

    fn post(&mut self, body: &str) -> Exchange {
        self.send(&POST, body)
    }

    /// A POST in the session `s`.
    fn say(&mut self, body: &str) -> Exchange {
        self.send(&IN_SESSION, body)
    }

    fn head(&mut self, x: Exchange, status: u16, kind: BodyKind) -> &mut Self {
        self.step();
        self.http.response(
            x,
            &ResponseHead { status, kind, session: None, content: NOTHING },
            self.now,
        );
        self
    }

    /// The head of an event stream.
    fn stream(&mut self, x: Exchange) -> &mut Self {
        self.head(x, 200, BodyKind::Sse)
    }

    fn bytes(&mut self, x: Exchange, bytes: &str) -> &mut Self {
        self.step();
        self.http.bytes(x, S, versioned(bytes).as_bytes(), self.now);
        self
    }

    fn event(&mut self, x: Exchange, data: &str) -> &mut Self {
        self.bytes(x, &format!("data: {data}\n\n"))
    }

    fn event_with_id(&mut self, x: Exchange, id: &str, data: &str) -> &mut Self {
        self.bytes(x, &format!("id: {id}\ndata: {data}\n\n"))
    }

    fn end(&mut self, x: Exchange) -> &mut Self {
        self.step();
        self.http.ended(x, S, self.now);
        self.step();
        self
    }

    /// A whole response that is no stream.
    fn reply(&mut self, x: Exchange, status: u16, body: &str) -> &mut Self {
        self.head(x, status, BodyKind::Other).bytes(x, body).end(x)
    }

    fn broken(&mut self, x: Exchange, by: Party) -> &mut Self {
        self.step();
        self.http.broken(x, by, self.now);
        self.step();
        self
    }

    /// A session `s` that was shaken hands over, with nothing to take.
    fn session(&mut self) -> &mut Self {
        let x = self.post(
            r#"{"id":0,"method":"initialize","params":{"clientInfo":{"name":"agent","version":"3"}}}"#,
        );
        self.step();
        let head = ResponseHead {
            status: 200,
            kind: BodyKind::Other,
            session: Some(b"s"),
            content: NOTHING,
        };
        self.http.response(x, &head, self.now);
        let answer = r#"{"id":0,"result":{"protocolVersion":"2025-06-18","serverInfo":{"name":"fs","version":"9"}}}"#;
        self.bytes(x, answer).end(x);
        assert_eq!(self.only().span.name, "initialize");
        self
    }

    /// The session's standalone stream.
    fn listen(&mut self) -> Exchange {
        let x = self.begin(&RequestHead { session: Some(b"s"), ..GET });
        self.http.ended(x, C, self.now);
        self.stream(x);
        x
    }

    fn wait(&mut self, seconds: u64) -> &mut Self {
        self.now += seconds * SECOND;
        self.http.tick(self.now);
        self
    }

    fn counts(&self) -> Counts {
        self.http.counts()
    }

    fn spans(&mut self) -> Vec<Done> {
        assert!(self.counts().balanced(), "{:?}", self.counts());
        let ready = self.http.ready();
        let spans = Done::all(self.http.take());
        assert_eq!(spans.len(), ready);
        spans
    }

    fn only(&mut self) -> Done {
        let mut spans = self.spans();
        assert_eq!(spans.len(), 1);
        spans.remove(0)
    }

    fn outcomes(&mut self) -> Vec<(String, String)> {
        let pair = |done: Done| (done.get(names::REQUEST_ID).to_owned(), done.outcome().to_owned());
        self.spans().into_iter().map(pair).collect()
    }
}

mod bounds;
mod cancelled;
mod capture;
mod context;
mod endings;
mod headers;
mod hops;
mod ids;
mod legacy;
mod logs;
mod losses;
mod modern;
mod pending;
mod probes;
mod resumption;
mod secrets;
mod server_requests;
mod streams;
mod traces;
mod unreadable;
mod waiting;
