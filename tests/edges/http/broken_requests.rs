//! A request whose body breaks off is its client's fault, and the upstream never takes it for a whole one.

use std::io::Read;
use std::net::{Shutdown, TcpListener};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, sync_channel};

use super::tap::{End, Tap, tap, with_routes};
use crate::client::Client;
use crate::origin::Origin;
use crate::spans::attribute;

const CALL: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
const SETTINGS: [&str; 2] = ["", "propagate: inject"];

/// An origin that reads all that comes by a connection, tells it, and answers nothing.
fn reading() -> (Origin, Receiver<String>) {
    let (tell, told) = sync_channel(10);
    let tell = Mutex::new(tell);
    let origin = Origin::serve(move |mut conn| {
        let mut all = Vec::new();
        conn.get_mut().read_to_end(&mut all).ok();
        tell.lock().unwrap().send(String::from_utf8(all).unwrap()).unwrap();
    });
    (origin, told)
}

fn begin(tap: &Tap, head: &str, body: &str) -> Client {
    let mut client = tap.connect();
    client.send(format!(
        "POST /mcp HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\n{head}\r\n\r\n{body}",
        tap.address
    ));
    client
}

fn chunk(text: &str) -> String {
    format!("{:x}\r\n{text}\r\n", text.len())
}

fn blames_nobody(end: &End) {
    assert!(!end.log.contains("no answer from the upstream"), "{}", end.log);
    assert!(!end.outcomes().iter().any(|outcome| outcome.ends_with("server_gone")));
}

#[test]
fn chunks_that_cannot_be_read_are_a_bad_request() {
    for settings in SETTINGS {
        for broken in
            ["zz\r\n", "\r\n", "1\r\nxyz\r\n", "ffffffffffffffffff\r\n", "0\r\nno field\r\n\r\n"]
        {
            let (origin, told) = reading();
            let tap = tap(&origin.url(), settings);
            let body = chunk(CALL) + broken;
            let answer = begin(&tap, "transfer-encoding: chunked", &body).answer();
            assert_eq!(answer.status, 400, "{broken:?} {settings}");
            assert!(answer.text().contains("broke off"), "{}", answer.text());
            let end = tap.end();
            blames_nobody(&end);
            assert!(end.log.contains("a request was refused"), "{}", end.log);
            assert_eq!(end.outcomes(), ["tools/list client_error"], "{broken:?} {settings}");
            assert_eq!(attribute(&end.spans[0], "error.type").as_deref(), Some("400"));
            for all in told.try_iter() {
                assert!(!all.ends_with("0\r\n\r\n"), "{all}");
            }
        }
    }
}

#[test]
fn a_client_that_stops_in_the_middle_is_not_the_upstreams_failure() {
    for settings in SETTINGS {
        for (head, body) in [
            ("transfer-encoding: chunked", chunk(CALL)),
            ("transfer-encoding: chunked", "ff\r\n{\"jsonrpc\"".to_owned()),
            ("content-length: 100", CALL.to_owned()),
        ] {
            let (origin, told) = reading();
            let tap = tap(&origin.url(), settings);
            let mut client = begin(&tap, head, &body);
            client.0.get_ref().shutdown(Shutdown::Write).unwrap();
            assert_eq!(client.answer().status, 400, "{head} {settings}");
            blames_nobody(&tap.end());
            for all in told.try_iter() {
                assert!(!all.ends_with("0\r\n\r\n"), "{all}");
            }
        }
    }
}

/// Also while the upstream is being connected to, and without waiting for that.
#[test]
fn a_broken_request_does_not_wait_for_its_upstream() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let routes = format!(
        "[{{ upstream: \"http://{}/\", protocol: http2, connect_timeout: 1h }}]",
        silent.local_addr().unwrap()
    );
    let tap = with_routes(&routes, "");
    let body = chunk(CALL) + "zz\r\n";
    assert_eq!(begin(&tap, "transfer-encoding: chunked", &body).answer().status, 400);
    let end = tap.end();
    blames_nobody(&end);
    assert_eq!(end.outcomes(), ["tools/list client_error"]);
}

/// Where the response has begun, its break is the client's doing.
#[test]
fn a_request_that_breaks_off_after_its_response_has_begun() {
    let origin = Origin::serve(|mut conn| {
        let asked = conn.asked().unwrap();
        assert_eq!(asked.header("transfer-encoding"), Some("chunked"));
        conn.stream();
        conn.event("{}");
        conn.get_mut().read_to_end(&mut Vec::new()).ok();
    });
    let tap = tap(&origin.url(), "");
    let mut client = begin(&tap, "transfer-encoding: chunked", "");
    assert_eq!(client.head().0, 200);
    assert!(!client.chunk().is_empty());
    client.send(chunk(CALL) + "zz\r\n");
    client.0.read_to_end(&mut Vec::new()).ok();
    blames_nobody(&tap.end());
}
