//! HTTP+SSE of 2024-11-05: messages go one way, answers come another.

use super::*;

/// The head of a POST to the endpoint.
const SEND: RequestHead<'static> = RequestHead { target: b"/api/messages?s=1", ..POST };

/// The stream of a session whose endpoint is that.
fn stream(tap: &mut Tap) -> Exchange {
    let x = tap.begin(&RequestHead { target: b"/api/sse", ..GET });
    tap.http.ended(x, C, tap.now);
    tap.stream(x).bytes(x, "event: endpoint\ndata: messages?s=1\n\n");
    x
}

fn send(tap: &mut Tap, body: &str) {
    let x = tap.send(&SEND, body);
    tap.reply(x, 202, "Accepted");
}

#[test]
fn answers_come_on_the_stream() {
    let mut tap = Tap::new();
    let x = stream(&mut tap);
    send(&mut tap, r#"{"id":0,"method":"initialize","params":{"clientInfo":{"name":"agent"}}}"#);
    tap.bytes(
        x,
        "event: message\ndata: {\"id\":0,\"result\":{\"protocolVersion\":\"2025-11-25\"}}\n\n",
    );
    send(&mut tap, &call(1));
    tap.event(x, &ok(1));
    let spans = tap.spans();
    assert_eq!(spans.len(), 2);
    for done in spans {
        assert_eq!((done.outcome(), done.get(names::HTTP_STATUS)), ("ok", "200"));
        assert_eq!(done.get(names::SESSION_ID), "name of /api/messages?s=1");
        assert_eq!(
            (done.get(names::CLIENT_NAME), done.get(names::PROTOCOL_VERSION)),
            ("agent", "2025-11-25")
        );
    }
    assert_eq!((tap.counts().junk, tap.counts().not_rpc), (0, 0));
}

#[test]
fn an_answer_may_overtake_the_202() {
    let mut tap = Tap::new();
    let x = stream(&mut tap);
    let y = tap.send(&SEND, &call(1));
    tap.event(x, &ok(1)).reply(y, 202, "");
    assert_eq!(tap.outcomes(), pairs(&[("1", "ok")]));
}

#[test]
fn the_server_asks_on_the_stream_too() {
    let mut tap = Tap::new();
    let x = stream(&mut tap);
    tap.event(x, r#"{"id":0,"method":"roots/list"}"#);
    send(&mut tap, r#"{"id":0,"result":{}}"#);
    assert_eq!(tap.only().span.name, "roots/list");
}

#[test]
fn the_session_ends_with_its_stream() {
    for (party, outcome) in [
        (None, "server_gone"),
        (Some(Party::Server), "server_gone"),
        (Some(Party::Client), "cancelled"),
        (Some(Party::Tap), "cancelled"),
    ] {
        let mut tap = Tap::new();
        let x = stream(&mut tap);
        send(&mut tap, &call(1));
        match party {
            None => tap.end(x),
            Some(party) => tap.broken(x, party),
        };
        assert_eq!(tap.only().outcome(), outcome);
        assert_eq!(tap.counts().in_flight, 0);
    }
}

#[test]
fn a_refused_message_fails_its_call() {
    let mut tap = Tap::new();
    stream(&mut tap);
    let y = tap.send(&SEND, &call(1));
    assert_eq!(tap.reply(y, 503, "").only().error(), "503");
    let y = tap.send(&SEND, &call(1));
    assert_eq!(tap.broken(y, Party::Server).only().outcome(), "server_gone");
    let y = tap.send(&SEND, &call(1));
    tap.broken(y, Party::Client);
    assert_eq!(tap.counts().in_flight, 1);
}

/// The stream began before the tap did: nobody knows what became of the call.
#[test]
fn an_answer_on_a_stream_that_is_not_observed_is_no_failure() {
    let mut tap = Tap::new();
    for body in [call(1), r#"{"id":0,"method":"initialize"}"#.to_owned()] {
        let x = tap.post(&body);
        tap.reply(x, 202, "Accepted");
    }
    assert!(tap.spans().is_empty());
    assert_eq!(tap.counts().dropped.gap, 2);
}

#[test]
fn after_the_stream_is_lost_no_call_fails() {
    let mut tap = Tap::new();
    let x = stream(&mut tap);
    send(&mut tap, &call(1));
    tap.http.lost(x, S, tap.now);
    send(&mut tap, &call(2));
    tap.wait(100_000).end(x);
    assert!(tap.spans().is_empty());
    assert_eq!(tap.counts().dropped.gap, 2);
}

#[test]
fn only_the_stream_of_a_session_names_an_endpoint() {
    let mut tap = Tap::new();
    let x = tap.session().post(&call(1));
    tap.stream(x).bytes(x, "event: endpoint\ndata: /m\n\n").event(x, &ok(1)).end(x);
    let y = tap.listen();
    tap.bytes(y, "event: endpoint\ndata: /m\n\n");
    let z = tap.send(&RequestHead { target: b"/m", ..POST }, &call(2));
    tap.reply(z, 200, &ok(2));
    assert!(tap.spans().iter().all(|done| done.get(names::SESSION_ID).is_empty()));
}

#[test]
fn events_of_other_names_are_no_messages() {
    let mut tap = Tap::new();
    let x = tap.post(&modern(1, ""));
    tap.stream(x).bytes(x, "event: ping\ndata: {\"id\":1,\"result\":{}}\n\n").event(x, &ok(1));
    assert_eq!((tap.counts().answers, tap.counts().spans), (1, 1));
}
