//! How calls end that get no answer: statuses, broken exchanges, early responses, ends of sessions.

use super::*;

/// The span of a call that a response with that status and body ends.
fn ended(head: &RequestHead<'_>, body: &str, status: u16, reply: &str) -> Done {
    let mut tap = Tap::new();
    let x = tap.send(head, body);
    tap.reply(x, status, reply).only()
}

#[test]
fn a_status_that_refuses_is_told_apart() {
    for (status, outcome) in [
        (400, "client_error"),
        (401, "auth"),
        (403, "auth"),
        (404, "client_error"),
        (429, "rate_limited"),
        (500, "server_gone"),
        (503, "server_gone"),
    ] {
        for (head, body) in [(POST, modern(1, "")), (POST, call(1)), (IN_SESSION, call(1))] {
            let done = ended(&head, &body, status, "<html>no</html>");
            assert_eq!((done.outcome(), done.error()), (outcome, status.to_string().as_str()));
            assert_eq!(done.get(names::HTTP_STATUS), status.to_string());
            assert_eq!((done.get(names::STATUS_CODE), done.get(names::RESPONSE_SIZE)), ("", ""));
            assert!(done.is_error());
        }
    }
}

#[test]
fn on_a_server_span_what_http_refuses_is_no_error() {
    let settings = Settings { span_kind: crate::mcp::Perspective::Server, ..Settings::default() };
    let mut tap = Tap::with(settings);
    for (status, error) in [(401, ""), (503, "503")] {
        let x = tap.post(&modern(1, ""));
        let done = tap.reply(x, status, "").only();
        assert_eq!(done.error(), error);
        assert_eq!(done.is_error(), !error.is_empty());
    }
}

