//! Places that servers of HTTP+SSE (2024-11-05) name for messages are reached through the tap: the event
//! passes as it is, and what its client makes of it leads where it is meant.

use std::io::Write;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, sync_channel};

use flate2::Compression;
use flate2::write::GzEncoder;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::tap::{Tap, with_routes};
use crate::client::Client;
use crate::origin::{Conn, Origin, result_for};
use crate::process::eventually;

const LIST: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
/// More than the two ends of all connections of a test are, and what any system allows.
const DESCRIPTORS: u64 = 8192;
const UUID: &str = "3f2c9a8e-0c51-4b6f-9d2e-7a1b2c3d4e5f";

/// A server whose stream begins with `event`, packed or not, and brings the answers to posts; and what is
/// posted to.
fn old_server(event: &str, packed: bool) -> (Origin, Receiver<String>) {
    let ((reply, replies), (tell, told)) = (sync_channel(1), sync_channel(1));
    let (reply, replies, tell) = (Mutex::new(reply), Mutex::new(replies), Mutex::new(tell));
    let event = event.to_owned();
    let origin = Origin::serve(move |mut conn| {
        while let Some(asked) = conn.asked() {
            let body = conn.body(&asked);
            if asked.line.starts_with("GET ") {
                let mut stream = Stream::begin(&mut conn, packed);
                stream.send(&event);
                let answer: String = replies.lock().unwrap().recv().unwrap();
                stream.send(&format!("event: message\ndata: {answer}\n\n"));
                conn.is_gone();
            } else {
                tell.lock().unwrap().send(asked.line).unwrap();
                conn.write("HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n");
                reply.lock().unwrap().send(result_for(&body)).unwrap();
            }
        }
    });
    (origin, told)
}

struct Stream<'a> {
    conn: &'a mut Conn,
    encoder: Option<GzEncoder<Vec<u8>>>,
}

impl<'a> Stream<'a> {
    fn begin(conn: &'a mut Conn, packed: bool) -> Self {
        let coding = if packed { "content-encoding: gzip\r\n" } else { "" };
        conn.write(format!(
            "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n{coding}transfer-encoding: chunked\r\n\r\n"
        ));
        Stream { conn, encoder: packed.then(|| GzEncoder::new(Vec::new(), Compression::fast())) }
    }

    fn send(&mut self, text: &str) {
        let mut bytes = text.as_bytes().to_vec();
        if let Some(encoder) = &mut self.encoder {
            encoder.write_all(&bytes).unwrap();
            encoder.flush().unwrap();
            bytes = std::mem::take(encoder.get_mut());
        }
        self.conn.write([format!("{:x}\r\n", bytes.len()).as_bytes(), &bytes, b"\r\n"].concat());
    }
}

/// A client at `path` is told `place`, posts to `asked`, and the server at `upstream` is asked for `meant`.
struct Case<'a> {
    path: &'a str,
    upstream: &'a str,
    place: &'a str,
    asked: &'a str,
    meant: &'a str,
    packed: bool,
}

const RELATIVE: Case<'_> = Case {
    path: "/desk",
    upstream: "/a/sse",
    place: "messages?s=r",
    asked: "/messages?s=r",
    meant: "/a/messages?s=r",
    packed: false,
};

impl Case<'_> {
    fn holds(&self) {
        let Case { path, upstream, place, asked, meant, packed } = self;
        let event = format!("event: endpoint\ndata: {place}\n\n");
        let (origin, told) = old_server(&event, *packed);
        let route =
            format!("[{{ path: {path}, upstream: \"http://{}{upstream}\" }}]", origin.address);
        let tap = with_routes(&route, "");
        let mut stream = tap.connect();
        stream.send(tap.request(&format!("GET {path}\naccept: text/event-stream"), ""));
        assert_eq!(stream.head().0, 200);
        let first = stream.chunk();
        assert!(*packed || first == event.as_bytes(), "it passes as it is");
        assert_eq!(tap.ask(&format!("POST {asked}"), LIST).status, 202, "{place} {asked}");
        assert_eq!(told.recv().unwrap(), format!("POST {meant} HTTP/1.1"));
        let answer = stream.chunk();
        assert!(*packed || String::from_utf8(answer).unwrap().contains("\"id\":1"));
        drop(stream);
        let end = tap.end();
        assert_eq!(end.outcomes(), ["tools/list ok"], "{place} {asked}");
    }
}

