//! Answers that no client can read, as bodies and as events.

use super::*;

#[test]
fn a_body_that_nobody_can_read_is_a_failure_of_the_server() {
    for body in [
        r#"{"jsonrpc":"2.0","id":1,"result":{}} text"#,
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\0",
        r#"{"jsonrpc":"2.0","id":1,"result":{}}{"jsonrpc":"2.0","id":2,"result":{}}"#,
        r#"{"jsonrpc":"1.0","id":1,"result":{}}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":null}"#,
        r#"[{"jsonrpc":"2.0","id":1,"result":{}},]"#,
        "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"a\":[\"\t\"]}}",
        r#"{"jsonrpc":"2.0","id":1,"result":{"a":["\x41"]}}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":{"a":"\u12G4"}}"#,
    ] {
        for (head, request) in [(POST, modern(1, "")), (POST, call(1)), (IN_SESSION, call(1))] {
            let mut tap = Tap::new();
            let x = tap.send(&head, &request);
            tap.reply(x, 200, body);
            let done = tap.only();
            assert_eq!((done.outcome(), done.error()), ("protocol_error", "_OTHER"), "{body}");
            let x = tap.send(&head, &request);
            tap.stream(x).event(x, body);
            assert_eq!(tap.counts().in_flight, 1, "it waits as long as its stream");
            tap.end(x);
            assert_eq!(tap.outcomes(), pairs(&[("1", "protocol_error")]), "{body}");
        }
    }
}

#[test]
fn a_stream_may_bring_the_answer_after_what_nobody_can_read() {
    let mut tap = Tap::new();
    let x = tap.post(&modern(1, ""));
    tap.stream(x).event(x, r#"{"jsonrpc":"2.0","id":1,"result":{}} text"#).event(x, &ok(1)).end(x);
    assert_eq!(tap.outcomes(), pairs(&[("1", "ok")]));
}

#[test]
fn a_byte_order_mark_before_a_body_is_passed_over_and_in_an_event_it_is_not() {
    let answer = "\u{feff}{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}";
    let mut tap = Tap::new();
    let x = tap.post(&modern(1, ""));
    tap.reply(x, 200, answer);
    assert_eq!(tap.outcomes(), pairs(&[("1", "ok")]));
    let x = tap.post(&modern(1, ""));
    tap.stream(x).event(x, answer).end(x);
    assert_eq!(tap.outcomes(), pairs(&[("1", "protocol_error")]));
}

#[test]
fn an_error_that_is_no_json_rpc_is_told_by_its_status() {
    let mut tap = Tap::new();
    let x = tap.post(&modern(1, ""));
    tap.http.response(
        x,
        &ResponseHead { status: 401, kind: BodyKind::Other, session: None, content: NOTHING },
        tap.now,
    );
    tap.http.bytes(x, S, br#"{"error":"invalid_token","error_description":"no"}"#, tap.now);
    tap.end(x);
    let done = tap.only();
    assert_eq!((done.outcome(), done.error()), ("auth", "401"));
}
