//! Who may keep a place among the connections: who waits for a server, and nobody for whom all waits.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Mutex;
use std::sync::mpsc::sync_channel;
use std::thread;

use super::tap::{Tap, tap};
use crate::client::Client;
use crate::origin::{Origin, result_for};
use crate::process::eventually;

const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
/// More than all buffers between a server and its client take.
const MUCH: usize = 32 << 20;

/// The status that a client gets that comes now.
fn status(tap: &Tap, head: &str) -> Option<u16> {
    let mut client = tap.connect();
    // One that is turned away may be closed while it asks.
    client.0.get_mut().write_all(tap.request(head, PING).as_bytes()).ok()?;
    client.line().split(' ').nth(1)?.parse().ok()
}

/// Its one place is taken, and free again after a while.
fn gives_its_place_back(tap: &Tap, head: &str) {
    eventually("it is taken", || status(tap, head) == Some(503));
    eventually("it is free again", || status(tap, head) == Some(200));
}

/// An upstream that answers with much, with nothing, or as asked.
fn origin() -> Origin {
    Origin::serve(|mut conn| {
        while let Some(asked) = conn.asked() {
            if asked.line.contains("/much") {
                conn.write(format!("HTTP/1.1 200 OK\r\ncontent-length: {MUCH}\r\n\r\n"));
                conn.get_mut().write_all(&vec![b'x'; MUCH]).ok();
            } else if asked.line.contains("/short") {
                conn.write("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nshort");
            } else {
                let body = conn.body(&asked);
                conn.json(&result_for(&body));
            }
        }
    })
}

#[test]
fn who_is_refused_and_does_not_read_it_keeps_none() {
    let origin = origin();
    let token = ["let", "me", "in"].concat();
    let settings = format!(
        "max_connections: 1\nread_header_timeout: 300ms\nauth: {{ bearer_token: {token} }}"
    );
    let tap = tap(&origin.url(), &settings);
    let client = tap.connect();
    let mut sender = client.0.get_ref().try_clone().unwrap();
    let many = tap.request("GET /mcp", "").repeat(1000);
    let sending = thread::spawn(move || while sender.write_all(many.as_bytes()).is_ok() {});
    gives_its_place_back(&tap, &format!("POST /mcp\nauthorization: Bearer {token}"));
    sending.join().unwrap();
}

#[test]
fn who_takes_no_answer_and_who_ends_no_request_keeps_none() {
    let origin = origin();
    let settings = "max_connections: 1\nread_header_timeout: 100ms\nstall_timeout: 300ms";
    let tap = tap(&origin.url(), settings);
    for request in [
        tap.request("GET /much", ""),
        tap.request("POST /mcp\ncontent-length: 100", ""),
        tap.request("POST /mcp\ntransfer-encoding: chunked", ""),
    ] {
        let mut client = tap.connect();
        client.send(request);
        gives_its_place_back(&tap, "POST /mcp");
    }
}

#[test]
fn who_waits_for_a_server_keeps_it_however_long() {
    let (next, go) = sync_channel::<()>(1);
    let go = Mutex::new(go);
    let origin = Origin::serve(move |mut conn| {
        while let Some(asked) = conn.asked() {
            if asked.line.contains("/much") {
                conn.write(format!("HTTP/1.1 200 OK\r\ncontent-length: {MUCH}\r\n\r\n"));
                conn.get_mut().write_all(&vec![b'x'; MUCH]).ok();
            } else {
                conn.stream();
                conn.event("{}");
                go.lock().unwrap().recv().unwrap();
                conn.event("[]");
            }
        }
    });
    let tap = tap(&origin.url(), "read_header_timeout: 100ms\nstall_timeout: 300ms");
    let mut silent = tap.connect();
    silent.send(tap.request("GET /mcp", ""));
    assert_eq!(silent.head().0, 200);
    assert!(silent.chunk().ends_with(b"{}\n\n"));
    for _ in 0..2 {
        // One that reads nothing has been let go by then.
        let mut stuck = tap.connect();
        stuck.send(tap.request("GET /much", ""));
        assert_eq!(stuck.head().0, 200);
        eventually("it is cut", || origin.connections() > 0 && is_cut(&tap, stuck.0.get_ref()));
    }
    next.send(()).unwrap();
    assert!(silent.chunk().ends_with(b"[]\n\n"));
}

/// Whether the tap's end of that connection is gone.
#[cfg(target_os = "linux")]
fn is_cut(tap: &Tap, stream: &TcpStream) -> bool {
    let hex = |address: std::net::SocketAddr| format!("0100007F:{:04X}", address.port());
    let (ours, theirs) = (hex(stream.local_addr().unwrap()), hex(tap.address.parse().unwrap()));
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let mut lines = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    !lines.any(|fields| fields[1] == theirs && fields[2] == ours && fields[3] == "01")
}

#[cfg(not(target_os = "linux"))]
fn is_cut(_: &Tap, stream: &TcpStream) -> bool {
    stream.peek(&mut [0]).is_err()
}

fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).unwrap();
    [&[0, 0, length, kind, flags, 0, 0, 0, stream], payload].concat()
}

/// Reads frames, answers pings, and nothing else.
fn pong(client: Client) {
    let (mut read, mut head) = (client.0, [0; 9]);
    while read.read_exact(&mut head).is_ok() {
        let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
        if read.read_exact(&mut payload).is_err() {
            return;
        }
        if head[3] == 6 && head[4] == 0 {
            read.get_mut().write_all(&frame(6, 1, 0, &payload)).ok();
        }
    }
}

#[test]
fn who_opens_no_window_over_http2_keeps_none() {
    let origin = origin();
    let settings = "max_connections: 1\nread_header_timeout: 100ms\nstall_timeout: 300ms";
    let tap = tap(&origin.url(), settings);
    // GET of the static table (RFC 7541), a path and an authority as literals.
    let head = |path: &str| {
        let length = |text: &str| u8::try_from(text.len()).unwrap();
        let host = &tap.address;
        [&[0x82, 0x86, 0x04, length(path)], path.as_bytes(), &[0x01, length(host)], host.as_bytes()]
            .concat()
    };
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    for path in ["/short", "/much", "/not\u{7f}there"] {
        let mut client = tap.connect();
        // SETTINGS_INITIAL_WINDOW_SIZE is 0.
        let no_window = frame(4, 0, 0, &[0, 4, 0, 0, 0, 0]);
        client.send([preface, &no_window[..], &frame(1, 5, 1, &head(path))].concat());
        let ponging = thread::spawn(move || pong(client));
        gives_its_place_back(&tap, "POST /mcp");
        ponging.join().unwrap();
    }
}
