//! Bodies whose `Content-Encoding` says little, or much: observed where they can be read, passed on as they
//! are anyway.

use std::io::Write;

use super::tap::{End, tap};
use crate::origin::Origin;

const RESULT: &str = r#"{"jsonrpc":"2.0","id":1,"result":{"isError":true}}"#;

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

/// Header lines, and how the body is packed.
const READABLE: [(&str, bool); 11] = [
    ("content-encoding: none", false),
    ("content-encoding: None", false),
    ("content-encoding: ", false),
    ("content-encoding: identity", false),
    ("content-encoding: identity, identity", false),
    ("content-encoding: identity, gzip", true),
    ("content-encoding: gzip, identity", true),
    ("content-encoding: identity\ncontent-encoding: GZIP", true),
    ("content-encoding: x-gzip", true),
    ("content-encoding: , gzip ,", true),
    ("content-encoding: gzip\ncontent-encoding: none", true),
];

/// What a server sends under `content-encoding` lines, and what is asked in the same.
fn exchange(lines: &str, body: &[u8], asked: &[u8]) -> End {
    let (head, answer) = (lines.replace('\n', "\r\n"), body.to_vec());
    let origin = Origin::serve(move |mut conn| {
        while let Some(asked) = conn.asked() {
            conn.body(&asked);
            conn.write(format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n{head}\r\ncontent-length: {}\r\n\r\n",
                answer.len()
            ));
            conn.write(&answer);
        }
    });
    let tap = tap(&origin.url(), "");
    let mut client = tap.connect();
    let head = format!("POST /mcp\n{lines}\ncontent-length: {}", asked.len());
    client.send(tap.request(&head, ""));
    client.send(asked);
    assert_eq!(client.answer().body, body, "{lines}");
    tap.end()
}

fn call(era: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"t"{era}}}}}"#)
}

#[test]
fn what_can_be_read_is() {
    let modern = r#","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}"#;
    for (lines, packed) in READABLE {
        for era in ["", modern] {
            let pack = |text: &str| if packed { gzip(text.as_bytes()) } else { text.into() };
            let end = exchange(lines, &pack(RESULT), &pack(&call(era)));
            assert_eq!(end.outcomes(), ["tools/call tool_error"], "{lines}");
        }
    }
}

#[test]
fn what_cannot_be_read_is_counted() {
    let twice = |text: &str| gzip(&gzip(text.as_bytes()));
    for lines in ["gzip, gzip", "gzip\ncontent-encoding: gzip", "gzip, br", "compress", "\u{fc}"] {
        let lines = format!("content-encoding: {lines}");
        let end = exchange(&lines, &twice(RESULT), &twice(&call("")));
        assert!(end.spans.is_empty(), "{lines}");
        assert!(end.books().starts_with("received=1 sent=0 dropped=1 (gap=1)"), "{}", end.books());
    }
}

/// There is nothing in it to be read.
#[test]
fn an_empty_body_is_empty_in_any_coding() {
    for coding in ["gzip", "compress", "gzip, gzip"] {
        let origin = Origin::serve(move |mut conn| {
            while let Some(asked) = conn.asked() {
                conn.body(&asked);
                conn.write(format!(
                    "HTTP/1.1 200 OK\r\ncontent-encoding: {coding}\r\ncontent-length: 0\r\n\r\n"
                ));
            }
        });
        let tap = tap(&origin.url(), "");
        assert_eq!(tap.post(&call("")).status, 200);
        assert_eq!(tap.end().outcomes(), ["tools/call protocol_error"], "{coding}");
    }
}