/// Where tap and upstream differ in depth.
#[test]
fn a_relative_place_is_reached_where_it_is_meant() {
    for (path, upstream, place, asked, meant) in [
        ("/desk", "/a/sse", "messages?s=r", "/messages?s=r", "/a/messages?s=r"),
        ("/x/desk", "/sse", "messages?s=r", "/x/messages?s=r", "/messages?s=r"),
        ("/x/y/desk", "/a/b/sse", "../m?s=r", "/x/m?s=r", "/a/m?s=r"),
        ("/desk", "/a/sse", "?s=r", "/desk?s=r", "/a/sse?s=r"),
    ] {
        Case { path, upstream, place, asked, meant, ..RELATIVE }.holds();
    }
}

#[test]
fn a_session_may_stand_in_the_path() {
    let (place, asked, meant) = ("messages/abc123", "/messages/abc123", "/a/messages/abc123");
    Case { place, asked, meant, ..RELATIVE }.holds();
}

/// Node and Python percent-encode alike mostly, and take out dots each in its way.
#[test]
fn a_place_is_reached_whichever_client_asks_for_it() {
    for (place, asked, meant) in [
        ("my m\u{e9}\"?s=a b", "/my%20m%C3%A9%22?s=a%20b", "/a/my%20m%C3%A9%22?s=a%20b"),
        ("x/%2e%2e/m?s='r'", "/m?s=%27r%27", "/a/m?s=%27r%27"),
        ("x/%2e%2e/m?s='r'", "/x/%2e%2e/m?s='r'", "/a/m?s=%27r%27"),
    ] {
        Case { place, asked, meant, ..RELATIVE }.holds();
    }
}

#[test]
fn a_stream_that_is_packed_names_its_place_too() {
    Case { packed: true, ..RELATIVE }.holds();
}

/// A server that names it must not have what is for that origin.
#[test]
fn a_place_beside_a_route_to_a_whole_origin_is_that_origins() {
    for place in [format!("messages?s={UUID}"), format!("/tenants/{UUID}/mcp")] {
        let (old, told) = old_server(&format!("event: endpoint\ndata: {place}\n\n"), false);
        let other = Origin::echo();
        let routes = format!(
            "[{{ path: /desk, upstream: \"http://{}/a/sse\" }}, {{ upstream: \"{}\" }}]",
            old.address,
            other.url()
        );
        let tap = with_routes(&routes, "");
        let mut stream = tap.connect();
        stream.send(tap.request("GET /desk\naccept: text/event-stream", ""));
        assert_eq!(stream.head().0, 200);
        stream.chunk();
        let asked = format!("POST /{}", place.trim_start_matches('/'));
        assert_eq!(tap.ask(&asked, LIST).status, 200, "{place}");
        assert_eq!(other.connections(), 1);
        assert!(told.try_recv().is_err(), "{place}");
        drop(stream);
        tap.end();
    }
}

/// The stream stays with the receiver that a reload retires, and what its client posts comes to the new one.
#[test]
fn a_place_is_reached_after_a_reload() {
    let (origin, told) = old_server("event: endpoint\ndata: messages?s=r\n\n", false);
    let upstream = format!("upstream: \"http://{}/a/sse\"", origin.address);
    let mut tap = with_routes(&format!("[{{ path: /desk, {upstream} }}]"), "");
    let mut stream = tap.connect();
    stream.send(tap.request("GET /desk\naccept: text/event-stream", ""));
    assert_eq!(stream.head().0, 200);
    stream.chunk();
    let other = format!("{{ path: /other, upstream: \"{}\" }}", origin.url());
    tap.rewrite(&format!("[{other}, {{ path: /desk, {upstream} }}]"), "");
    tap.signal(rustix::process::Signal::HUP);
    tap.said("reloaded");
    assert_eq!(tap.ask("POST /messages?s=r", LIST).status, 202);
    assert_eq!(told.recv().unwrap(), "POST /a/messages?s=r HTTP/1.1");
    assert!(String::from_utf8(stream.chunk()).unwrap().contains("\"id\":1"));
}

