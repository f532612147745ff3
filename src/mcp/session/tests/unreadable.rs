//! Answers that no client can read: what both official SDKs leave unread is no answer.

use super::*;

/// What becomes of a call to which that comes, alone on its line, and then its server is gone.
fn answered(line: &str) -> (String, u64) {
    let mut tap = Tap::new();
    tap.call(1);
    tap.session.bytes(S, format!("{line}\n").as_bytes(), tap.now);
    tap.end();
    let unread = tap.counts().junk + tap.counts().not_rpc;
    (tap.only().outcome().to_owned(), unread)
}

#[test]
fn something_beside_an_answer_on_its_line_spoils_it() {
    let answer = r#"{"jsonrpc":"2.0","id":1,"result":{}}"#;
    for (before, behind) in [
        ("", " text"),
        ("", "text"),
        ("", "\0"),
        ("", "\u{c}"),
        ("", "\u{b}"),
        ("", "\u{a0}"),
        ("", "}"),
        ("", ","),
        ("", r#" {"jsonrpc":"2.0","id":9,"result":{}}"#),
        (r#"{"jsonrpc":"2.0","method":"m"}"#, ""),
        ("log: ", ""),
        ("\u{feff}", ""),
        ("\u{c}", ""),
        ("[", ",]"),
        ("[", "] text"),
        ("\u{feff}[", "]"),
    ] {
        let line = format!("{before}{answer}{behind}");
        assert_eq!(answered(&line), ("server_gone".to_owned(), 1), "{line:?}");
    }
    for (before, behind) in [("", ""), (" \t", " \t\r\r"), (" [", "\t]\r")] {
        let line = format!("{before}{answer}{behind}");
        assert_eq!(answered(&line), ("ok".to_owned(), 0), "{line:?}");
    }
}

#[test]
fn an_answer_that_no_schema_takes_is_none() {
    for line in [
        r#"{"id":1,"result":{}}"#,
        r#"{"jsonrpc":"1.0","id":1,"result":{}}"#,
        r#"{"jsonrpc":2.0,"id":1,"result":{}}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":null}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":"text"}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":[]}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":true}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":{},}"#,
        r#"{"id":1,"error":{"code":1,"message":"m"}}"#,
    ] {
        assert_eq!(answered(line), ("server_gone".to_owned(), 1), "{line}");
    }
}

/// Each of these one of the two SDKs reads.
#[test]
fn an_answer_that_some_client_reads_is_one() {
    let deep = "[".repeat(250) + &"]".repeat(250);
    for (line, outcome) in [
        (r#"{"jsonrpc":"2\u002e0","id":1,"result":{}}"#, "ok"),
        (r#"{"jsonrpc":"2.0","id":1.0,"result":{}}"#, "ok"),
        (r#"{"jsonrpc":"2.0","id":9,"id":1,"result":{}}"#, "ok"),
        (r#"{"jsonrpc":"2.0","id":1,"result":{},"_meta":{}}"#, "ok"),
        (r#"{"jsonrpc":"2.0","id":1,"method":null,"result":{}}"#, "ok"),
        (r#"{"jsonrpc":"2.0","id":1,"result":{"a":[NaN]}}"#, "ok"),
        (r#"{"jsonrpc":"2.0","id":1,"result":{"a":"\ud800"}}"#, "ok"),
        (r#"{"jsonrpc":"2.0","id":1,"result":{},"error":null}"#, "ok"),
        (
            r#"{"jsonrpc":"2.0","id":1,"result":{},"error":{"code":1,"message":"m"}}"#,
            "protocol_error",
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"m"},"result":null}"#,
            "protocol_error",
        ),
        // A failure is one, however it is told.
        (r#"{"jsonrpc":"2.0","id":1,"error":"plain"}"#, "protocol_error"),
        (&format!(r#"{{"jsonrpc":"2.0","id":1,"result":{{"a":{deep}}}}}"#), "ok"),
    ] {
        assert_eq!(answered(line), (outcome.to_owned(), 0), "{line}");
    }
    let mut tap = Tap::new();
    tap.call(1);
    let line = b"{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"a\":\"\xff\"}}\n";
    tap.session.bytes(S, line, tap.now);
    assert_eq!(tap.only().outcome(), "ok", "replaced by those that do not refuse it");
}

#[test]
fn utf_16_is_read_by_nobody() {
    let wide: Vec<u8> = r#"{"jsonrpc":"2.0","id":1,"result":{}}"#
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .chain(*b"\n\0")
        .collect();
    for mark in [&b"\xff\xfe"[..], b""] {
        let mut tap = Tap::new();
        tap.call(1);
        tap.session.bytes(S, &[mark, &wide].concat(), tap.now);
        tap.end();
        assert_eq!(tap.outcomes(), pairs(&[("1", "server_gone")]));
    }
}

#[test]
fn a_call_waits_for_an_answer_that_can_be_read() {
    let mut tap = Tap::new();
    tap.call(1).s(r#"{"id":1,"result":{}}{"id":2,"result":{}} and then some"#);
    assert_eq!((tap.counts().in_flight, tap.counts().junk, tap.counts().answers), (1, 1, 0));
    tap.ok(1);
    assert_eq!(tap.outcomes(), pairs(&[("1", "ok")]));
    let reason =
        r#"{"method":"notifications/cancelled","params":{"requestId":2,"reason":"timed out"}}"#;
    tap.call(2).s(r#"{"id":2,"result":{}} text"#).wait(59).c(reason);
    let done = tap.only();
    assert_eq!(done.outcome(), "timeout");
    assert!(done.span.end_time_unix_nano - done.span.start_time_unix_nano >= 60 * SECOND);
}

#[test]
fn a_request_counts_wherever_it_can_be_made_out() {
    let mut tap = Tap::new();
    tap.c(r#"{"id":1,"method":"ping"} {"id":2,"method":"ping"} text"#).ok(1).ok(2);
    tap.c("\u{feff}{\"id\":3,\"method\":\"ping\"}").ok(3);
    assert_eq!(tap.outcomes(), pairs(&[("1", "ok"), ("2", "ok"), ("3", "ok")]));
    assert_eq!((tap.counts().junk, tap.counts().requests), (2, 3));
}

#[test]
fn a_long_answer_with_something_behind_it_is_none() {
    for (end, outcome) in
        [("}}", "ok"), ("}} \r", "ok"), ("}}\0", "server_gone"), ("}}]", "server_gone")]
    {
        let mut tap = Tap::with(Settings { max_message_bytes: 100, ..Settings::default() });
        let filler = "x".repeat(5000);
        tap.call(1).s(&format!(r#"{{"id":1,"result":{{"a":"{filler}"{end}"#));
        assert_eq!(tap.end().outcomes(), pairs(&[("1", outcome)]), "{end:?}");
    }
}
