//! Legacy sessions of Streamable HTTP: paired within the session, whichever exchange brings the answer.

use super::*;

#[test]
fn a_session_begins_with_the_id_in_the_response_to_initialize() {
    let mut tap = Tap::new();
    tap.session();
    let x = tap.say(&call(1));
    tap.reply(x, 200, &ok(1));
    let done = tap.only();
    for (key, value) in [
        (names::PROTOCOL_VERSION, "2025-06-18"),
        (names::SESSION_ID, "name of s"),
        (names::CLEAR_SESSION_ID, ""),
        (names::CLIENT_NAME, "agent"),
        (names::SERVER_INFO_NAME, "fs"),
        (names::OUTCOME, "ok"),
    ] {
        assert_eq!(done.get(key), value, "{key}");
    }
}

#[test]
fn answers_come_by_stream_and_in_any_order() {
    let mut tap = Tap::new();
    let x = tap.session().say(&format!("[{},{},{}]", call(1), call(2), cancel(9)));
    tap.stream(x).event_with_id(x, "a", &ok(2)).event_with_id(x, "b", &ok(1)).end(x);
    assert_eq!(tap.outcomes(), pairs(&[("2", "ok"), ("1", "ok")]));
    assert_eq!((tap.counts().batches, tap.counts().cancels_unknown), (1, 1));
}

#[test]
fn a_request_of_the_server_is_answered_by_another_post() {
    let mut tap = Tap::new();
    let x = tap.session().say(&call(0));
    tap.stream(x).event(x, r#"{"id":0,"method":"roots/list"}"#);
    let y = tap.say(r#"{"id":0,"result":{"roots":[]}}"#);
    tap.reply(y, 202, "");
    tap.event(x, &ok(0)).end(x);
    let spans = tap.spans();
    assert_eq!(
        (spans[0].span.name.as_str(), spans[0].get(names::INITIATOR)),
        ("roots/list", "server")
    );
    assert_eq!(spans[0].get(names::HTTP_STATUS), "");
    assert_eq!(spans[1].span.name, "tools/call t");
}

#[test]
fn a_cancellation_in_another_post_ends_the_call() {
    let mut tap = Tap::new();
    let x = tap.session().say(&call(1).replace(r#""t""#, r#""t","_meta":{"progressToken":1}"#));
    tap.stream(x).event_with_id(x, "a", "");
    let y = tap.say(&cancel(1));
    tap.reply(y, 202, "");
    assert_eq!(tap.outcomes(), pairs(&[("1", "cancelled")]));
    let progress =
        r#"{"method":"notifications/progress","params":{"progressToken":1,"progress":1}}"#;
    tap.event_with_id(x, "b", progress).event_with_id(x, "c", &ok(1)).end(x);
    assert!(tap.spans().is_empty());
    assert_eq!((tap.counts().late, tap.counts().orphans), (1, 0));
}

#[test]
fn a_disconnect_is_no_cancellation() {
    let mut tap = Tap::new();
    let x = tap.session().say(&call(1));
    tap.stream(x).broken(x, Party::Client);
    assert!(tap.spans().is_empty());
    let y = tap.listen();
    tap.event(y, &ok(1));
    assert_eq!(tap.outcomes(), pairs(&[("1", "ok")]));
}
