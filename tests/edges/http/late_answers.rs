//! Calls that are answered on the stream of their session, and responses that answer nothing.

use std::sync::Mutex;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Instant;

use super::tap::{Tap, tap};
use crate::client::{Answer, Client};
use crate::origin::{Conn, Origin};
use crate::process::eventually;
use crate::spans::attribute;

const HELLO: &str = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"c","version":"1"}}}"#;
const CALL: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"slow","arguments":{"a":1}}}"#;
const RESULT: &str = r#"{"jsonrpc":"2.0","id":1,"result":{"content":[]}}"#;
const IN_SESSION: &str = "mcp-session-id: s-1\nmcp-protocol-version: 2025-06-18";

/// A server that answers calls with `status` and no body, and sends on the session's stream what it is
/// told; an empty text ends the stream.
fn accepting(status: &'static str) -> (Origin, SyncSender<&'static str>) {
    let (say, said) = sync_channel::<&str>(100);
    let said = Mutex::new(said);
    let origin = Origin::serve(move |mut conn| {
        while let Some(asked) = conn.asked() {
            let body = conn.body(&asked);
            match asked.line.split(' ').next().unwrap() {
                "GET" => return stream(&mut conn, || said.lock().unwrap().recv().unwrap_or("")),
                _ if body.ends_with(HELLO.as_bytes()) => conn.write(hello()),
                _ => conn.write(format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\n\r\n")),
            }
        }
    });
    (origin, say)
}

fn hello() -> String {
    let body = r#"{"jsonrpc":"2.0","id":0,"result":{"protocolVersion":"2025-06-18","capabilities":{},"serverInfo":{"name":"s","version":"1"}}}"#;
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nmcp-session-id: s-1\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn stream(conn: &mut Conn, mut next: impl FnMut() -> &'static str) {
    conn.stream();
    conn.chunk(": open\n\n");
    loop {
        match next() {
            "" => return conn.chunk(""),
            data => conn.event(data),
        }
    }
}

/// The session's stream, which is open.
fn listen(tap: &Tap) -> Client {
    let mut client = tap.connect();
    client.send(tap.request(&format!("GET /mcp\naccept: text/event-stream\n{IN_SESSION}"), ""));
    assert_eq!(client.head().0, 200);
    assert_eq!(client.chunk(), b": open\n\n");
    client
}

fn call(tap: &Tap) -> Answer {
    tap.ask(&format!("POST /mcp\ncontent-type: application/json\n{IN_SESSION}"), CALL)
}

fn nanos(span: &serde_json::Value, key: &str) -> u128 {
    span[key].as_str().unwrap().parse().unwrap()
}

/// Plain and edited, however the request was accepted, whether the stream was there before it or not.
#[test]
fn an_answer_on_the_stream_of_the_session_is_the_answer() {
    for settings in ["", "propagate: inject\npassback: { request: true }"] {
        for (status, before) in [("202", true), ("202", false), ("200", true), ("204", false)] {
            let (origin, say) = accepting(status);
            let tap = tap(&origin.url(), settings);
            assert_eq!(tap.post(HELLO).status, 200);
            let early = before.then(|| listen(&tap));
            assert_eq!(call(&tap).status.to_string(), status);
            let accepted = Instant::now();
            let mut client = early.unwrap_or_else(|| listen(&tap));
            let waited = accepted.elapsed();
            say.send(RESULT).unwrap();
            let event = String::from_utf8(client.chunk()).unwrap();
            assert_eq!(event, format!("event: message\ndata: {RESULT}\n\n"));
            let end = tap.end();
            let calls = end.spans.iter().filter(|span| span["kind"] == 3);
            let calls: Vec<_> = calls.filter(|span| span["name"] == "tools/call slow").collect();
            assert_eq!(calls.len(), 1, "{:?}", end.outcomes());
            let of = |key| attribute(calls[0], key).unwrap_or_default();
            assert_eq!((of("mcpcol.outcome"), of("error.type")), ("ok".into(), String::new()));
            assert_eq!(of("mcpcol.response.size"), RESULT.len().to_string());
            assert!(
                of("mcpcol.arguments.digest").starts_with("hmac-sha256:"),
                "{end:?}",
                end = of("mcpcol.arguments.digest")
            );
            let took = nanos(calls[0], "endTimeUnixNano") - nanos(calls[0], "startTimeUnixNano");
            assert!(took >= waited.as_nanos(), "{took} {waited:?}");
        }
    }
}

#[test]
fn a_stream_that_ends_takes_the_calls_that_wait_for_it_along() {
    let (origin, say) = accepting("202");
    let tap = tap(&origin.url(), "");
    assert_eq!(tap.post(HELLO).status, 200);
    let mut client = listen(&tap);
    assert_eq!(call(&tap).status, 202);
    say.send("").unwrap();
    assert!(client.chunk().is_empty());
    assert_eq!(tap.end().outcomes(), ["initialize ok", "tools/call server_gone"]);
}

#[test]
fn a_call_that_nobody_answers_times_out_when_it_was_told_to() {
    let (origin, say) = accepting("202");
    let tap = tap(&origin.url(), "request_timeout: 1s");
    assert_eq!(tap.post(HELLO).status, 200);
    let mut client = listen(&tap);
    assert_eq!(call(&tap).status, 202);
    eventually("the span comes when the time is over", || tap.written().contains("\"timeout\""));
    say.send(RESULT).unwrap();
    assert!(!client.chunk().is_empty());
    let end = tap.end();
    assert_eq!(end.outcomes(), ["initialize ok", "tools/call timeout"]);
    let took = |span| nanos(span, "endTimeUnixNano") - nanos(span, "startTimeUnixNano");
    assert!(took(&end.spans[1]) >= 1_000_000_000);
}

#[test]
fn a_live_server_that_answers_nothing_breaks_the_protocol() {
    let origin = Origin::serve(|mut conn| {
        while let Some(asked) = conn.asked() {
            conn.body(&asked);
            let status = asked.line.split(['/', ' ']).nth(2).unwrap().to_owned();
            let rest = match status.as_str() {
                "204" => "",
                "200" => "content-type: application/json\r\ncontent-length: 0\r\n",
                "201" => "content-type: text/event-stream\r\ncontent-length: 0\r\n",
                _ => "content-length: 0\r\n",
            };
            conn.write(format!("HTTP/1.1 {status} X\r\n{rest}\r\n"));
        }
    });
    let tap = tap(&origin.url(), "workers: 1");
    let modern = CALL.replace(
        r#""arguments""#,
        r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"},"arguments""#,
    );
    for body in [CALL, &modern] {
        for status in ["200", "201", "204", "202"] {
            let answer = tap.ask(&format!("POST /{status}"), body);
            assert_eq!((answer.status.to_string().as_str(), answer.text()), (status, ""));
        }
    }
    assert_eq!(origin.connections(), 1, "it lives");
    let end = tap.end();
    // A legacy 202 without a session may be answered on a stream that began before the tap did.
    assert_eq!(end.outcomes(), ["tools/call protocol_error"; 7]);
    assert!(end.books().contains("gap=1"), "{}", end.books());
}
