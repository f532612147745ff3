//! Which requests share a trace, where nobody sends a context or it is not the parent.

use super::*;
use crate::mcp::testing::jumped;
use crate::mcp::{Parent, ServiceName, Traces};
use crate::otlp::Messages;

const INITIALIZE: &str = r#"{"id":0,"method":"initialize","params":{}}"#;

fn by_session() -> Tap {
    Tap::with(Settings { trace: Traces::Session, ..Settings::default() })
}

fn granting(status: u16, session: &'static [u8]) -> ResponseHead<'static> {
    ResponseHead { status, kind: BodyKind::Other, session: Some(session), content: NOTHING }
}

impl Tap {
    /// A handshake that is granted a session.
    fn shake(&mut self, session: &'static [u8]) {
        let x = self.post(INITIALIZE);
        self.http.response(x, &granting(200, session), self.now);
        self.bytes(x, &ok(0)).end(x);
    }

    /// Says how many traces the finished spans are of, and how many spans there are.
    fn traces(&mut self) -> (usize, usize) {
        let spans = self.spans();
        let mut traces: Vec<_> = spans.iter().map(|done| done.span.trace_id.clone()).collect();
        traces.sort();
        traces.dedup();
        (traces.len(), spans.len())
    }
}

#[test]
fn the_handshake_is_in_the_trace_of_its_session() {
    let mut tap = by_session();
    tap.shake(b"s");
    for id in 1..4 {
        let x = tap.say(&call(id));
        tap.reply(x, 200, &ok(id));
    }
    // What the server asks by the session's own stream is, too.
    let x = tap.listen();
    tap.event(x, r#"{"id":7,"method":"ping"}"#).say(r#"{"id":7,"result":{}}"#);
    assert_eq!(tap.traces(), (1, 5));
}

#[test]
fn every_session_has_its_own() {
    let mut tap = by_session();
    tap.shake(b"s");
    tap.shake(b"r");
    let x = tap.say(&call(1));
    tap.reply(x, 200, &ok(1));
    assert_eq!(tap.traces(), (2, 3));
}

#[test]
fn the_session_may_be_granted_before_its_handshake_was_read() {
    let mut tap = by_session();
    let x = tap.begin(&POST);
    tap.http.bytes(x, C, INITIALIZE.as_bytes(), tap.now);
    tap.http.response(x, &granting(200, b"s"), tap.now);
    tap.http.ended(x, C, tap.now);
    tap.bytes(x, &ok(0)).end(x);
    let x = tap.say(&call(1));
    tap.reply(x, 200, &ok(1));
    assert_eq!(tap.traces(), (1, 2));
}

#[test]
fn a_session_by_stream_is_one_trace() {
    let mut tap = by_session();
    let x = tap.begin(&GET);
    tap.stream(x).bytes(x, "event: endpoint\ndata: /messages?s=1\n\n");
    let to = RequestHead { target: b"/messages?s=1", ..POST };
    for (id, body) in [(0, INITIALIZE.to_owned()), (1, call(1))] {
        let y = tap.send(&to, &body);
        tap.reply(y, 202, "").event(x, &ok(id));
    }
    assert_eq!(tap.traces(), (1, 2));
}

#[test]
fn what_nothing_ties_together_is_a_trace_each() {
    // No session was granted, the modern era has none, and one request is none.
    let mut tap = by_session();
    for (id, body) in [(0, INITIALIZE.to_owned()), (1, call(1)), (2, modern(2, ""))] {
        let x = tap.post(&body);
        tap.reply(x, 200, &ok(id));
    }
    assert_eq!(tap.traces(), (3, 3));
    let mut tap = Tap::new();
    tap.shake(b"s");
    let x = tap.say(&call(1));
    tap.reply(x, 200, &ok(1));
    assert_eq!(tap.traces(), (2, 2));
}

#[test]
fn calls_that_begin_after_a_jump_of_the_wall_clock_are_told_by_it_and_no_others() {
    let mut tap = Tap::new();
    let x = tap.session().say(&call(1));
    let offset = jumped(3600);
    tap.http.anchor(offset);
    let y = tap.post(&modern(2, ""));
    tap.reply(x, 200, &ok(1)).reply(y, 200, &ok(2));
    let [open, new] = &tap.spans()[..] else { panic!("two spans") };
    let length = |done: &Done| done.span.end_time_unix_nano - done.span.start_time_unix_nano;
    assert!(length(open) < 60 * SECOND && length(new) < 60 * SECOND);
    let apart = new.span.start_time_unix_nano - open.span.start_time_unix_nano;
    assert!(apart.abs_diff(offset.wall(0)) < 60 * SECOND);
}

fn carried() -> RequestHead<'static> {
    RequestHead { traceparent: Some(OTHER.as_bytes()), ..IN_SESSION }
}

fn traced(id: u32) -> String {
    let meta = format!(r#""t","_meta":{{"traceparent":"{PARENT}"}}"#);
    call(id).replace(r#""t""#, &meta)
}

/// Gives what a request is and links to whose context comes in a header, in the message, or both.
fn linked(parent: Parent, head: &RequestHead<'_>, body: &str) -> (Vec<u8>, Vec<(String, u8)>) {
    let mut tap = Tap::with(Settings { parent, ..Settings::default() });
    let x = tap.session().send(head, body);
    tap.stream(x).event(x, &ok(1)).event(x, &ok(2)).end(x);
    let span = tap.spans().remove(0).span;
    let to = |link: &opentelemetry_proto::tonic::trace::v1::span::Link| {
        (text(&link.attributes[0]), link.span_id[1])
    };
    (span.parent_span_id, span.links.iter().map(to).collect())
}

#[test]
fn with_link_whatever_would_be_the_parent_is_a_link() {
    let link = |why: &str, to: u8| (why.to_owned(), to);
    let batch = format!("[{},{}]", call(1), call(2));
    for (head, body, links) in [
        (IN_SESSION, call(1), vec![]),
        (IN_SESSION, traced(1), vec![link("parent", 0xf0)]),
        (carried(), call(1), vec![link("parent", 0x22)]),
        (carried(), traced(1), vec![link("parent", 0xf0), link("http", 0x22)]),
        // Of several messages it would be nobody's parent, and is a link in any case.
        (carried(), batch, vec![link("http", 0x22)]),
    ] {
        assert_eq!(linked(Parent::Link, &head, &body), (vec![], links), "{body}");
        assert_eq!(linked(Parent::Own, &head, &body), (vec![], vec![]), "{body}");
    }
}

#[test]
fn a_context_in_a_header_does_not_part_a_session_that_is_one_trace() {
    for parent in [Parent::Link, Parent::Own] {
        let mut tap = Tap::with(Settings { parent, trace: Traces::Session, ..Settings::default() });
        let x = tap.send(&RequestHead { session: None, ..carried() }, INITIALIZE);
        tap.http.response(x, &granting(200, b"s"), tap.now);
        tap.bytes(x, &ok(0)).end(x);
        let x = tap.send(&carried(), &traced(1));
        tap.reply(x, 200, &ok(1));
        assert_eq!(tap.traces(), (1, 2));
    }
}

#[test]
fn a_version_stands_beside_the_name_that_it_is_of() {
    let answer = |id: u32, version: &str| {
        format!(r#"{{"id":{id},"result":{{"serverInfo":{{"name":"x","version":"{version}"}}}}}}"#)
    };
    let settings = Settings { service_name: ServiceName::Server, ..Settings::default() };
    let mut tap = Tap::with(settings);
    // Two instances of one server, of which the second is newer.
    for (session, version) in [(&b"s"[..], "1"), (b"r", "2")] {
        let x = tap.post(INITIALIZE);
        tap.http.response(x, &granting(200, session), tap.now);
        tap.bytes(x, &answer(0, version)).end(x);
        let x = tap.send(&RequestHead { session: Some(session), ..POST }, &call(1));
        tap.reply(x, 200, &ok(1));
    }
    let x = tap.post(&modern(1, ""));
    tap.reply(x, 200, &ok(1));
    let (telemetry, _) = tap.http.take().remove(0);
    let Messages::Traces(all) = telemetry.messages() else { panic!("a tap makes spans") };
    let of = |key: &str, resource: &opentelemetry_proto::tonic::trace::v1::ResourceSpans| {
        let attributes = &resource.resource.as_ref().unwrap().attributes;
        attributes.iter().find(|a| a.key == key).map(text)
    };
    let services: Vec<_> = all
        .iter()
        .map(|r| {
            let name = of(names::SERVICE_NAME, r).unwrap();
            (name, of(names::SERVICE_VERSION, r), r.scope_spans[0].spans.len())
        })
        .collect();
    let one = |version: Option<&str>, spans| ("one".to_owned(), version.map(str::to_owned), spans);
    assert_eq!(services, [one(Some("1"), 2), one(Some("2"), 2), one(None, 1)]);
}
