//! Answers that no client can read: what both official SDKs leave unread is no answer.

use super::*;

/// Gives what becomes of a call to which that comes, alone on its line, and then its server is gone.
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
        ("[\u{c}", "]"),
        ("[", "\u{c}]"),
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
        r#"{"jsonrpc":"2.0","id":1,"result":NaN}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":{"a":-NaN}}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":{"a":nan}}"#,
        r#"{"id":1,"error":{"code":1,"message":"m"}}"#,
    ] {
        assert_eq!(answered(line), ("server_gone".to_owned(), 1), "{line}");
    }
}

/// Both SDKs refuse these, in whichever string.
const FLAWS: [&str; 10] =
    ["\t", "\u{1}", "\0", "\r", "\u{1f}", r"\x41", r"\u12", r"\u12G4", r"\'", r"\U0041"];

#[test]
fn a_flaw_in_a_string_spoils_the_whole_answer() {
    let long = "x".repeat(200);
    for flaw in FLAWS {
        let deep = "[".repeat(250) + &format!("\"{flaw}\"") + &"]".repeat(250);
        for (result, beside) in [
            (format!(r#"{{"t":"a{flaw}b"}}"#), String::new()),
            (format!(r#"{{"t{flaw}":1}}"#), String::new()),
            (format!(r#"{{"t":[[{{"a":["{long}{flaw}"]}}]]}}"#), String::new()),
            (format!(r#"{{"content":[{{"{flaw}{long}":1}}]}}"#), String::new()),
            (format!(r#"{{"_meta":{{"x":"{flaw}"}}}}"#), String::new()),
            (format!(r#"{{"requestState":"{long}{flaw}{long}"}}"#), String::new()),
            (format!(r#"{{"a":{deep}}}"#), String::new()),
            ("{}".to_owned(), format!(r#","x":"{flaw}""#)),
            ("{}".to_owned(), format!(r#","{flaw}":1"#)),
            ("{}".to_owned(), format!(r#","id":"1{flaw}""#)),
            ("{}".to_owned(), format!(r#","jsonrpc":"2.0{flaw}""#)),
            ("{}".to_owned(), format!(r#","error":{{"code":1,"message":"{flaw}"}}"#)),
        ] {
            let line = format!(r#"{{"jsonrpc":"2.0","id":1,"result":{result}{beside}}}"#);
            assert_eq!(answered(&line), ("server_gone".to_owned(), 1), "{line:?}");
            // One entry of a batch spoils the others.
            let line = format!(r#"[{{"jsonrpc":"2.0","id":1,"result":{{}}}},{line}]"#);
            assert_eq!(answered(&line), ("server_gone".to_owned(), 2), "{line:?}");
        }
    }
}

#[test]
fn a_flawed_answer_is_none_in_either_era_and_the_call_waits_for_another() {
    let modern = r#"{"id":1,"method":"tools/call","params":{"name":"t","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}"#;
    let legacy = r#"{"id":1,"method":"tools/call","params":{"name":"t"}}"#;
    for (call, flaw) in [modern, legacy].into_iter().flat_map(|call| FLAWS.map(|flaw| (call, flaw)))
    {
        let mut tap = Tap::new();
        tap.c(call).s(&format!(r#"{{"id":1,"result":{{"content":[{{"text":"{flaw}"}}]}}}}"#));
        let counts = tap.counts();
        assert_eq!((counts.in_flight, counts.junk, counts.answers), (1, 1, 0), "{flaw:?}");
        tap.ok(1);
        assert_eq!(tap.outcomes(), pairs(&[("1", "ok")]));
    }
}

#[test]
fn a_flawed_request_waits_for_its_answer_and_is_counted() {
    for (at, flaw) in FLAWS.iter().enumerate() {
        let mut tap = Tap::new();
        let line = match at % 3 {
            0 => format!(r#"{{"id":1,"method":"ping","x":"{flaw}"}}"#),
            1 => format!(r#"{{"id":1,"method":"ping","params":{{"{flaw}":[1]}}}}"#),
            _ => format!(r#"{{"id":1,"method":"ping","params":{{"a":["{flaw}"]}}}}"#),
        };
        tap.c(&line);
        let counts = tap.counts();
        assert_eq!((counts.in_flight, counts.junk, counts.requests), (1, 1, 1), "{line:?}");
        assert_eq!(tap.end().outcomes(), pairs(&[("1", "server_gone")]));
    }
}

#[test]
fn a_long_answer_is_none_if_a_flaw_of_it_is_in_sight() {
    let filler = "x".repeat(5000);
    for (begin, end, outcome) in [
        ("", "", "ok"),
        (r"\n", r"\u00e9", "ok"),
        ("\t", "", "server_gone"),
        (r"\x", "", "server_gone"),
        ("\u{1}", r"\\", "server_gone"),
        ("", r"\x", "server_gone"),
        ("", "\t", "server_gone"),
        ("", r"\u12", "server_gone"),
    ] {
        for result in [
            format!(r#"{{"a":"{begin}{filler}","b":"{end}"}}"#),
            format!(r#"{{"a":["{begin}{filler}"],"b":["{end}"]}}"#),
        ] {
            let mut tap = Tap::with(Settings { max_message_bytes: 100, ..Settings::default() });
            tap.call(1).s(&format!(r#"{{"id":1,"result":{result}}}"#));
            assert_eq!(tap.end().outcomes(), pairs(&[("1", outcome)]), "{begin:?} {end:?}");
        }
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
        (r#"{"jsonrpc":"2.0","id":1,"result":{"a":NaN,"b":Infinity,"c":-Infinity}}"#, "ok"),
        (
            r#"{"jsonrpc":"2.0","id":1,"result":{"_meta":{"a":NaN},"isError":NaN,"taskId":NaN}}"#,
            "ok",
        ),
        (r#"{"jsonrpc":"2.0","id":1,"result":{"x":-Infinity},"x":NaN}"#, "ok"),
        (
            r#"{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"m","data":NaN}}"#,
            "protocol_error",
        ),
        (r#"{"jsonrpc":"2.0","id":1,"result":{"a":"\ud800"}}"#, "ok"),
        (r#"{"jsonrpc":"2.0","id":1,"result":{"\uDC00":["\ud800\u0041"]}}"#, "ok"),
        ("{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\t\"a\":\t[\r\"\u{7f}\u{2028}\"]}}", "ok"),
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
