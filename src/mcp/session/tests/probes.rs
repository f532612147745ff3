//! `server/discover`: a server that never answers, and one that refuses.

use super::*;

const PROBE: &str = r#"{"id":1,"method":"server/discover","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"agent"}}}}"#;
const HELLO: &str =
    r#"{"id":2,"method":"initialize","params":{"clientInfo":{"name":"agent","version":"3"}}}"#;

#[test]
fn a_probe_without_an_answer_ends_when_the_client_goes_on() {
    let mut tap = Tap::new();
    tap.c(PROBE).wait(9).c(HELLO);
    let done = tap.only();
    assert_eq!((done.span.name.as_str(), done.outcome()), ("server/discover", "timeout"));
    assert_eq!((done.error(), done.is_error()), ("timeout", true));
    assert_eq!(done.span.end_time_unix_nano - done.span.start_time_unix_nano, 10 * SECOND);
    tap.ok(1).ok(2);
    assert_eq!(tap.outcomes(), pairs(&[("2", "ok")]));
    assert_eq!((tap.counts().late, tap.counts().orphans), (1, 0));
}

#[test]
fn a_refused_probe_is_negotiation_and_no_error() {
    for code in [-32601, -32602, -32600, -32022] {
        let mut tap = Tap::new();
        tap.c(PROBE).s(&format!(r#"{{"id":1,"error":{{"code":{code},"message":"m"}}}}"#));
        let done = tap.only();
        assert_eq!((done.outcome(), done.error(), done.is_error()), ("client_error", "", false));
        assert_eq!(done.get(names::STATUS_CODE), code.to_string());
    }
    for (code, outcome) in [(-32603, "protocol_error"), (-32000, "protocol_error"), (401, "auth")] {
        let mut tap = Tap::new();
        tap.c(PROBE).s(&format!(r#"{{"id":1,"error":{{"code":{code},"message":"m"}}}}"#));
        let done = tap.only();
        assert_eq!((done.outcome(), done.is_error()), (outcome, true));
    }
    let mut tap = Tap::new();
    tap.call(1).s(r#"{"id":1,"error":{"code":-32601,"message":"m"}}"#);
    assert!(tap.only().is_error(), "of no other method");
}

#[test]
fn only_the_client_goes_on() {
    let mut tap = Tap::new();
    tap.c(PROBE).s(&HELLO.replace(":2,", ":9,")).call(3);
    assert_eq!(tap.counts().in_flight, 3);
    tap.ok(1);
    assert_eq!(tap.outcomes(), pairs(&[("1", "ok")]));
}
