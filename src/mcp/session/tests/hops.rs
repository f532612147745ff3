//! A tap that is a hop: two spans a call, and what each of them says.

use super::*;
use crate::mcp::Hop;

const HOP: Hop = Hop {
    trace: [
        0x0a, 0xf7, 0x65, 0x19, 0x16, 0xcd, 0x43, 0xdd, 0x84, 0x48, 0xeb, 0x21, 0x1c, 0x80, 0x31,
        0x9c,
    ],
    server: [0x51; 8],
    client: [0xc1; 8],
};

fn edited(hop: Hop) -> Edited {
    Edited { hop: Some(hop), asked: true }
}

fn call_with_context(id: u32) -> String {
    format!(
        r#"{{"id":{id},"method":"tools/call","params":{{"name":"t","arguments":{{"a":1}},"_meta":{{"traceparent":"{PARENT}"}}}}}}"#
    )
}

impl Tap {
    fn through(&mut self, id: u32) -> &mut Self {
        self.session.edited(C, edited(HOP));
        self.c(&call_with_context(id))
    }
}

#[test]
fn a_call_has_a_server_span_under_the_callers_and_a_client_span_below_it() {
    let mut tap = Tap::new();
    let spans = tap.through(1).ok(1).spans();
    let [server, client] = &spans[..] else { panic!("two spans") };
    assert_eq!(
        server.span.parent_span_id,
        PARENT.as_bytes()[36..52]
            .chunks(2)
            .map(|pair| { u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap() })
            .collect::<Vec<_>>()
    );
    assert_eq!(
        (&server.span.span_id[..], &client.span.span_id[..]),
        (&HOP.server[..], &HOP.client[..])
    );
    assert_eq!(client.span.parent_span_id, HOP.server);
    assert_eq!(
        (server.span.kind, client.span.kind),
        (SpanKind::Server as i32, SpanKind::Client as i32)
    );
    assert_eq!((server.span.flags, client.span.flags), (0x301, 0x101));
    assert_eq!(server.span.name, client.span.name);
    for (a, b) in [
        (server.span.start_time_unix_nano, client.span.start_time_unix_nano),
        (server.span.end_time_unix_nano, client.span.end_time_unix_nano),
    ] {
        assert_eq!(a, b);
    }
    // Who counts calls counts those without the mark.
    assert_eq!((server.get(names::HOP), client.get(names::HOP)), ("BoolValue(true)", ""));
    for key in
        [names::REQUEST_SIZE, names::RESPONSE_SIZE, names::OUTCOME, names::SESSION_ID, names::TOOL]
    {
        assert!(!server.get(key).is_empty() && server.get(key) == client.get(key), "{key}");
    }
    // Content, and with it the digest, is the call's.
    assert!(server.seen == Seen::default() && client.seen.arguments != Raw::Absent);
    assert_eq!(client.get(names::PEER_SERVICE), "files");
    assert_eq!((tap.counts().received, tap.counts().spans, tap.counts().requests), (2, 2, 1));
}

#[test]
fn errors_follow_the_conventions_for_each_kind() {
    let mut tap = Tap::new();
    let spans = tap.through(1).s(r#"{"id":1,"error":{"code":-32602,"message":"m"}}"#).spans();
    assert_eq!((spans[0].error(), spans[1].error()), ("", "-32602"));
    assert!(!spans[0].is_error() && spans[1].is_error());
    assert_eq!((spans[0].outcome(), spans[1].outcome()), ("client_error", "client_error"));
    let spans = tap.through(2).s(r#"{"id":2,"result":{"isError":true}}"#).spans();
    assert!(spans[0].is_error() && spans[1].is_error());
}

#[test]
fn the_note_is_of_the_next_request_and_of_no_other() {
    let mut tap = Tap::new();
    tap.through(1).call(2).ok(1).ok(2);
    assert_eq!(tap.spans().len(), 3);
    // A gap, or another message, and nobody knows which request it was.
    tap.session.edited(C, edited(HOP));
    tap.gap(C).call(3).ok(3);
    assert_eq!(tap.spans().len(), 1);
    tap.session.edited(C, edited(HOP));
    tap.c(r#"{"method":"notifications/initialized"}"#).call(4).ok(4);
    assert_eq!(tap.spans().len(), 1);
    // The other direction, and its losses, have nothing to do with it.
    tap.session.edited(C, edited(HOP));
    tap.s(r#"{"id":9,"method":"ping"}"#).c(r#"{"id":9,"result":{}}"#);
    assert_eq!(tap.spans().len(), 1);
}

#[test]
fn without_a_context_of_the_callers_the_server_span_is_the_root() {
    let mut tap = Tap::new();
    let own = Hop { trace: [7; 16], ..HOP };
    tap.session.edited(C, edited(own));
    let spans = tap.call(1).ok(1).spans();
    assert!(spans.iter().all(|done| done.span.trace_id == [7; 16]));
    assert!(spans[0].span.parent_span_id.is_empty());
    // A context of another trace is not its parent either.
    tap.session.edited(C, edited(own));
    let spans = tap.c(&call_with_context(2)).ok(2).spans();
    assert!(spans[0].span.parent_span_id.is_empty());
}

#[test]
fn the_books_balance_however_such_a_call_ends() {
    let mut tap = Tap::with(Settings { max_in_flight: 1, ..Settings::default() });
    tap.through(1).through(2).ok(1);
    assert_eq!((tap.spans().len(), tap.counts().dropped.overflow), (2, 2));
    tap.through(3).gap(S).wait(100_000);
    assert_eq!((tap.spans().len(), tap.counts().dropped.gap), (0, 2));
    tap.through(4).cancel(4);
    assert_eq!(tap.outcomes().len(), 2);
    tap.session.edited(C, edited(HOP));
    tap.c(&call_with_context(5).replace("b7-01", "b7-00")).ok(5);
    assert_eq!(tap.spans().iter().map(|done| done.sampled).collect::<Vec<_>>(), [false; 2]);
    tap.through(6).end();
    assert_eq!(tap.outcomes().len(), 2);
    assert_eq!(tap.counts().in_flight, 0);
}

#[test]
fn the_server_was_told_the_client_span_and_hands_its_spans_back_below_it() {
    let span = |id: &str, parent: &str| {
        format!(
            r#"{{"traceId":"0af7651916cd43dd8448eb211c80319c","spanId":"{id}","parentSpanId":"{parent}","name":"n"}}"#
        )
    };
    let spans = [
        span("1111111111111111", "c1c1c1c1c1c1c1c1"),
        // Neither may it be us, nor hang on what it was not told.
        span("c1c1c1c1c1c1c1c1", "c1c1c1c1c1c1c1c1"),
        span("5151515151515151", "c1c1c1c1c1c1c1c1"),
        span("2222222222222222", "00f067aa0ba902b7"),
    ];
    let answer = format!(
        r#"{{"id":1,"result":{{"_meta":{{"otel":{{"traces":{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{}]}}]}}]}}}}}}}}}}"#,
        spans.join(",")
    );
    let mut tap = Tap::new();
    let spans = tap.through(1).s(&answer).spans();
    assert_eq!(spans.len(), 3);
    assert_eq!(spans[2].span.parent_span_id, HOP.client);
    let refused = tap.counts().passback.refused;
    assert_eq!((refused.impersonation, refused.foreign_parent), (2, 1));
}
