//! The modern era, and whatever else has no session: paired within the exchange.

use super::*;

#[test]
fn a_modern_call_is_answered_by_its_own_exchange() {
    let mut tap = Tap::new();
    let x = tap.post(&modern(1, ""));
    let start = tap.now - SECOND;
    tap.reply(x, 200, r#"{"id":1,"result":{}}"#);
    let done = tap.only();
    assert_eq!(
        (done.span.name.as_str(), done.outcome(), done.is_error()),
        ("tools/call t", "ok", false)
    );
    assert_eq!(done.span.start_time_unix_nano, start);
    assert_eq!(done.span.end_time_unix_nano, tap.now - SECOND);
    for (key, value) in [
        (names::PROTOCOL_VERSION, "2026-07-28"),
        (names::TRANSPORT, "tcp"),
        (names::NETWORK_PROTOCOL, "http"),
        (names::NETWORK_VERSION, "1.1"),
        (names::SERVER_ADDRESS, "one.example"),
        (names::SERVER_PORT, "8080"),
        (names::HTTP_STATUS, "200"),
        (names::PEER_SERVICE, "one"),
        (names::SESSION_ID, ""),
        (names::CLEAR_SESSION_ID, ""),
        (names::RESPONSE_SIZE, "36"),
    ] {
        assert_eq!(done.get(key), value, "{key}");
    }
    assert_eq!(done.get(names::REQUEST_SIZE), modern(1, "").len().to_string());
    assert_eq!(tap.counts().in_flight, 0);
}

#[test]
fn clients_with_the_same_ids_do_not_meet() {
    let mut tap = Tap::new();
    let calls: Vec<_> = ["a", "b", "c"]
        .map(|name| tap.post(&modern(1, "").replace(r#""t""#, &format!("{name:?}"))))
        .into();
    assert_eq!(tap.counts().duplicate_ids, 0);
    for x in calls.iter().rev() {
        tap.reply(*x, 200, &ok(1));
    }
    let names: Vec<_> = tap.spans().into_iter().map(|done| done.span.name).collect();
    assert_eq!(names, ["tools/call c", "tools/call b", "tools/call a"]);
}

#[test]
fn progress_and_answer_may_come_as_events() {
    let mut tap = Tap::new();
    let x = tap.post(&modern(1, "").replace(r#""_meta":{"#, r#""_meta":{"progressToken":1,"#));
    tap.stream(x).bytes(x, ": ping\n\n");
    tap.event(
        x,
        r#"{"method":"notifications/progress","params":{"progressToken":1,"progress":1}}"#,
    );
    tap.event(x, &ok(1));
    let end = tap.now;
    let done = tap.only();
    assert_eq!(done.span.events.len(), 1);
    assert_eq!(done.span.end_time_unix_nano, end);
    assert_eq!(done.get(names::RESPONSE_SIZE), "36");
    tap.end(x);
    assert!(tap.spans().is_empty());
}

#[test]
fn a_session_id_means_nothing_to_a_modern_request() {
    let mut tap = Tap::new();
    let x = tap.say(&modern(1, ""));
    tap.reply(x, 200, &ok(1));
    let done = tap.only();
    assert_eq!((done.outcome(), done.get(names::SESSION_ID)), ("ok", ""));
    let x = tap.say(&modern(1, ""));
    tap.broken(x, Party::Client);
    assert_eq!(tap.outcomes(), pairs(&[("1", "cancelled")]));
}

#[test]
fn a_disconnect_cancels_a_modern_call() {
    let mut tap = Tap::new();
    let x = tap.post(&modern(1, ""));
    tap.stream(x).broken(x, Party::Client);
    let done = tap.only();
    assert_eq!((done.outcome(), done.is_error()), ("cancelled", false));
}

#[test]
fn an_error_answers_whatever_the_status_says() {
    let mut tap = Tap::new();
    let x = tap.post(&modern(1, ""));
    tap.reply(x, 400, r#"{"id":1,"error":{"code":-32602,"message":"m"}}"#);
    let done = tap.only();
    assert_eq!((done.outcome(), done.error()), ("client_error", "-32602"));
    assert_eq!((done.get(names::STATUS_CODE), done.get(names::HTTP_STATUS)), ("-32602", "400"));
}

#[test]
fn an_answer_without_an_id_answers_the_only_request() {
    for body in [
        r#"{"jsonrpc":"2.0","error":{"code":-32000,"message":"m"},"id":null}"#,
        r#"{"jsonrpc":"2.0","error":{"code":-32000,"message":"m"}}"#,
    ] {
        let mut tap = Tap::new();
        let x = tap.post(&modern(1, ""));
        tap.reply(x, 400, body);
        let done = tap.only();
        assert_eq!((done.outcome(), done.error()), ("protocol_error", "-32000"));
        assert_eq!(done.get(names::REQUEST_ID), "1");
        assert_eq!(tap.counts().orphans, 0);
    }
    let mut tap = Tap::new();
    let x = tap.post(&format!("[{},{}]", call(1), call(2)));
    tap.reply(x, 400, r#"{"error":{"code":-32600},"id":null}"#);
    assert_eq!(tap.outcomes(), pairs(&[("1", "client_error"), ("2", "client_error")]));
    assert_eq!(tap.counts().orphans, 1);
}

#[test]
fn a_retry_links_to_its_first_leg_over_exchanges() {
    let mut tap = Tap::new();
    let x = tap.post(&modern(1, ""));
    tap.reply(x, 200, r#"{"id":1,"result":{"resultType":"input_required","requestState":"z"}}"#);
    let first = tap.only();
    assert_eq!(first.outcome(), "input_required");
    let x = tap.post(&modern(2, r#","requestState":"z""#));
    tap.reply(x, 200, &ok(2));
    let second = tap.only();
    assert_eq!(second.span.links[0].span_id, first.span.span_id);
}

#[test]
fn what_a_server_lists_once_is_known_to_all_its_clients() {
    let mut tap = Tap::new();
    let list = modern(1, "").replace("tools/call", "tools/list");
    let x = tap.post(&list);
    tap.reply(x, 200, r#"{"id":1,"result":{"tools":[{"name":"t"}]}}"#);
    for server in [0, 1] {
        let x = tap.send(&RequestHead { server, ..POST }, &modern(1, ""));
        tap.reply(x, 200, r#"{"id":1,"result":{"isError":true}}"#);
    }
    let names: Vec<_> = tap.spans().into_iter().map(|done| done.span.name).collect();
    assert_eq!(names, ["tools/list", "tools/call t", "tools/call"]);
}

#[test]
fn spans_come_by_server() {
    let mut tap = Tap::new();
    for server in [0, 1, 0, 9] {
        let x = tap.send(&RequestHead { server, ..POST }, &modern(1, ""));
        tap.reply(x, 200, &ok(1));
    }
    let (telemetry, _) = tap.http.take().remove(0);
    let crate::otlp::Messages::Traces(all) = telemetry.messages() else { panic!("spans") };
    let server = |r: &opentelemetry_proto::tonic::trace::v1::ResourceSpans| {
        let attributes = &r.resource.as_ref().unwrap().attributes;
        let named = attributes.iter().find(|a| a.key == names::SERVER_NAME).map(text);
        (named.unwrap(), r.scope_spans[0].spans.len())
    };
    let found: Vec<_> = all.iter().map(server).collect();
    assert_eq!(found, [("one".to_owned(), 2), ("two".to_owned(), 2)]);
}

#[test]
fn a_subscription_is_over_in_peace_when_the_server_ends_it() {
    let listen = modern(1, "").replace("tools/call", "subscriptions/listen");
    let mut tap = Tap::new();
    let x = tap.post(&listen);
    tap.stream(x).wait(1_000_000).end(x);
    assert_eq!(tap.outcomes(), pairs(&[("1", "ok")]));
    let x = tap.post(&listen);
    tap.stream(x).event(x, &cancel(1)).end(x);
    assert_eq!(tap.outcomes(), pairs(&[("1", "ok")]));
    for party in [Party::Client, Party::Server, Party::Tap] {
        let x = tap.post(&listen);
        tap.stream(x).broken(x, party);
        assert_eq!(tap.outcomes(), pairs(&[("1", "cancelled")]));
    }
    let x = tap.post(&listen);
    tap.reply(x, 503, "");
    assert_eq!(tap.outcomes(), pairs(&[("1", "server_gone")]));
}
