//! What peers may try: the tap stays up, in bounds, and the others are served.

use std::collections::HashSet;
use std::io::Write;
use std::time::Instant;

use super::tap::{Tap, tap};
use crate::origin::Origin;
use crate::process::{PATIENCE, eventually};

const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;

fn still_serves(tap: &Tap) {
    assert_eq!(tap.post(PING).status, 200);
}

#[test]
fn a_head_that_takes_too_long_is_not_waited_for() {
    let origin = Origin::echo();
    let tap = tap(&origin.url(), "read_header_timeout: 300ms");
    let started = Instant::now();
    let mut silent = tap.connect();
    let mut slow = tap.connect();
    let mut undecided = tap.connect();
    slow.send("POST /mcp HTTP/1.1\r\nhost: loc");
    undecided.send("PR");
    still_serves(&tap);
    for client in [&mut silent, &mut slow, &mut undecided] {
        // Closed without a word, or with 408.
        let mut rest = Vec::new();
        std::io::Read::read_to_end(&mut client.0, &mut rest).ok();
        assert!(!rest.starts_with(b"HTTP/1.1 200"));
    }
    assert!(started.elapsed() < PATIENCE);
    still_serves(&tap);
}

#[test]
fn a_client_that_asks_nothing_more_is_let_go_and_one_that_waits_is_not() {
    let (next, go) = std::sync::mpsc::sync_channel::<()>(1);
    let go = std::sync::Mutex::new(go);
    let origin = Origin::serve(move |mut conn| {
        while let Some(asked) = conn.asked() {
            let body = conn.body(&asked);
            if memchr::memmem::find(&body, b"slow").is_some() {
                go.lock().unwrap().recv().unwrap();
            }
            conn.json(&crate::origin::result_for(&body));
        }
    });
    let tap = tap(&origin.url(), "read_header_timeout: 300ms");
    let (mut done, mut waits) = (tap.connect(), tap.connect());
    waits.send(tap.request("POST /mcp", &PING.replace("ping", "slow")));
    done.send(tap.request("POST /mcp", PING));
    assert_eq!(done.answer().status, 200);
    let started = Instant::now();
    assert!(done.is_closed());
    // By now the other has waited for longer than a head may take.
    next.send(()).unwrap();
    assert_eq!(waits.answer().status, 200);
    assert!(waits.is_closed());
    assert!(started.elapsed() < PATIENCE, "closed, and not given up");
}

/// A connection that begins as HTTP/2 and never gets there must not keep its place.
#[test]
fn an_http2_client_that_goes_no_further_is_let_go() {
    let origin = Origin::echo();
    let tap = tap(&origin.url(), "read_header_timeout: 100ms");
    let started = Instant::now();
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    // HEADERS of a first stream, of which nine bytes are missing.
    let headers = [0, 0, 9, 1, 4, 0, 0, 0, 1];
    for length in [4, preface.len(), preface.len() + 9, preface.len() + 18] {
        let all = [&preface[..], &settings, &headers].concat();
        let mut client = tap.connect();
        client.send(&all[..length]);
        std::io::copy(&mut client.0, &mut std::io::sink()).ok();
    }
    assert!(started.elapsed() < PATIENCE, "closed, and not given up");
    still_serves(&tap);
}

/// Frames that ask for nothing, for as long as they are read.
#[test]
fn a_flood_of_frames_ends_its_connection_and_no_other() {
    let origin = Origin::echo();
    let tap = tap(&origin.url(), "workers: 1");
    let begin = [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &[0, 0, 0, 4, 0, 0, 0, 0, 0]].concat();
    // PING, WINDOW_UPDATE, and a frame of no known kind.
    for (kind, length) in [(6, 8), (8, 4), (0x42, 0u8)] {
        let mut client = tap.connect();
        client.send(&begin);
        let payload = &[0, 0, 0, 1, 0, 0, 0, 0][..length.into()];
        let frame = [&[0, 0, length, kind, 0, 0, 0, 0, 0][..], payload].concat();
        let mut ours = client.0.get_ref().try_clone().unwrap();
        let flood =
            std::thread::spawn(move || while ours.write_all(&frame.repeat(1000)).is_ok() {});
        std::io::copy(&mut client.0, &mut std::io::sink()).ok();
        flood.join().unwrap();
        still_serves(&tap);
    }
    assert_eq!(tap.end().log.matches("frames that ask for nothing").count(), 1);
}

