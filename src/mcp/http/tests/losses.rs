//! Losses of observation: what they make doubtful, and what they do not.

use super::*;

#[test]
fn a_request_lost_before_it_was_read_is_received_and_dropped() {
    let mut tap = Tap::new();
    let x = tap.begin(&POST);
    tap.http.bytes(x, C, br#"{"id":1,"#, tap.now);
    tap.http.lost(x, C, tap.now);
    tap.http.bytes(x, C, b"junk", tap.now);
    tap.http.ended(x, C, tap.now);
    tap.reply(x, 200, &ok(1));
    let counts = tap.counts();
    assert_eq!((counts.received, counts.dropped.gap, counts.spans), (1, 1, 0));
    assert_eq!((counts.answers, counts.orphans, counts.junk), (1, 0, 0));
    let x = tap.begin(&GET);
    tap.http.lost(x, C, tap.now);
    assert_eq!(tap.counts().received, 1);
}

#[test]
fn a_call_whose_response_is_lost_never_fails() {
    for end in [0, 1, 2, 3] {
        let mut tap = Tap::new();
        let x = tap.post(&modern(1, ""));
        tap.stream(x).bytes(x, "data: {");
        tap.http.lost(x, S, tap.now);
        match end {
            0 => tap.end(x),
            1 => tap.broken(x, Party::Server),
            2 => tap.broken(x, Party::Client),
            _ => tap.wait(100_000),
        };
        assert!(tap.spans().is_empty());
        assert_eq!((tap.counts().dropped.gap, tap.counts().in_flight), (1, 0));
    }
    // Not even by its status: the answer may have been in the body.
    let mut tap = Tap::new();
    let x = tap.begin(&POST);
    tap.http.lost(x, S, tap.now);
    tap.http.bytes(x, C, modern(1, "").as_bytes(), tap.now);
    tap.http.ended(x, C, tap.now);
    tap.reply(x, 503, "").spans();
    assert_eq!(tap.counts().dropped.gap, 1);
}

#[test]
fn a_lost_response_harms_no_other_exchange() {
    let mut tap = Tap::new();
    let (x, y) = (tap.post(&modern(1, "")), tap.post(&modern(1, "")));
    tap.http.lost(x, S, tap.now);
    tap.end(x).broken(y, Party::Server);
    assert_eq!(tap.outcomes(), pairs(&[("1", "server_gone")]));
}

#[test]
fn a_lost_request_of_a_session_may_have_cancelled_or_answered_anything() {
    let mut tap = Tap::new();
    let x = tap.session().say(&call(1));
    let y = tap.say(&call(2));
    tap.stream(x).event(x, r#"{"id":7,"method":"ping"}"#);
    let z = tap.begin(&IN_SESSION);
    tap.http.lost(z, C, tap.now);
    tap.reply(y, 200, &ok(2)).end(x);
    let done = tap.only();
    assert_eq!((done.outcome(), done.get(names::DOUBTFUL)), ("ok", "BoolValue(true)"));
    tap.http.finish(tap.now);
    assert_eq!((tap.counts().dropped.gap, tap.counts().spans), (3, 2));
}

#[test]
fn a_lost_stream_of_a_session_may_have_answered_anything() {
    let mut tap = Tap::new();
    let x = tap.session().say(&call(1));
    tap.stream(x).event_with_id(x, "a", "").broken(x, Party::Client);
    let y = tap.listen();
    tap.http.lost(y, S, tap.now);
    tap.wait(100_000);
    assert!(tap.spans().is_empty());
    assert_eq!(tap.counts().dropped.gap, 1);
}

#[test]
fn a_gap_makes_calls_of_sessions_doubtful_and_no_others() {
    let mut tap = Tap::new();
    let x = tap.session().say(&call(1));
    let y = tap.post(&modern(2, ""));
    tap.http.gap(3, 1000, tap.now);
    tap.broken(x, Party::Server).broken(y, Party::Server);
    assert_eq!(tap.outcomes(), pairs(&[("2", "server_gone")]));
    let counts = tap.counts();
    assert_eq!((counts.received, counts.dropped.gap), (1 + 2 + 3, 4));
    assert_eq!((counts.gaps, counts.gap_bytes), (1, 1000));
}

#[test]
fn an_unreadable_message_leaves_doubt_where_it_may_belong() {
    let settings = || Settings { max_message_bytes: 500, ..Settings::default() };
    let long = format!(r#"{{"x":"{}"}}"#, "y".repeat(10_000));
    // A response: what its exchange asked.
    let mut tap = Tap::with(settings());
    let (x, y) = (tap.post(&modern(1, "")), tap.post(&modern(2, "")));
    tap.reply(x, 200, &long).broken(y, Party::Server);
    assert_eq!(tap.outcomes(), pairs(&[("2", "server_gone")]));
    assert_eq!(tap.counts().dropped.gap, 1);
    // A request: what is in flight in its session.
    let mut tap = Tap::with(settings());
    let x = tap.say(&call(1));
    let y = tap.say(&long);
    tap.reply(y, 200, &ok(5)).broken(x, Party::Server);
    assert!(tap.spans().is_empty());
    let counts = tap.counts();
    assert_eq!((counts.dropped.unreadable, counts.dropped.gap, counts.orphans), (1, 1, 0));
}

#[test]
fn a_long_body_is_read_at_both_ends() {
    let mut tap = Tap::new();
    let x = tap.begin(&POST);
    tap.http.bytes(
        x,
        C,
        br#"{"method":"tools/call","params":{"name":"t","arguments":{"a":""#,
        tap.now,
    );
    tap.http.skip(x, C, 50_000_000);
    tap.http.bytes(x, C, br#""}},"jsonrpc":"2.0","id":1}"#, tap.now);
    tap.http.ended(x, C, tap.now);
    tap.head(x, 200, BodyKind::Other).bytes(x, r#"{"id":1,"result":{"a":""#);
    tap.http.skip(x, S, 50_000_000);
    tap.bytes(x, r#"","isError":true}}"#).end(x);
    let done = tap.only();
    assert_eq!((done.outcome(), done.get(names::OBSERVED)), ("tool_error", "cut"));
    assert_eq!(done.get(names::REQUEST_SIZE), (62 + 50_000_000 + 27).to_string());
    assert_eq!(done.get(names::RESPONSE_SIZE), (39 + 50_000_000 + 18).to_string());
    let x = tap.post(&modern(2, ""));
    tap.stream(x).bytes(x, r#"data: {"id":2,"result":{"a":""#);
    tap.http.skip(x, S, 50_000_000);
    tap.bytes(x, "\"}}\n\n");
    let done = tap.only();
    assert_eq!((done.outcome(), done.get(names::OBSERVED)), ("ok", "cut"));
    assert_eq!(done.get(names::RESPONSE_SIZE), (39 + 50_000_000 + 3).to_string());
}

/// As bodies and as events, in both eras.
#[test]
fn an_error_that_may_stand_in_the_middle_of_a_long_answer_is_a_doubt() {
    let part = |text: &str, end: &str| format!(r#"{{"id":1,"result":{{"content":[{{"{text}"#) + end;
    for (end, outcome, doubtful) in [
        (r#"}],"isError":true,"resultType":"complete"}}"#, "tool_error", ""),
        (r#"}],"isError":false,"resultType":"complete"}}"#, "ok", ""),
        (r#"}]}}"#, "ok", ""),
        (r#"}}}"#, "ok", "BoolValue(true)"),
    ] {
        for (head, body) in [(POST, modern(1, "")), (POST, call(1)), (IN_SESSION, call(1))] {
            for events in [false, true] {
                let mut tap = Tap::new();
                let x = tap.send(&head, &body);
                if events {
                    tap.stream(x).bytes(x, "data: ");
                } else {
                    tap.head(x, 200, BodyKind::Other);
                }
                tap.bytes(x, &part("text\":\"", ""));
                tap.http.skip(x, S, 5_000_000);
                tap.bytes(x, &format!("\"{end}")).bytes(x, "\n\n").end(x);
                let done = tap.only();
                let found = (done.outcome(), done.get(names::DOUBTFUL));
                assert_eq!(found, (outcome, doubtful), "{end} {body} {events}");
            }
        }
    }
}

#[test]
fn a_long_request_without_an_id_in_sight_is_answered_by_its_exchange() {
    for head in [POST, IN_SESSION] {
        let mut tap = Tap::new();
        let x = tap.begin(&head);
        tap.http.bytes(
            x,
            C,
            br#"{"id_":1,"method":"tools/call","params":{"name":"t","x":""#,
            tap.now,
        );
        tap.http.skip(x, C, 50_000_000);
        tap.http.bytes(x, C, b"?", tap.now);
        tap.http.ended(x, C, tap.now);
        tap.stream(x).event(x, &ok(77)).end(x);
        let done = tap.only();
        assert_eq!((done.outcome(), done.get(names::REQUEST_ID)), ("ok", ""));
    }
}

#[test]
fn junk_is_counted_and_harms_nothing() {
    let mut tap = Tap::new();
    for body in
        ["", " ", "{bad json", "client_id=x&secret=y", "[", "{}", "7", "\u{feff}null", "[{},7]"]
    {
        let x = tap.post(body);
        tap.reply(x, 400, "no");
        let x = tap.post(&modern(1, ""));
        tap.stream(x).event(x, body).event(x, &ok(1)).end(x);
    }
    let counts = tap.counts();
    assert_eq!((counts.spans, counts.in_flight, counts.received), (9, 0, 9));
    assert!(counts.junk > 0 && counts.not_rpc > 0 && counts.blank > 0);
    // Exchanges that nobody began.
    tap.http.bytes(999, C, b"x", 1);
    tap.http.skip(999, S, 1);
    tap.http.lost(999, S, 1);
    tap.http.ended(999, C, 1);
    tap.end(999).broken(999, Party::Tap).stream(999);
}

/// Deep parameters hide whether there was an id; a 202 says that there was none.
#[test]
fn what_may_have_been_a_notification_never_fails() {
    let deep = "[".repeat(200) + &"]".repeat(200);
    let filler = "x".repeat(5000);
    let mut tap = Tap::new();
    let x = tap
        .session()
        .say(&format!(r#"{{"method":"vendor/event","params":{{"x":{deep},"y":"{filler}"}}}}"#));
    tap.reply(x, 202, "");
    assert!(tap.spans().is_empty());
    assert_eq!(tap.counts().dropped.gap, 1);
}

/// A server that keeps sending what nobody can read keeps nobody busy.
#[test]
fn unreadable_answers_to_a_large_batch_cost_no_more_than_their_bytes() {
    let mut tap = Tap::new();
    let batch: Vec<_> = (0..5000).map(|id| format!(r#"{{"id":{id},"method":"a"}}"#)).collect();
    let x = tap.post(&format!("[{}]", batch.join(",")));
    let deep = format!(r#"{{"x":{}{}}}"#, "[".repeat(200), "]".repeat(200));
    tap.stream(x).bytes(x, &"data: {\"error\":{}}\n\n".repeat(5000));
    tap.event(x, &vec![deep; 5000].join(" ")).end(x);
    assert!(tap.spans().is_empty());
    assert_eq!((tap.counts().dropped.gap, tap.counts().orphans), (5000, 5000));
}

#[test]
fn there_is_no_modern_handshake() {
    let mut tap = Tap::new();
    let hello = r#"{"id":0,"method":"initialize","params":{"clientInfo":{"name":"agent"},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}"#;
    let x = tap.post(hello);
    tap.reply(x, 200, r#"{"id":0,"result":{"protocolVersion":"2025-06-18"}}"#);
    let x = tap.post(&call(1));
    tap.reply(x, 200, &ok(1));
    let last = tap.spans().pop().unwrap();
    assert_eq!((last.get(names::CLIENT_NAME), last.get(names::PROTOCOL_VERSION)), ("", ""));
}
