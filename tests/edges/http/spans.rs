//! What the spans say: sessions, failures of HTTP, who called whom.

use super::tap::tap;
use crate::origin::{Origin, result_for};
use crate::spans::attribute;

#[test]
fn failures_of_http_become_spans_with_their_reason() {
    let origin = Origin::serve(|mut conn| {
        while let Some(asked) = conn.asked() {
            conn.body(&asked);
            let status =
                asked.line.split('/').nth(1).unwrap().split(' ').next().unwrap().to_owned();
            conn.write(format!(
                "HTTP/1.1 {status} X\r\ncontent-type: text/html\r\ncontent-length: 6\r\n\r\n<html>"
            ));
        }
    });
    let tap = tap(&origin.url(), "");
    for (status, id) in
        [("401", 1), ("403", 2), ("404", 3), ("429", 4), ("500", 5), ("503", 6), ("200", 7)]
    {
        let body = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/list"}}"#);
        assert_eq!(tap.ask(&format!("POST /{status}"), &body).status.to_string(), status);
    }
    let end = tap.end();
    let mut rows: Vec<_> = end
        .spans
        .iter()
        .map(|span| {
            let of = |key| attribute(span, key).unwrap_or_default();
            format!(
                "{} {} {}",
                of("http.response.status_code"),
                of("mcpcol.outcome"),
                of("error.type")
            )
        })
        .collect();
    rows.sort();
    assert_eq!(
        rows,
        [
            "200 protocol_error _OTHER",
            "401 auth 401",
            "403 auth 403",
            "404 client_error 404",
            "429 rate_limited 429",
            "500 server_gone 500",
            "503 server_gone 503",
        ]
    );
}

#[test]
fn one_session_over_many_connections_is_one_session() {
    let origin = Origin::serve(|mut conn| {
        while let Some(asked) = conn.asked() {
            let body = conn.body(&asked);
            let result = if body.windows(10).any(|w| w == b"initialize") {
                r#"{"jsonrpc":"2.0","id":0,"result":{"protocolVersion":"2025-06-18","serverInfo":{"name":"s","version":"1"}}}"#.to_owned()
            } else {
                result_for(&body)
            };
            conn.write(format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nmcp-session-id: s-1\r\ncontent-length: {}\r\n\r\n{result}",
                result.len()
            ));
        }
    });
    let tap = tap(&origin.url(), "workers: 2\ntrace: session");
    let hello = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","clientInfo":{"name":"c","version":"2"}}}"#;
    assert_eq!(tap.post(hello).status, 200);
    for id in 1..5 {
        let ping = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ping"}}"#);
        assert_eq!(tap.ask("POST /mcp\nMCP-Session-Id: s-1", &ping).status, 200);
    }
    let end = tap.end();
    assert_eq!(end.spans.len(), 5);
    let first = attribute(&end.spans[0], "mcpcol.session.id");
    for span in &end.spans {
        assert_eq!(attribute(span, "mcpcol.session.id"), first);
        assert_eq!(span["traceId"], end.spans[0]["traceId"], "the handshake's, too");
        assert_eq!(attribute(span, "mcp.protocol.version").as_deref(), Some("2025-06-18"));
        assert_eq!(attribute(span, "mcpcol.client.name").as_deref(), Some("c"));
    }
}

/// A long answer is observed at both ends. Plain and as an event, in both eras.
#[test]
fn an_error_that_may_stand_in_the_middle_of_a_long_answer_is_a_doubt() {
    let big = "x".repeat(200_000);
    let content = format!(r#""content":[{{"type":"text","text":"{big}"}}]"#);
    let structured = format!(r#""structuredContent":{{"a":"{big}"}}"#);
    let complete = r#""isError":false,"resultType":"complete""#;
    let results = [
        (format!("{content},{structured},{complete}"), "ok", false),
        (format!(r#"{content},"isError":true"#), "tool_error", false),
        (content.clone(), "ok", false),
        (format!(r#"{content},"isError":true,{structured}"#), "ok", true),
    ];
    for (result, outcome, doubtful) in results {
        let origin = Origin::serve(move |mut conn| {
            while let Some(asked) = conn.asked() {
                conn.body(&asked);
                let answer = format!(r#"{{"jsonrpc":"2.0","id":1,"result":{{{result}}}}}"#);
                if asked.line.contains("/events") {
                    conn.stream();
                    conn.event(&answer);
                    conn.chunk("");
                } else {
                    conn.json(&answer);
                }
            }
        });
        let tap = tap(&origin.url(), "max_message_bytes: 65536");
        let modern = r#","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}"#;
        for era in ["", modern] {
            let call = format!(
                r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"t"{era}}}}}"#
            );
            for path in ["/json", "/events"] {
                assert!(tap.ask(&format!("POST {path}"), &call).body.len() > big.len());
            }
        }
        let end = tap.end();
        assert_eq!(end.spans.len(), 4);
        for span in &end.spans {
            let of = |key| attribute(span, key).unwrap_or_default();
            assert_eq!(
                (of("mcpcol.outcome").as_str(), of("mcpcol.observed").as_str()),
                (outcome, "cut")
            );
            assert_eq!(of("mcpcol.doubtful") == "true", doubtful);
        }
    }
}