#[test]
fn heads_are_bounded_in_size_and_number() {
    let origin = Origin::echo();
    let tap = tap(&origin.url(), "max_header_bytes: 8192\nmax_headers: 20");
    let many = (0..50).map(|n| format!("x-{n}: 1\n")).collect::<String>();
    let long = format!("x-long: {}", "y".repeat(9000));
    let target = format!("GET /{}", "z".repeat(9000));
    for head in [format!("GET /mcp\n{many}"), format!("GET /mcp\n{long}"), target] {
        let mut client = tap.connect();
        client.send(tap.request(head.trim_end(), ""));
        let (status, _) = client.head();
        assert!(matches!(status, 414 | 431), "{status}");
    }
    // One without an end.
    let mut client = tap.connect();
    client.send(format!("GET /mcp HTTP/1.1\r\nhost: {}\r\nx: ", tap.address));
    let stream = client.0.get_mut();
    while stream.write_all(&[b'y'; 4096]).is_ok() {}
    still_serves(&tap);
    assert_eq!(origin.connections(), 1);
}

#[test]
fn connections_beyond_the_limit_are_turned_away_in_words() {
    let origin = Origin::echo();
    let tap = tap(&origin.url(), "max_connections: 3");
    let mut kept: Vec<_> = (0..3).map(|_| tap.connect()).collect();
    for client in &mut kept {
        client.send(tap.request("POST /mcp", PING));
        assert_eq!(client.answer().status, 200);
    }
    let mut more = tap.connect();
    let (status, headers) = more.head();
    assert_eq!(status, 503);
    assert!(headers.iter().any(|(name, _)| name == "retry-after"));
    drop((more, kept));
    eventually("there is room again", || {
        let mut client = tap.connect();
        write!(client.0.get_mut(), "{}", tap.request("POST /mcp", PING)).is_ok()
            && client.line().starts_with("HTTP/1.1 200")
    });
}

#[test]
fn requests_beyond_the_limit_are_turned_away_in_words() {
    let origin = Origin::serve(|mut conn| {
        let asked = conn.asked().unwrap();
        if asked.line.contains("/hang") {
            conn.stream();
            conn.event("{}");
            conn.is_gone();
            return;
        }
        let body = conn.body(&asked);
        conn.json(&crate::origin::result_for(&body));
    });
    let tap = tap(&origin.url(), "max_requests: 2");
    let held: Vec<_> = (0..2)
        .map(|_| {
            let mut client = tap.connect();
            client.send(tap.request("GET /hang", ""));
            assert_eq!(client.head().0, 200);
            client
        })
        .collect();
    let refused = tap.post(PING);
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")));
    drop(held);
    eventually("there is room again", || tap.post(PING).status == 200);
}

#[test]
fn malformed_messages_end_their_connection_and_no_other() {
    let origin = Origin::echo();
    let tap = tap(&origin.url(), "");
    let host = &tap.address;
    for bytes in [
        format!("POST /mcp HTTP/1.1\r\nhost: {host}\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n"),
        format!(
            "POST /mcp HTTP/1.1\r\nhost: {host}\r\ntransfer-encoding: chunked\r\n\r\nffffffffffffffffff\r\n"
        ),
        format!(
            "POST /mcp HTTP/1.1\r\nhost: {host}\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nxy"
        ),
        format!("POST /mcp HTTP/1.1\r\nhost: {host}\r\ncontent-length: -1\r\n\r\n"),
        format!("POST /mcp HTTP/1.1\r\nhost: {host}\r\nx y: z\r\n\r\n"),
        "\0\0\0\0".to_owned(),
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\ngarbage that is no frame".to_owned(),
    ] {
        let mut client = tap.connect();
        client.send(&bytes);
        client.0.get_ref().shutdown(std::net::Shutdown::Write).unwrap();
        let mut rest = Vec::new();
        std::io::Read::read_to_end(&mut client.0, &mut rest).ok();
        assert!(
            !rest.starts_with(b"HTTP/1.1 200"),
            "{bytes:?}: {}",
            String::from_utf8_lossy(&rest)
        );
        still_serves(&tap);
    }
    let end = tap.end();
    assert!(!end.log.contains("a bug"), "{}", end.log);
}