#[test]
fn a_good_response_without_the_answer_is_a_failure_of_the_server() {
    for (head, body) in [(POST, modern(1, "")), (POST, call(1)), (IN_SESSION, call(1))] {
        for (status, reply, outcome, error) in [
            (200, "", "protocol_error", "_OTHER"),
            (204, "", "protocol_error", "_OTHER"),
            (200, "<html>hello</html>", "protocol_error", "_OTHER"),
            (200, r#"{"id":2,"result":{}}"#, "protocol_error", "_OTHER"),
            (200, "{", "protocol_error", "_OTHER"),
            (302, "", "client_error", "302"),
            (307, "<html>moved</html>", "client_error", "307"),
        ] {
            let done = ended(&head, &body, status, reply);
            assert_eq!((done.outcome(), done.error()), (outcome, error), "{status} {reply}");
            assert_eq!(done.get(names::HTTP_STATUS), status.to_string());
        }
        let mut tap = Tap::new();
        let x = tap.send(&head, &body);
        assert_eq!(tap.stream(x).bytes(x, "data: {").end(x).only().outcome(), "server_gone");
        let x = tap.send(&head, &body);
        assert_eq!(tap.stream(x).end(x).only().outcome(), "protocol_error", "not one byte");
    }
}

#[test]
fn a_server_that_breaks_off_is_gone() {
    for (head, body) in [(POST, modern(1, "")), (POST, call(1)), (IN_SESSION, call(1))] {
        let mut tap = Tap::new();
        let x = tap.send(&head, &body);
        let done = tap.broken(x, Party::Server).only();
        assert_eq!((done.outcome(), done.error()), ("server_gone", "server_gone"));
        assert_eq!(done.get(names::HTTP_STATUS), "");
        let x = tap.send(&head, &body);
        assert_eq!(tap.stream(x).broken(x, Party::Server).only().outcome(), "server_gone");
        let x = tap.send(&head, &body);
        tap.head(x, 200, BodyKind::Other).bytes(x, r#"{"id":1,"res"#);
        assert_eq!(tap.broken(x, Party::Server).only().outcome(), "server_gone");
        let x = tap.send(&head, &body);
        tap.head(x, 503, BodyKind::Other).broken(x, Party::Server);
        assert_eq!(tap.only().error(), "503");
    }
}

#[test]
fn what_the_tap_ends_is_cancelled() {
    for (head, body) in [(POST, modern(1, "")), (POST, call(1)), (IN_SESSION, call(1))] {
        let mut tap = Tap::new();
        let x = tap.send(&head, &body);
        tap.broken(x, Party::Tap);
        assert_eq!(tap.outcomes(), pairs(&[("1", "cancelled")]));
    }
}

#[test]
fn at_the_end_of_the_tap_nothing_stays_in_flight() {
    let mut tap = Tap::new();
    let init = r#"{"id":0,"method":"initialize"}"#;
    tap.session();
    for (head, body) in [(POST, modern(1, "")), (IN_SESSION, call(2)), (POST, init.to_owned())] {
        let x = tap.send(&head, &body);
        if head.session.is_some() {
            tap.stream(x).event(x, r#"{"id":7,"method":"ping"}"#).broken(x, Party::Client);
        }
    }
    tap.http.finish(tap.now);
    let mut outcomes = tap.outcomes();
    outcomes.sort();
    let all = [("0", "cancelled"), ("1", "cancelled"), ("2", "cancelled"), ("7", "cancelled")];
    assert_eq!(outcomes, pairs(&all));
    assert_eq!(tap.counts().in_flight, 0);
}

#[test]
fn a_response_that_is_over_before_its_request_ends_the_call_in_it() {
    for body in [
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t","arguments":{"a":"xx"#,
        r#"{"method":"tools/call","params":{"name":"t","arguments":{"a":"xx"#,
    ] {
        for head in [POST, IN_SESSION] {
            let mut tap = Tap::new();
            let x = tap.begin(&head);
            tap.http.bytes(x, C, body.as_bytes(), tap.now);
            let done = tap.reply(x, 413, "too much").only();
            assert_eq!((done.outcome(), done.error()), ("client_error", "413"));
            assert_eq!((done.get(names::TOOL), done.get(names::OBSERVED)), ("t", "cut"));
            assert_eq!(done.get(names::REQUEST_ID), if body.contains("\"id\"") { "1" } else { "" });
            assert_eq!(done.get(names::REQUEST_SIZE), body.len().to_string());
            let x = tap.begin(&head);
            tap.http.bytes(x, C, body.as_bytes(), tap.now);
            assert_eq!(tap.broken(x, Party::Server).only().outcome(), "server_gone");
        }
    }
}

#[test]
fn an_error_in_an_early_response_answers_a_request_whose_id_is_out_of_sight() {
    let mut tap = Tap::new();
    for id in ["null", "5"] {
        let x = tap.begin(&POST);
        tap.http.bytes(x, C, br#"{"method":"tools/call","params":{"name":"t","x":["#, tap.now);
        tap.reply(x, 413, &format!(r#"{{"id":{id},"error":{{"code":-32600}}}}"#));
        assert_eq!(tap.only().error(), "-32600");
    }
    let x = tap.begin(&POST);
    tap.http.bytes(x, C, modern(1, "").as_bytes(), tap.now);
    tap.stream(x).event(x, &ok(1));
    let done = tap.only();
    assert_eq!((done.outcome(), done.get(names::OBSERVED)), ("ok", ""));
}

#[test]
fn a_request_that_its_client_gave_up_was_none() {
    let mut tap = Tap::new();
    let x = tap.begin(&POST);
    tap.http.bytes(x, C, br#"{"id":1,"method":"tools/call","#, tap.now);
    tap.broken(x, Party::Client);
    assert_eq!(tap.counts().received, 0);
}

#[test]
fn deletion_cancels_what_is_in_flight() {
    let mut tap = Tap::new();
    let x = tap.session().say(&call(1));
    tap.stream(x).event_with_id(x, "a", r#"{"id":7,"method":"sampling/createMessage"}"#);
    let y = tap.begin(&RequestHead { verb: Verb::Delete, ..IN_SESSION });
    tap.reply(y, 200, "");
    assert_eq!(tap.outcomes(), pairs(&[("1", "cancelled"), ("7", "cancelled")]));
    tap.end(x);
    assert!(tap.spans().is_empty());
}

#[test]
fn a_stream_that_closes_because_of_the_deletion_is_no_failure() {
    let mut tap = Tap::new();
    let x = tap.session().say(&call(1));
    tap.stream(x);
    let y = tap.begin(&RequestHead { verb: Verb::Delete, ..IN_SESSION });
    tap.end(x).reply(y, 200, "");
    assert_eq!(tap.outcomes(), pairs(&[("1", "cancelled")]));
}

#[test]
fn a_server_may_refuse_deletion() {
    let mut tap = Tap::new();
    let x = tap.session().say(&call(1));
    tap.stream(x);
    let y = tap.begin(&RequestHead { verb: Verb::Delete, ..IN_SESSION });
    tap.reply(y, 405, "").bytes(x, ": bye\n\n").end(x).wait(6);
    assert_eq!(tap.outcomes(), pairs(&[("1", "server_gone")]));
}

#[test]
fn a_session_that_the_server_does_not_know_is_over() {
    for (body, reply) in [
        (call(2), ""),
        (call(2), r#"{"id":null,"error":{"code":-32001}}"#),
        (call(2), r#"{"id":2,"error":{"code":-32001}}"#),
        (
            r#"{"method":"notifications/initialized"}"#.to_owned(),
            r#"{"id":null,"error":{"code":-32001}}"#,
        ),
    ] {
        let mut tap = Tap::new();
        let x = tap.session().say(&call(1));
        tap.stream(x).event_with_id(x, "a", "").broken(x, Party::Client);
        let y = tap.say(&body);
        tap.reply(y, 404, reply);
        let last = tap.spans().pop().unwrap();
        assert_eq!((last.get(names::REQUEST_ID), last.outcome()), ("1", "server_gone"));
        assert_eq!(last.error(), "server_gone");
        assert_eq!(tap.counts().in_flight, 0);
        // The handshake is forgotten with it.
        let z = tap.say(&call(3));
        assert_eq!(tap.reply(z, 200, &ok(3)).only().get(names::CLIENT_NAME), "");
    }
}

#[test]
fn a_stream_that_is_asked_for_in_vain_tells_that_the_session_is_over() {
    let mut tap = Tap::new();
    let x = tap.session().say(&call(1));
    tap.stream(x).event_with_id(x, "a", "").broken(x, Party::Client);
    let y = tap.begin(&RequestHead { session: Some(b"s"), resumes: true, ..GET });
    tap.reply(y, 404, "");
    assert_eq!(tap.outcomes(), pairs(&[("1", "server_gone")]));
}

/// Some servers have no `GET`, and say so by a 404 and not by a 405.
#[test]
fn a_call_whose_exchange_goes_on_outlives_a_404() {
    let mut tap = Tap::new();
    let x = tap.session().say(&call(1));
    let adrift = tap.say(&call(2));
    tap.stream(adrift).event_with_id(adrift, "a", "").broken(adrift, Party::Client);
    let y = tap.begin(&RequestHead { session: Some(b"s"), ..GET });
    tap.reply(y, 404, "");
    assert_eq!(tap.outcomes(), pairs(&[("2", "server_gone")]));
    let done = tap.reply(x, 200, &ok(1)).only();
    assert_eq!((done.outcome(), done.get(names::CLIENT_NAME)), ("ok", "agent"));
}

#[test]
fn not_every_404_is_about_the_session() {
    let mut tap = Tap::new();
    let x = tap.session().say(&call(1));
    let y = tap.begin(&RequestHead { verb: Verb::Other, ..IN_SESSION });
    tap.reply(y, 404, "");
    let y = tap.say(r#"{"method":"notifications/initialized"}"#);
    tap.http.lost(y, S, tap.now);
    tap.reply(y, 404, "");
    let y = tap.say(r#"{"method":"notifications/initialized"}"#);
    tap.head(y, 404, BodyKind::Other).broken(y, Party::Client);
    for (body, error) in [(modern(2, ""), ""), (call(2), r#"{"id":2,"error":{"code":-32601}}"#)] {
        let y = tap.say(&body);
        tap.reply(y, 404, error);
        assert_eq!(tap.only().outcome(), "client_error");
    }
    assert_eq!(tap.reply(x, 200, &ok(1)).only().get(names::CLIENT_NAME), "agent");
}

#[test]
fn a_session_opened_anew_under_the_same_id_is_another_one() {
    let mut tap = Tap::new();
    let x = tap.session().say(&call(1));
    tap.stream(x).event_with_id(x, "a", "").broken(x, Party::Client);
    let y = tap.post(r#"{"id":0,"method":"initialize"}"#);
    let head =
        ResponseHead { status: 200, kind: BodyKind::Other, session: Some(b"s"), content: NOTHING };
    tap.http.response(y, &head, tap.now);
    assert_eq!(tap.outcomes(), pairs(&[("1", "server_gone")]));
    assert_eq!(tap.bytes(y, &ok(0)).end(y).only().get(names::SESSION_ID), "name of s");
}

#[test]
fn a_handshake_without_a_session_id_ends_with_its_exchange() {
    let mut tap = Tap::new();
    let init = r#"{"id":0,"method":"initialize","params":{"clientInfo":{"name":"agent"}}}"#;
    let x = tap.post(init);
    let done = tap.reply(x, 200, r#"{"id":0,"result":{"protocolVersion":"2025-06-18"}}"#).only();
    assert_eq!((done.outcome(), done.get(names::SESSION_ID)), ("ok", ""));
    assert_eq!(done.get(names::PROTOCOL_VERSION), "2025-06-18");
    assert_eq!(done.get(names::CLIENT_NAME), "agent");
    for (party, outcome) in [(Party::Client, "cancelled"), (Party::Server, "server_gone")] {
        let x = tap.post(init);
        tap.broken(x, party);
        assert_eq!(tap.only().outcome(), outcome);
    }
}

#[test]
fn the_session_id_may_come_before_the_request_is_whole() {
    let mut tap = Tap::new();
    let x = tap.begin(&POST);
    let head =
        ResponseHead { status: 200, kind: BodyKind::Sse, session: Some(b"s"), content: NOTHING };
    tap.http.response(x, &head, tap.now);
    tap.http.bytes(x, C, br#"{"id":0,"method":"initialize"}"#, tap.now);
    tap.http.ended(x, C, tap.now);
    tap.event(x, &ok(0)).end(x);
    assert_eq!(tap.only().get(names::SESSION_ID), "name of s");
}

#[test]
fn what_a_server_asks_without_a_session_ends_with_the_exchange() {
    let mut tap = Tap::new();
    let x = tap.post(&call(1));
    tap.stream(x).event(x, r#"{"id":7,"method":"ping"}"#).event(x, &ok(1)).end(x);
    assert_eq!(tap.outcomes(), pairs(&[("1", "ok"), ("7", "cancelled")]));
}

#[test]
fn requests_that_nobody_answers_time_out_in_every_connection() {
    let mut tap = Tap::new();
    tap.session();
    let x = tap.post(&modern(1, ""));
    let y = tap.say(&call(2));
    let z = tap.post(r#"{"id":3,"method":"initialize"}"#);
    for x in [x, y, z] {
        tap.stream(x);
    }
    tap.wait(1780);
    assert!(tap.spans().is_empty());
    tap.wait(100);
    let mut outcomes = tap.outcomes();
    outcomes.sort();
    assert_eq!(outcomes, pairs(&[("1", "timeout"), ("2", "timeout"), ("3", "timeout")]));
    tap.event(x, &ok(1)).event(y, &ok(2)).event(z, &ok(3));
    assert_eq!((tap.counts().late, tap.counts().orphans), (3, 0));
}
