//! Trace context and protocol version: what headers may say, and what they may not.

use super::*;
use crate::mcp::{Traces, Unsampled};

fn traced(id: u32) -> String {
    modern(id, "").replace(r#""_meta":{"#, &format!(r#""_meta":{{"traceparent":"{PARENT}","#))
}

fn carried() -> RequestHead<'static> {
    RequestHead { traceparent: Some(OTHER.as_bytes()), tracestate: Some(b"a=b"), ..POST }
}

/// Gives what `body` becomes under that head.
fn done(head: &RequestHead<'_>, body: &str) -> Vec<Done> {
    let mut tap = Tap::new();
    let x = tap.send(head, body);
    tap.stream(x);
    (1..4).for_each(|id| {
        tap.event(x, &ok(id));
    });
    tap.end(x).spans()
}

#[test]
fn the_context_of_the_http_request_is_the_parent_of_its_only_message() {
    for body in [modern(1, ""), call(1), format!("[{}]", call(1))] {
        let span = done(&carried(), &body).remove(0).span;
        assert_eq!(span.trace_id, [0x11; 16]);
        assert_eq!(span.parent_span_id, [0x22; 8]);
        assert_eq!((span.trace_state.as_str(), span.flags), ("a=b", 0x301));
        assert!(span.links.is_empty());
    }
}

#[test]
fn the_context_of_the_message_comes_first_and_the_other_is_a_link() {
    let span = done(&carried(), &traced(1)).remove(0).span;
    assert_eq!(span.trace_id[..2], [0x0a, 0xf7]);
    assert_eq!(span.links.len(), 1);
    assert_eq!(span.links[0].span_id, [0x22; 8]);
    assert_eq!((span.links[0].trace_state.as_str(), span.links[0].flags), ("a=b", 0x301));
    assert_eq!(text(&span.links[0].attributes[0]), "http");
}

#[test]
fn a_context_that_came_both_ways_is_no_link() {
    let head = RequestHead { traceparent: Some(PARENT.as_bytes()), ..POST };
    let span = done(&head, &traced(1)).remove(0).span;
    assert_eq!(span.parent_span_id[..2], [0x00, 0xf0]);
    assert!(span.links.is_empty());
}

#[test]
fn of_several_messages_none_is_under_the_context_of_the_http_request() {
    for done in done(&carried(), &format!("[{},{}]", call(1), call(2))) {
        assert!(done.span.parent_span_id.is_empty());
        assert_eq!(done.span.links[0].span_id, [0x22; 8]);
    }
}

#[test]
fn without_any_other_context_a_request_is_under_the_ambient_one() {
    let mut tap = Tap::new();
    tap.http.connections.common.ambient = TraceContext::parse(OTHER.as_bytes(), None);
    for (head, body, parent) in [
        (POST, modern(1, ""), [0x22; 8]),
        (POST, traced(1), [0, 0xf0, 0x67, 0xaa, 0x0b, 0xa9, 2, 0xb7]),
    ] {
        let x = tap.send(&head, &body);
        tap.reply(x, 200, &ok(1));
        assert_eq!(tap.only().span.parent_span_id, parent);
    }
}

#[test]
fn a_header_that_is_no_context_is_counted_and_ignored() {
    let mut tap = Tap::new();
    let bad = RequestHead { traceparent: Some(b"00-zz"), tracestate: Some(b"\xff"), ..POST };
    let x = tap.send(&bad, &modern(1, ""));
    tap.reply(x, 200, &ok(1));
    assert!(tap.only().span.parent_span_id.is_empty());
    assert_eq!(tap.counts().bad_traceparents, 1);
}

#[test]
fn what_the_server_asks_is_not_under_the_clients_context() {
    let mut tap = Tap::new();
    let x = tap.session().send(&RequestHead { session: Some(b"s"), ..carried() }, &call(1));
    tap.stream(x).event(x, r#"{"id":7,"method":"ping"}"#);
    tap.say(r#"{"id":7,"result":{}}"#);
    let done = tap.only();
    assert!(done.span.parent_span_id.is_empty() && done.span.links.is_empty());
}

#[test]
fn an_unsampled_context_of_http_counts_too() {
    let unsampled = OTHER.replace("-01", "-00");
    let head = RequestHead { traceparent: Some(unsampled.as_bytes()), ..POST };
    assert!(!done(&head, &modern(1, ""))[0].sampled);
    let mut tap = Tap::with(Settings { unsampled: Unsampled::Keep, ..Settings::default() });
    let x = tap.send(&head, &modern(1, ""));
    assert_eq!(tap.reply(x, 200, &ok(1)).only().span.flags, 0x300);
}

#[test]
fn a_trace_of_a_session_needs_a_session() {
    let mut tap = Tap::with(Settings { trace: Traces::Session, ..Settings::default() });
    tap.session();
    for (head, body) in
        [(IN_SESSION, call(1)), (IN_SESSION, call(1)), (POST, modern(1, "")), (POST, call(1))]
    {
        let x = tap.send(&head, &body);
        tap.reply(x, 200, &ok(1));
    }
    let traces: Vec<_> = tap.spans().into_iter().map(|done| done.span.trace_id).collect();
    assert_eq!(traces[0], traces[1]);
    assert!(traces[0] != traces[2] && traces[2] != traces[3]);
}

#[test]
fn a_version_in_a_header_counts_where_no_handshake_was_seen_and_if_there_is_such_a_version() {
    let mut tap = Tap::new();
    for (version, expected) in [
        (&b"2025-11-25"[..], "2025-11-25"),
        (b"2024-11-05", "2024-11-05"),
        (b"2099-01-01", ""),
        (b"", ""),
    ] {
        let head = RequestHead { protocol_version: Some(version), ..IN_SESSION };
        let x = tap.send(&head, &call(1));
        assert_eq!(tap.reply(x, 200, &ok(1)).only().get(names::PROTOCOL_VERSION), expected);
    }
    tap.session();
    let head = RequestHead { protocol_version: Some(b"2025-11-25"), ..IN_SESSION };
    let x = tap.send(&head, &call(1));
    assert_eq!(tap.reply(x, 200, &ok(1)).only().get(names::PROTOCOL_VERSION), "2025-06-18");
}

#[test]
fn the_version_of_http_is_told() {
    for (tenths, version) in [(10, "1.0"), (11, "1.1"), (20, "2")] {
        let head = RequestHead { http_version: tenths, ..POST };
        assert_eq!(done(&head, &modern(1, ""))[0].get(names::NETWORK_VERSION), version);
    }
}

#[test]
fn the_session_id_itself_is_told_only_where_somebody_asked_for_it() {
    let name = |raw: &[u8]| SessionName {
        shown: "hash".to_owned(),
        clear: Some(String::from_utf8_lossy(raw).into_owned()),
    };
    let settings = Arc::new(Settings::default());
    let mut tap = Tap::new();
    tap.http = Http::new(settings, Vec::new(), None, [1; 32], Box::new(name));
    let x = tap.say(&call(1));
    let done = tap.reply(x, 200, &ok(1)).only();
    assert_eq!((done.get(names::SESSION_ID), done.get(names::CLEAR_SESSION_ID)), ("hash", "s"));
    assert_eq!(done.get(names::SERVER_ADDRESS), "");
}