#[test]
fn an_upstream_that_talks_nonsense_is_a_bad_gateway() {
    let origin = Origin::serve(|mut conn| {
        let asked = conn.asked().unwrap();
        conn.body(&asked);
        conn.write("HTTP/1.1 2OO OK\r\n\r\n");
    });
    let tap = tap(&origin.url(), "");
    assert_eq!(tap.post(PING).status, 502);
    assert_eq!(tap.end().outcomes(), ["ping server_gone"]);
}

#[test]
#[cfg(target_os = "linux")]
fn bombs_endless_lines_and_deep_texts_stay_in_bounds() {
    let bomb = {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        for _ in 0..64 {
            encoder.write_all(&[b' '; 1 << 20]).unwrap();
        }
        encoder.finish().unwrap()
    };
    let origin = Origin::serve(move |mut conn| {
        while let Some(asked) = conn.asked() {
            conn.body(&asked);
            let path = asked.line.split(' ').nth(1).unwrap();
            let body = match path {
                "/bomb" => bomb.clone(),
                "/line" => {
                    let end = br#""},"jsonrpc":"2.0","id":1}"#;
                    [br#"data: {"result":{"x":""#, &vec![b'x'; 16 << 20][..], end, b"\n\n"].concat()
                }
                "/deep" => vec![b'['; 8 << 20],
                _ => crate::origin::result_for(PING.as_bytes()).into_bytes(),
            };
            let kind = if path == "/line" { "text/event-stream" } else { "application/json" };
            let coding = if path == "/bomb" { "content-encoding: gzip\r\n" } else { "" };
            conn.write(format!(
                "HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\n{coding}content-length: {}\r\n\r\n",
                body.len()
            ));
            conn.write(&body);
        }
    });
    let tap = tap(&origin.url(), "");
    for path in ["/bomb", "/line", "/deep"] {
        for _ in 0..3 {
            assert_eq!(tap.ask(&format!("POST {path}"), PING).status, 200);
        }
    }
    still_serves(&tap);
    let most = tap.resident();
    assert!(most < 100 * 1024, "{most} KiB resident");
    let end = tap.end();
    assert!(!end.log.contains("a bug"), "{}", end.log);
    // What was cut tells at its end whose answer it is; what cannot be told is dropped, and nothing is
    // taken for a failing server.
    let outcomes = end.outcomes();
    assert!(outcomes.iter().all(|outcome| outcome == "ping ok"), "{outcomes:?}");
    assert!(end.books().starts_with("received=10 "), "{}", end.books());
}

#[test]
fn connections_that_come_and_go_leave_nothing_behind() {
    let origin = Origin::echo();
    let tap = tap(&origin.url(), "");
    still_serves(&tap);
    assert!(connections(&tap) > 0, "the one upstream is kept for a while");
    for n in 0..500 {
        let mut client = tap.connect();
        if n % 2 == 0 {
            client.send(tap.request("POST /mcp", PING));
        }
    }
    eventually("all of them are closed", || connections(&tap) == 0);
    still_serves(&tap);
}

/// How many TCP connections a tap has open, on either side of it.
fn connections(tap: &Tap) -> usize {
    const LISTENS: &str = "0A";
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let sockets: HashSet<_> = table
        .lines()
        .skip(1)
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .filter(|fields| fields[3] != LISTENS)
        .map(|fields| format!("socket:[{}]", fields[9]))
        .collect();
    let files = std::fs::read_dir(format!("/proc/{}/fd", tap.pid())).unwrap();
    let links = files.filter_map(|file| std::fs::read_link(file.ok()?.path()).ok());
    links.filter(|link| link.to_str().is_some_and(|link| sockets.contains(link))).count()
}
