//! `server/discover` over HTTP, where its exchange stays open after the client went on.

use super::*;

fn probe(id: u32, client: &str) -> String {
    format!(
        r#"{{"id":{id},"method":"server/discover","params":{{"_meta":{{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{{"name":"{client}","version":"1"}}}}}}}}"#
    )
}

fn hello(id: u32, client: &str) -> String {
    format!(
        r#"{{"id":{id},"method":"initialize","params":{{"clientInfo":{{"name":"{client}","version":"1"}}}}}}"#
    )
}

const REFUSED: &str = r#"{"id":1,"error":{"code":-32601,"message":"m"}}"#;

#[test]
fn a_probe_without_an_answer_ends_when_its_client_goes_on() {
    let mut tap = Tap::new();
    let x = tap.post(&probe(1, "a"));
    let y = tap.wait(9).post(&hello(2, "a"));
    let done = tap.only();
    assert_eq!((done.span.name.as_str(), done.outcome()), ("server/discover", "timeout"));
    let lasted = done.span.end_time_unix_nano - done.span.start_time_unix_nano;
    assert!((9 * SECOND..20 * SECOND).contains(&lasted));
    tap.reply(y, 200, &ok(2)).wait(3600).broken(x, Party::Client);
    assert_eq!(tap.outcomes(), pairs(&[("2", "ok")]));
}

#[test]
fn the_probe_of_another_client_goes_on() {
    let mut tap = Tap::new();
    let x = tap.post(&probe(1, "a"));
    let other = RequestHead { server: 1, ..POST };
    for (head, client) in [(POST, "b"), (other, "a")] {
        let y = tap.send(&head, &hello(2, client));
        tap.reply(y, 200, &ok(2));
        assert_eq!(tap.outcomes(), pairs(&[("2", "ok")]));
    }
    tap.reply(x, 200, &ok(1));
    assert_eq!(tap.outcomes(), pairs(&[("1", "ok")]));
}

#[test]
fn the_handshake_after_a_refused_probe_ends_no_other() {
    let mut tap = Tap::new();
    let (x, y) = (tap.post(&probe(1, "a")), tap.post(&probe(1, "a")));
    tap.reply(x, 404, REFUSED);
    assert_eq!(tap.only().outcome(), "client_error");
    let first = tap.post(&hello(2, "a"));
    assert!(tap.spans().is_empty(), "it is that of the client that was refused");
    tap.reply(y, 404, REFUSED).reply(first, 200, &ok(2));
    assert_eq!(tap.outcomes(), pairs(&[("1", "client_error"), ("2", "ok")]));
    let second = tap.post(&hello(2, "a"));
    tap.reply(second, 200, &ok(2)).spans();
    let z = tap.post(&probe(1, "a"));
    tap.post(&hello(2, "a"));
    assert_eq!(tap.outcomes(), pairs(&[("1", "timeout")]));
    tap.broken(z, Party::Client);
}

#[test]
fn of_several_that_wait_the_first_gives_up_first() {
    let mut tap = Tap::new();
    for id in [1, 2] {
        tap.post(&probe(id, "a"));
    }
    for id in ["1", "2"] {
        tap.post(&hello(7, "a"));
        assert_eq!(tap.outcomes(), pairs(&[(id, "timeout")]));
    }
}

#[test]
fn a_refused_probe_is_no_error_whichever_way_it_is_refused() {
    for (status, body) in [
        (404, REFUSED),
        (200, REFUSED),
        (400, r#"{"id":null,"error":{"code":-32000,"message":"Bad Request: not initialized"}}"#),
        (400, "no"),
        (404, ""),
        (405, ""),
    ] {
        let mut tap = Tap::new();
        let x = tap.post(&probe(1, "a"));
        tap.reply(x, status, body);
        let done = tap.only();
        assert_eq!((done.outcome(), done.error()), ("client_error", ""), "{status} {body}");
        assert!(!done.is_error());
    }
    for (status, outcome) in
        [(307, "client_error"), (401, "auth"), (429, "rate_limited"), (503, "server_gone")]
    {
        let mut tap = Tap::new();
        let x = tap.post(&probe(1, "a"));
        tap.reply(x, status, "");
        let done = tap.only();
        assert_eq!((done.outcome(), done.is_error()), (outcome, true));
    }
}
