//! What the server asks: whom, and because of which call.

use super::*;

const META: &str = r#""io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"agent","version":"3"}"#;

fn ask(id: u32, method: &str, meta: &str) -> String {
    format!(r#"{{"id":{id},"method":"{method}","params":{{"_meta":{{{meta}}}}}}}"#)
}

/// The call that the only request of the server's links to, by its id.
fn cause(tap: &mut Tap) -> Option<String> {
    let spans = tap.end().spans();
    let asked = spans.iter().find(|done| done.get(names::INITIATOR) == "server").unwrap();
    let link = asked.span.links.first()?;
    assert_eq!(text(&link.attributes[0]), "cause");
    let call = spans.iter().find(|done| done.span.span_id == link.span_id).unwrap();
    assert_eq!(call.span.trace_id, link.trace_id);
    Some(call.get(names::REQUEST_ID).to_owned())
}

#[test]
fn in_a_modern_session_the_client_is_who_earlier_requests_say() {
    let mut tap = Tap::new();
    tap.c(&ask(1, "tools/list", META)).ok(1).s(&ask(7, "ping", "")).c(r#"{"id":7,"result":{}}"#);
    let done = &tap.spans()[1];
    assert_eq!(done.get(names::INITIATOR), "server");
    for (key, value) in [
        (names::PEER_SERVICE, "agent"),
        (names::CLIENT_NAME, "agent"),
        (names::CLIENT_VERSION, "3"),
        (names::PROTOCOL_VERSION, "2026-07-28"),
    ] {
        assert_eq!(done.get(key), value, "{key}");
    }
}

#[test]
fn the_era_spoken_last_says_who_the_client_is() {
    let mut tap = Tap::new();
    tap.c(&ask(1, "server/discover", META)).s(r#"{"id":1,"error":{"code":-32601,"message":"m"}}"#);
    tap.c(r#"{"id":2,"method":"initialize","params":{"clientInfo":{"name":"old"}}}"#);
    tap.s(r#"{"id":2,"result":{"protocolVersion":"2025-11-25"}}"#);
    tap.s(&ask(7, "roots/list", "")).c(r#"{"id":7,"result":{}}"#);
    let done = &tap.spans()[2];
    assert_eq!(
        (done.get(names::CLIENT_NAME), done.get(names::PROTOCOL_VERSION)),
        ("old", "2025-11-25")
    );
}

#[test]
fn the_only_call_in_flight_caused_what_the_server_asks_meanwhile() {
    for method in ["sampling/createMessage", "elicitation/create", "roots/list"] {
        let mut tap = Tap::new();
        tap.c(&ask(9, "subscriptions/listen", META)).call(1).s(&ask(7, method, ""));
        assert_eq!(cause(&mut tap).as_deref(), Some("1"), "{method}");
    }
}

#[test]
fn where_it_cannot_be_known_no_call_is_named() {
    let sampling = ask(7, "sampling/createMessage", "");
    let mut two = Tap::new();
    two.call(1).call(2).s(&sampling);
    let mut none = Tap::new();
    none.call(1).ok(1).s(&sampling);
    let mut other = Tap::new();
    other.c(&ask(1, "tools/list", "")).s(&sampling);
    let mut beside = Tap::new();
    beside.call(1).c(&ask(2, "tools/list", "")).s(&sampling);
    let mut twice = Tap::new();
    twice.call(1).call(1).s(&sampling);
    let mut ping = Tap::new();
    ping.call(1).s(&ask(7, "ping", ""));
    let mut unknown = Tap::new();
    unknown.call(1).s(&ask(
        7,
        "sampling/createMessage",
        r#""io.modelcontextprotocol/related-task":{"taskId":"k"}"#,
    ));
    // What went by unseen may have been a call.
    let mut missed = Tap::new();
    missed.gap(C).call(1).s(&sampling);
    for (i, mut tap) in
        [two, none, other, beside, twice, ping, unknown, missed].into_iter().enumerate()
    {
        assert_eq!(cause(&mut tap), None, "{i}");
    }
}

/// Servers ask for them after the handshake, whatever else goes on then.
#[test]
fn roots_that_the_client_just_told_of_are_asked_for_in_nobodys_call() {
    for told in ["notifications/initialized", "notifications/roots/list_changed"] {
        let mut tap = Tap::new();
        tap.c(&format!(r#"{{"method":"{told}"}}"#)).call(1).s(&ask(7, "roots/list", ""));
        assert_eq!(cause(&mut tap), None);
        let mut tap = Tap::new();
        tap.c(&format!(r#"{{"method":"{told}"}}"#)).s(&ask(7, "roots/list", ""));
        tap.c(r#"{"id":7,"result":{}}"#).spans();
        tap.call(1).s(&ask(8, "roots/list", ""));
        assert_eq!(cause(&mut tap).as_deref(), Some("1"), "and later in somebody's");
    }
}

#[test]
fn a_task_or_a_token_of_its_own_names_the_call_among_others() {
    let related = r#""io.modelcontextprotocol/related-task":{"taskId":"k"}"#;
    let mut tap = Tap::new();
    tap.call(1).s(r#"{"id":1,"result":{"resultType":"task","taskId":"k","status":"working"}}"#);
    tap.call(2).call(3).s(&ask(7, "elicitation/create", related));
    assert_eq!(cause(&mut tap).as_deref(), Some("1"));

    let token = r#""progressToken":"a-token""#;
    let mut tap = Tap::new();
    tap.call(1).c(&ask(2, "tools/call", token)).s(&ask(7, "sampling/createMessage", token));
    assert_eq!(cause(&mut tap).as_deref(), Some("2"));

    // Both sides count from nought: this is the token of the server's own request.
    for token in [r#""progressToken":2"#, r#""progressToken":"2""#] {
        let mut tap = Tap::new();
        tap.call(1).c(&ask(2, "tools/call", token)).s(&ask(7, "sampling/createMessage", token));
        assert_eq!(cause(&mut tap), None);
    }
}
