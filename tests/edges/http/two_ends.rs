//! Answers whose end is in doubt: such a connection serves nobody else, and no client is told of two ends.

use std::sync::Mutex;
use std::sync::mpsc::sync_channel;

use super::tap::{Tap, tap};
use crate::origin::{Origin, result_for};

const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
const CHUNKS: &str = "2\r\n{}\r\n0\r\n\r\n";

/// An origin that answers each request with that, and a tap that keeps its connections.
fn answering(answer: String) -> (Origin, Tap) {
    let origin = Origin::serve(move |mut conn| {
        while let Some(asked) = conn.asked() {
            conn.body(&asked);
            conn.write(&answer);
        }
    });
    let tap = tap(&origin.url(), "workers: 1");
    (origin, tap)
}

#[test]
fn length_and_chunks_in_one_head_end_the_connection() {
    for fields in [
        "content-length: 2\r\ntransfer-encoding: chunked",
        "transfer-encoding: chunked\r\ncontent-length: 9",
        "transfer-encoding: chunked\r\nkeep-alive: timeout=60\r\ncontent-length: 2",
    ] {
        let (origin, tap) = answering(format!("HTTP/1.1 200 OK\r\n{fields}\r\n\r\n{CHUNKS}"));
        for _ in 0..2 {
            let answer = tap.post(PING);
            assert_eq!((answer.status, answer.text()), (200, "{}"), "{fields}");
            assert_eq!(answer.header("content-length"), None, "{fields}");
        }
        assert_eq!(origin.connections(), 2, "{fields}");
    }
}

/// RFC 9110 section 8.6 and RFC 9112 section 6.1: neither stands in the head of a 204.
#[test]
fn a_body_where_there_is_none_ends_the_connection() {
    for (fields, connections) in [
        ("content-length: 5\r\n\r\n", 2),
        ("content-length: 5\r\n\r\nhello", 2),
        ("transfer-encoding: chunked\r\n\r\n", 2),
        ("content-length: 0\r\n\r\n", 1),
        ("x: y\r\n\r\n", 1),
    ] {
        let (origin, tap) = answering(format!("HTTP/1.1 204 No Content\r\n{fields}"));
        for _ in 0..2 {
            let answer = tap.post(PING);
            assert_eq!(answer.status, 204, "{fields}");
            assert!(answer.header("content-length").is_none_or(|length| length == "0"), "{fields}");
            assert_eq!(answer.header("transfer-encoding"), None, "{fields}");
        }
        assert_eq!(origin.connections(), connections, "{fields}");
    }
}

#[test]
fn a_head_that_peers_read_differently_is_a_bad_gateway() {
    for (fields, body) in [
        ("content-length: 2\r\ncontent-length: 3", "{}"),
        ("content-length: 2, 3", "{}"),
        ("content-length: +2", "{}"),
        ("content-length: -2", "{}"),
        ("content-length: 0x2", "{}"),
        ("content-length: 99999999999999999999", "{}"),
        ("content-length : 2", "{}"),
        ("x-a: 1\r\n content-length: 2", "{}"),
        ("x-a: 1\r\n\tb", "{}"),
        ("transfer-encoding: chunked\r\ntransfer-encoding: chunked", CHUNKS),
        ("transfer-encoding: chunked, chunked", CHUNKS),
        ("transfer-encoding: gzip, chunked", CHUNKS),
        ("transfer-encoding: xchunked", CHUNKS),
    ] {
        let (_, tap) = answering(format!("HTTP/1.1 200 OK\r\n{fields}\r\n\r\n{body}"));
        assert_eq!(tap.post(PING).status, 502, "{fields}");
        assert!(tap.end().log.contains("no answer from the upstream"), "{fields}");
    }
}

/// RFC 9112 section 6.3: one length said twice is one.
#[test]
fn a_length_that_is_said_twice_is_said_once() {
    for fields in ["content-length: 2\r\ncontent-length: 2", "content-length: 2, 2"] {
        let (_, tap) = answering(format!("HTTP/1.1 200 OK\r\n{fields}\r\n\r\n{{}}"));
        let answer = tap.post(PING);
        assert_eq!((answer.all("content-length"), answer.text()), (vec!["2"], "{}"), "{fields}");
    }
}

/// What comes by a connection that waits is nobody's answer.
#[test]
fn what_stands_behind_an_answer_is_not_the_next_one() {
    const FORGED: &str = "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nforged";
    for at_once in [true, false] {
        let ((send, go), (sent, done)) = (sync_channel::<()>(1), sync_channel(1));
        let (go, sent) = (Mutex::new(go), Mutex::new(sent));
        let origin = Origin::serve(move |mut conn| {
            while let Some(asked) = conn.asked() {
                let result = result_for(&conn.body(&asked));
                let length = result.len();
                let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{result}");
                if at_once {
                    conn.write(answer + FORGED);
                } else {
                    conn.write(answer);
                    go.lock().unwrap().recv().ok();
                    conn.write(FORGED);
                }
                sent.lock().unwrap().send(()).ok();
            }
        });
        let tap = tap(&origin.url(), "workers: 1");
        for _ in 0..2 {
            let answer = tap.post(PING);
            assert!(answer.text().contains("\"id\":1"), "{}", answer.text());
            if !at_once {
                send.send(()).unwrap();
            }
            done.recv().unwrap();
        }
        assert_eq!(origin.connections(), 2);
    }
}