/// A server whose every stream names what `name` says of its target, and stays; and what is posted to it.
fn naming_server(name: fn(&str) -> String) -> (Origin, Receiver<String>) {
    let (tell, told) = sync_channel(10);
    let tell = Mutex::new(tell);
    let origin = Origin::serve(move |mut conn| {
        while let Some(asked) = conn.asked() {
            conn.body(&asked);
            if asked.line.starts_with("GET ") {
                conn.stream();
                let place = name(asked.line.split(' ').nth(1).unwrap());
                conn.chunk(&format!("event: endpoint\ndata: {place}\n\n"));
                conn.is_gone();
            } else {
                tell.lock().unwrap().send(asked.line).unwrap();
                conn.write("HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n");
            }
        }
    });
    (origin, told)
}

/// Opens a stream and reads what it names.
fn stream(tap: &Tap, path: &str) -> Client {
    let mut stream = tap.connect();
    stream.send(tap.request(&format!("GET {path}\naccept: text/event-stream"), ""));
    assert_eq!(stream.head().0, 200);
    assert!(stream.chunk().starts_with(b"event: endpoint"));
    stream
}

fn evil_and_good(settings: &str) -> (Tap, Receiver<String>, Receiver<String>) {
    // `/sse?x` names the session `x`.
    let name = |target: &str| format!("/messages?sessionId={}", target.split('?').nth(1).unwrap());
    let ((evil, evils), (good, goods)) = (naming_server(name), naming_server(name));
    let routes = format!(
        "[{{ path: /evil, upstream: \"http://{}/sse\" }}, {{ path: /good, upstream: \"http://{}/sse\" }}]",
        evil.address, good.address
    );
    (with_routes(&routes, settings), evils, goods)
}

/// Servers choose the names: who names one first must not get what the clients of another post.
#[test]
fn a_place_that_two_servers_name_is_neithers_also_when_one_of_the_streams_is_over() {
    let (tap, evils, goods) = evil_and_good("");
    let evil = stream(&tap, "/evil?1");
    let good = stream(&tap, "/good?1");
    let post = || tap.ask("POST /messages?sessionId=1\nauthorization: Bearer fake", LIST).status;
    assert_eq!(post(), 404);
    let other = stream(&tap, "/good?2");
    assert_eq!(tap.ask("POST /messages?sessionId=2", LIST).status, 202);
    assert_eq!(goods.recv().unwrap(), "POST /messages?sessionId=2 HTTP/1.1");
    drop((good, other));
    eventually("both streams are over", || {
        let over = tap.ask("POST /messages?sessionId=2", LIST).status == 404;
        goods.try_iter().for_each(drop);
        over
    });
    for _ in 0..20 {
        assert_eq!(post(), 404);
    }
    let again = stream(&tap, "/good?1");
    assert_eq!(post(), 404);
    assert!(evils.try_recv().is_err() && goods.try_recv().is_err());
    drop((evil, again));
    let end = tap.end();
    let said = end.log.lines().filter(|line| line.contains("was named twice")).count();
    assert_eq!(said, 1, "{}", end.log);
}

/// A live session's place is not pushed out by streams, however many there are.
#[test]
fn a_place_is_reached_while_very_many_streams_name_others() {
    let limit = getrlimit(Resource::Nofile);
    // Both ends of as many connections are here.
    // Raised and never lowered: other tests run beside this one.
    let most = limit.maximum.map_or(DESCRIPTORS, |maximum| maximum.min(DESCRIPTORS));
    if limit.current.is_some_and(|current| current < most) {
        setrlimit(Resource::Nofile, Rlimit { current: Some(most), ..limit }).unwrap();
    }
    let (tap, evils, goods) = evil_and_good("max_connections: 2048\nmax_requests: 2048");
    let (good, shared) = (stream(&tap, "/good?good"), stream(&tap, "/good?shared"));
    let many: Vec<_> = (0..1030).map(|n| stream(&tap, &format!("/evil?{n:x}"))).collect();
    let taken = stream(&tap, "/evil?shared");
    assert_eq!(tap.ask("POST /messages?sessionId=good", LIST).status, 202);
    assert_eq!(goods.recv().unwrap(), "POST /messages?sessionId=good HTTP/1.1");
    assert_eq!(tap.ask("POST /messages?sessionId=0", LIST).status, 202);
    assert_eq!(evils.recv().unwrap(), "POST /messages?sessionId=0 HTTP/1.1");
    assert_eq!(tap.ask("POST /messages?sessionId=shared", LIST).status, 404);
    drop((good, shared, many, taken));
}
