//! Streams: every event at once, every end passed on, nothing closed on our account.

use std::sync::Mutex;
use std::sync::mpsc::{SyncSender, sync_channel};

use super::tap::{tap, with_exporter, with_routes};
use crate::client::Client;
use crate::origin::{Conn, Origin};
use crate::process::eventually;
use crate::spans::attribute;

const CALL: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"slow"}}"#;
const MODERN: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"slow","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}"#;

/// A POST whose response has begun, on a connection of its own.
fn begun(tap: &super::tap::Tap, head: &str, body: &str) -> Client {
    let mut client = tap.connect();
    client.send(tap.request(head, body));
    let (status, headers) = client.head();
    assert_eq!(status, 200);
    assert!(headers.contains(&("content-type".into(), "text/event-stream".into())));
    client
}

/// An origin that sends an event, in two pieces, whenever it is told to go on.
fn piece_by_piece() -> (Origin, SyncSender<()>) {
    let (next, go) = sync_channel::<()>(100);
    let go = Mutex::new(go);
    let origin = Origin::serve(move |mut conn| {
        let asked = conn.asked().unwrap();
        conn.body(&asked);
        conn.stream();
        while go.lock().unwrap().recv().is_ok() {
            conn.chunk("event: message\nda");
            go.lock().unwrap().recv().unwrap();
            conn.chunk("ta: {}\n\n");
        }
        conn.chunk("");
    });
    (origin, next)
}

/// The second piece of an event is sent after the first has arrived, and the next event after both.
fn reads_piece_by_piece(client: &mut Client, next: &SyncSender<()>, events: usize) {
    for _ in 0..events {
        next.send(()).unwrap();
        assert_eq!(client.chunk(), b"event: message\nda");
        next.send(()).unwrap();
        assert_eq!(client.chunk(), b"ta: {}\n\n");
    }
}

#[test]
fn an_event_reaches_the_client_when_the_server_sent_it() {
    let (origin, next) = piece_by_piece();
    let tap = tap(&origin.url(), "");
    let mut client = begun(&tap, "POST /mcp", CALL);
    reads_piece_by_piece(&mut client, &next, 50);
    drop(next);
    assert_eq!(client.chunk(), b"");
}

#[test]
fn an_event_reaches_the_client_also_where_nobody_takes_the_spans() {
    let (origin, next) = piece_by_piece();
    let dead = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let tap = with_exporter(&origin.url(), SMALL_QUEUE, &stuck(&dead));
    let mut client = begun(&tap, "POST /mcp", CALL);
    reads_piece_by_piece(&mut client, &next, 2000);
}

#[test]
fn a_stream_may_be_silent_for_longer_than_anything_else() {
    let (origin, next) = piece_by_piece();
    let route = format!("[{{ upstream: \"{}\", idle_timeout: 50ms }}]", origin.url());
    let tap = with_routes(&route, "read_header_timeout: 50ms");
    let mut client = begun(&tap, "POST /mcp", CALL);
    for _ in 0..3 {
        reads_piece_by_piece(&mut client, &next, 1);
        for _ in 0..5 {
            assert!(tap.connect().is_closed(), "one that asks nothing is let go by then");
        }
    }
    reads_piece_by_piece(&mut client, &next, 1);
}

/// As little as may wait for the observer.
const SMALL_QUEUE: &str = "queue_size: 262144\nmax_message_bytes: 4096";

/// An exporter to somebody who takes connections and says nothing, with a queue that is full at once.
fn stuck(dead: &std::net::TcpListener) -> String {
    format!(
        "otlp_grpc: {{ endpoint: \"{}\", tls: {{ insecure: true }}, sending_queue: {{ queue_size: 1 }} }}",
        dead.local_addr().unwrap()
    )
}

