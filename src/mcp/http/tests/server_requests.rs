//! What a server asks in the streams of exchanges: whom, and because of which call.

use super::*;

const SAMPLING: &str = r#"{"id":7,"method":"sampling/createMessage"}"#;

/// The call that the only request of the server's links to, by its id.
fn cause(tap: &mut Tap) -> Option<String> {
    tap.http.finish(tap.now);
    let spans = tap.spans();
    let asked = spans.iter().find(|done| done.get(names::INITIATOR) == "server").unwrap();
    let link = asked.span.links.first()?;
    assert_eq!(text(&link.attributes[0]), "cause");
    let call = spans.iter().find(|done| done.span.span_id == link.span_id).unwrap();
    Some(call.get(names::REQUEST_ID).to_owned())
}

#[test]
fn the_call_whose_stream_brings_it_caused_it() {
    for (head, request) in [(POST, modern(1, "")), (POST, call(1)), (IN_SESSION, call(1))] {
        let mut tap = Tap::new();
        let (x, _) = (tap.send(&head, &request), tap.send(&head, &request.replace(":1", ":2")));
        tap.stream(x).event(x, SAMPLING);
        assert_eq!(cause(&mut tap).as_deref(), Some("1"));
    }
}

#[test]
fn a_modern_call_says_whom_it_is_asked() {
    let mut tap = Tap::new();
    let who =
        |name| format!(r#""_meta":{{"io.modelcontextprotocol/clientInfo":{{"name":"{name}"}},"#);
    let [x, _] =
        ["a", "b"].map(|name| tap.post(&modern(1, "").replace(r#""_meta":{"#, &who(name))));
    tap.stream(x).event(x, SAMPLING);
    tap.http.finish(tap.now);
    let spans = tap.spans();
    let asked = spans.iter().find(|done| done.get(names::INITIATOR) == "server").unwrap();
    assert_eq!((asked.get(names::PEER_SERVICE), asked.get(names::CLIENT_NAME)), ("a", "a"));
    assert_eq!(asked.get(names::PROTOCOL_VERSION), "2026-07-28");
}

#[test]
fn where_it_cannot_be_known_no_call_is_named() {
    let mut two = Tap::new();
    let x = two.post(&format!("[{},{}]", call(1), call(2)));
    two.stream(x).event(x, SAMPLING);
    assert_eq!(cause(&mut two), None);
    // What comes by a stream of its own has to do with no call.
    let mut apart = Tap::new();
    apart.session().say(&call(1));
    let x = apart.listen();
    apart.event(x, SAMPLING);
    assert_eq!(cause(&mut apart), None);
}

#[test]
fn where_all_comes_by_one_stream_the_only_call_caused_it() {
    for (calls, caused) in [(1, Some("1")), (2, None)] {
        let mut tap = Tap::new();
        let x = tap.begin(&RequestHead { target: b"/sse", ..GET });
        tap.http.ended(x, C, tap.now);
        tap.stream(x).bytes(x, "event: endpoint\ndata: /messages?s=1\n\n");
        for id in 1..=calls {
            let y = tap.send(&RequestHead { target: b"/messages?s=1", ..POST }, &call(id));
            tap.reply(y, 202, "Accepted");
        }
        tap.event(x, SAMPLING);
        assert_eq!(cause(&mut tap).as_deref(), caused);
    }
}
