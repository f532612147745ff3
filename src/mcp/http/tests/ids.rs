//! Ids that come back as texts, and answers without one.

use super::*;

#[test]
fn the_text_of_an_integer_closes_the_call_under_it() {
    let body = r#"{"id":"7","result":{}}"#;
    for (head, request) in [(POST, modern(7, "")), (POST, call(7)), (IN_SESSION, call(7))] {
        let mut tap = Tap::new();
        let x = tap.send(&head, &request);
        tap.reply(x, 200, body);
        assert_eq!(tap.outcomes(), pairs(&[("7", "ok")]));
        let x = tap.send(&head, &request);
        tap.stream(x).event(x, body).end(x);
        assert_eq!(tap.outcomes(), pairs(&[("7", "ok")]));
        assert_eq!((tap.counts().text_ids, tap.counts().orphans), (2, 0));
    }
}

#[test]
fn over_whichever_exchange_it_comes_and_whichever_way() {
    let mut tap = Tap::new();
    let x = tap.session().say(&call(7));
    tap.broken(x, Party::Client);
    let y = tap.listen();
    tap.event(y, r#"{"id":"7","result":{}}"#);
    assert_eq!(tap.outcomes(), pairs(&[("7", "ok")]));
    tap.event(y, r#"{"id":3,"method":"roots/list"}"#);
    let z = tap.say(r#"{"id":"3","result":{}}"#);
    tap.reply(z, 202, "");
    assert_eq!(tap.only().span.name, "roots/list");
}

#[test]
fn an_id_that_is_just_the_same_comes_first() {
    let mut tap = Tap::new();
    let x = tap.post(&format!("[{},{}]", call(7), call(7).replace("7", r#""7""#)));
    tap.stream(x).event(x, r#"{"id":" 7","result":{}}"#);
    assert_eq!((tap.counts().in_flight, tap.counts().orphans), (2, 1));
    tap.event(x, r#"{"id":"7","result":{"isError":true}}"#).event(x, &ok(7)).end(x);
    assert_eq!(tap.outcomes(), pairs(&[("7", "tool_error"), ("7", "ok")]));
    assert_eq!(tap.counts().text_ids, 0);
}

#[test]
fn progress_of_a_modern_call_is_matched_likewise() {
    for head in [POST, IN_SESSION] {
        let mut tap = Tap::new();
        let with_token = r#""_meta":{"progressToken":1,"#;
        let x = tap.send(&head, &modern(1, "").replace(r#""_meta":{"#, with_token));
        tap.stream(x).event(
            x,
            r#"{"method":"notifications/progress","params":{"progressToken":"1","progress":1}}"#,
        );
        tap.event(x, &ok(1)).end(x);
        assert_eq!(tap.only().span.events.len(), 1);
    }
}

#[test]
fn a_result_without_an_id_is_a_failure_of_the_server() {
    for body in [r#"{"jsonrpc":"2.0","result":{}}"#, r#"{"jsonrpc":"2.0","id":null,"result":{}}"#] {
        for head in [POST, IN_SESSION] {
            let mut tap = Tap::new();
            let x = tap.send(&head, &call(1));
            tap.reply(x, 200, body);
            let done = tap.only();
            assert_eq!((done.outcome(), done.error()), ("protocol_error", "_OTHER"));
            // Of a stream that may be resumed, too.
            let x = tap.send(&head, &call(1));
            tap.stream(x).event_with_id(x, "a", body).end(x);
            assert_eq!(tap.outcomes(), pairs(&[("1", "protocol_error")]));
        }
        let mut tap = Tap::new();
        let x = tap.post(&format!("[{},{}]", call(1), call(2)));
        tap.stream(x).event(x, body);
        assert_eq!((tap.counts().in_flight, tap.counts().orphans), (2, 1));
    }
}

#[test]
fn another_id_closes_nothing() {
    let mut tap = Tap::new();
    let x = tap.post(&call(1));
    tap.stream(x).event(x, &ok(2)).event(x, r#"{"id":"one","error":{"code":1,"message":"m"}}"#);
    assert_eq!((tap.counts().in_flight, tap.counts().orphans), (1, 2));
    tap.event(x, &ok(1)).end(x);
    assert_eq!(tap.outcomes(), pairs(&[("1", "ok")]));
}

#[test]
fn a_server_that_makes_texts_of_all_ids_fills_no_table() {
    let mut tap = Tap::new();
    tap.session();
    for id in 0..6_000 {
        for (head, request) in [(IN_SESSION, call(id)), (POST, modern(id, ""))] {
            let x = tap.send(&head, &request);
            tap.reply(x, 200, &format!(r#"{{"id":"{id}","result":{{}}}}"#));
        }
        if tap.http.ready() >= 1000 {
            assert!(tap.spans().iter().all(|done| done.outcome() == "ok"));
        }
    }
    let counts = tap.counts();
    assert_eq!((counts.spans, counts.text_ids), (12_001, 12_000));
    assert_eq!((counts.in_flight, counts.dropped.total(), counts.orphans), (0, 0, 0));
}