#[test]
fn a_client_that_goes_takes_its_upstream_request_with_it() {
    let (tell, told) = sync_channel(100);
    let tell = Mutex::new(tell);
    let origin = Origin::serve(move |mut conn| {
        let asked = conn.asked().unwrap();
        conn.body(&asked);
        if asked.line.contains("/stream") {
            conn.stream();
            conn.event(r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{}}"#);
        }
        tell.lock().unwrap().send("asked").unwrap();
        if conn.is_gone() {
            tell.lock().unwrap().send("gone").unwrap();
        }
    });
    let tap = tap(&origin.url(), "");
    // While there is no response yet, and in the middle of one.
    for path in ["/mcp", "/stream"] {
        let mut client = tap.connect();
        client.send(tap.request(&format!("POST {path}"), MODERN));
        assert_eq!(told.recv(), Ok("asked"));
        drop(client);
        assert_eq!(told.recv(), Ok("gone"), "{path}");
    }
    let end = tap.end();
    assert_eq!(end.outcomes(), ["tools/call cancelled"; 2]);
    assert!(end.spans.iter().all(|span| span["status"].get("code").is_none()), "no error");
}

#[test]
fn an_upstream_that_breaks_off_is_passed_on_as_that() {
    let origin = Origin::serve(|mut conn| {
        let asked = conn.asked().unwrap();
        conn.body(&asked);
        conn.stream();
        conn.event("{}");
    });
    let tap = tap(&origin.url(), "");
    let mut client = begun(&tap, "POST /mcp", MODERN);
    assert!(!client.chunk().is_empty());
    assert!(client.is_closed(), "and not an orderly end of the body");
    assert_eq!(tap.end().outcomes(), ["tools/call server_gone"]);
}

#[test]
fn progress_and_the_answer_are_read_out_of_a_stream() {
    let origin = Origin::serve(|mut conn: Conn| {
        let asked = conn.asked().unwrap();
        conn.body(&asked);
        conn.stream();
        conn.chunk(": hello\r\n\r\nid: 1\ndata:\n\n");
        conn.event(
            r#"{"method":"notifications/progress","params":{"progressToken":7,"progress":1}}"#,
        );
        conn.chunk(
            "data: {\"jsonrpc\":\"2.0\",\rdata: \"id\":1,\"result\":{\"isError\":true}}\r\r",
        );
        conn.chunk("");
    });
    let tap = tap(&origin.url(), "");
    let call = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"slow","_meta":{"progressToken":7}}}"#;
    let mut client = begun(&tap, "POST /mcp", call);
    while !client.chunk().is_empty() {}
    let end = tap.end();
    assert_eq!(end.outcomes(), ["tools/call tool_error"]);
    assert_eq!(end.spans[0]["events"].as_array().unwrap().len(), 1);
    let attribute = |key| attribute(&end.spans[0], key);
    assert_eq!(attribute("network.transport").as_deref(), Some("tcp"));
    assert_eq!(attribute("network.protocol.name").as_deref(), Some("http"));
    assert_eq!(attribute("network.protocol.version").as_deref(), Some("1.1"));
    assert_eq!(attribute("http.response.status_code").as_deref(), Some("200"));
    assert_eq!(attribute("server.address").as_deref(), Some("127.0.0.1"));
}

/// Law 1: nobody looks, nobody takes the spans, and the traffic does not notice.
#[test]
fn with_nobody_to_take_the_spans_everything_passes() {
    let origin = Origin::echo();
    let dead = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let tap = with_exporter(&origin.url(), SMALL_QUEUE, &stuck(&dead));
    let mut client = tap.connect();
    for n in 0..2000 {
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":{n},"method":"tools/call","params":{{"name":"t"}}}}"#
        );
        client.send(tap.request("POST /mcp", &body));
        let answer = client.answer();
        assert!(answer.text().contains(&format!("\"id\":{n},")), "{}", answer.text());
    }
    let end = tap.end();
    let number = |word: &str| -> u64 {
        let rest = end.books().split_once(&format!("{word}=")).unwrap().1;
        rest.split([' ', ')']).next().unwrap().parse().unwrap()
    };
    assert_eq!(number("received"), 2000, "{}", end.books());
    assert_eq!(number("received"), number("sent") + number("dropped") + number("held"));
}

#[test]
fn many_streams_are_open_at_once() {
    let origin = Origin::serve(|mut conn| {
        conn.asked();
        conn.stream();
        conn.event("{}");
        conn.is_gone();
    });
    let tap = tap(&origin.url(), "");
    let streams: Vec<_> = (0..200)
        .map(|_| {
            let mut stream = begun(&tap, "GET /mcp\naccept: text/event-stream", "");
            stream.chunk();
            stream
        })
        .collect();
    eventually("each has a connection of its own", || origin.connections() >= streams.len());
}
