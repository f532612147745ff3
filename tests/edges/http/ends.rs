//! Stops and reloads.

use std::sync::Mutex;
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::tap::{tap, with_exporter, with_service};
use crate::origin::Origin;
use crate::process::eventually;
use crate::spans::attribute;

const MODERN: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"slow","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}"#;

/// An origin whose stream begins with one event and has no end.
fn without_end() -> Origin {
    Origin::serve(|mut conn| {
        let asked = conn.asked().unwrap();
        conn.body(&asked);
        conn.stream();
        conn.event("{}");
        conn.is_gone();
    })
}

#[test]
fn a_request_in_flight_at_the_stop_is_finished() {
    let (next, go) = sync_channel::<()>(100);
    let (tell, told) = sync_channel(100);
    let (go, tell) = (Mutex::new(go), Mutex::new(tell));
    let origin = Origin::serve(move |mut conn| {
        while let Some(asked) = conn.asked() {
            let body = conn.body(&asked);
            tell.lock().unwrap().send(()).unwrap();
            go.lock().unwrap().recv().unwrap();
            conn.json(&crate::origin::result_for(&body));
        }
    });
    let mut tap = tap(&origin.url(), "drain_timeout: 20s");
    let mut client = tap.connect();
    client.send(tap.request("POST /mcp", MODERN));
    told.recv().unwrap();
    tap.signal(Signal::TERM);
    tap.said("stopping");
    next.send(()).unwrap();
    assert_eq!(client.answer().status, 200);
    assert!(client.is_closed());
    let end = tap.end();
    assert_eq!((end.code, end.outcomes()), (Some(0), vec!["tools/call slow ok".to_owned()]));
    assert_eq!(end.books(), "received=1 sent=1 dropped=0 held=0\n".trim_end());
}

#[test]
fn a_stream_without_an_end_does_not_hold_the_stop_up() {
    let origin = without_end();
    let tap = tap(&origin.url(), "drain_timeout: 200ms");
    let mut client = tap.connect();
    client.send(tap.request("POST /mcp", MODERN));
    client.head();
    client.chunk();
    let started = Instant::now();
    let end = tap.end();
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    assert_eq!((end.code, end.outcomes()), (Some(0), vec!["tools/call cancelled".to_owned()]));
    assert_eq!(attribute(&end.spans[0], "mcpcol.cancelled.by").as_deref(), Some("tap"));
    assert!(end.log.contains("requests=1") && end.log.contains("drain_timeout"), "{}", end.log);
}

#[test]
fn a_client_that_has_said_nothing_does_not_hold_the_stop_up() {
    let origin = Origin::echo();
    let tap = tap(&origin.url(), "drain_timeout: 30s");
    let mut silent = tap.connect();
    let mut undecided = tap.connect();
    undecided.send("PR");
    // They have been accepted, as one that comes later is served.
    assert_eq!(tap.post(MODERN).status, 200);
    let started = Instant::now();
    assert_eq!(tap.end().code, Some(0));
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    assert!(silent.is_closed() && undecided.is_closed());
}

#[test]
fn requests_that_take_longer_than_the_stop_leave_the_exporters_their_time() {
    let origin = without_end();
    let tap = with_service(&origin.url(), "drain_timeout: 1h", "shutdown_timeout: 2s");
    let mut client = tap.connect();
    client.send(tap.request("POST /mcp", MODERN));
    client.head();
    client.chunk();
    let end = tap.end();
    assert_eq!((end.code, end.outcomes()), (Some(0), vec!["tools/call cancelled".to_owned()]));
    assert_eq!(end.books(), "received=1 sent=1 dropped=0 held=0");
}

#[test]
fn a_tap_that_is_killed_during_its_stop_has_sent_its_spans() {
    let (tell, told) = sync_channel(100);
    let tell = Mutex::new(tell);
    let origin = Origin::serve(move |mut conn| {
        while let Some(asked) = conn.asked() {
            let body = conn.body(&asked);
            if memchr::memmem::find(&body, b"slow").is_some() {
                tell.lock().unwrap().send(()).unwrap();
                conn.is_gone();
                return;
            }
            conn.json(&crate::origin::result_for(&body));
        }
    });
    // No batch would be full for an hour.
    let batch = "file: { path: spans.jsonl, sending_queue: { batch: { min_size: 1000, flush_timeout: 1h } } }";
    let tap = with_exporter(&origin.url(), "drain_timeout: 1h", batch);
    assert_eq!(tap.post(r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#).status, 200);
    let mut client = tap.connect();
    client.send(tap.request("POST /mcp", MODERN));
    told.recv().unwrap();
    tap.signal(Signal::TERM);
    eventually("the span is written", || tap.written().contains("\"ping\""));
    tap.signal(Signal::KILL);
    assert_eq!(tap.ended().outcomes(), ["ping ok"]);
}

#[test]
fn a_request_in_flight_at_a_reload_is_finished_however_long_it_takes() {
    let (next, go) = sync_channel::<()>(1);
    let (tell, told) = sync_channel(1);
    let (go, tell) = (Mutex::new(go), Mutex::new(tell));
    let old = Origin::serve(move |mut conn| {
        while let Some(asked) = conn.asked() {
            let body = conn.body(&asked);
            // Who came in the moment of the change may be served here as well.
            if memchr::memmem::find(&body, b"slow").is_some() {
                tell.lock().unwrap().send(()).unwrap();
                go.lock().unwrap().recv().unwrap();
            }
            conn.json(&crate::origin::result_for(&body));
        }
    });
    let new = Origin::echo();
    let mut tap = tap(&old.url(), "drain_timeout: 1ms");
    let mut client = tap.connect();
    client.send(tap.request("POST /mcp", MODERN));
    told.recv().unwrap();
    for _ in 0..3 {
        tap.rewrite(
            &format!("[{{ upstream: \"{}\", name: new }}]", new.url()),
            "drain_timeout: 1ms",
        );
        tap.signal(Signal::HUP);
        tap.said("reloaded");
        // Each on a connection of its own, and the first receiver was told to end long before the last.
        for _ in 0..20 {
            assert_eq!(tap.post(r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#).status, 200);
        }
    }
    next.send(()).unwrap();
    assert_eq!(client.answer().status, 200);
    assert!(client.is_closed());
    let end = tap.end();
    assert!(end.outcomes().contains(&"tools/call slow ok".to_owned()), "{:?}", end.outcomes());
    assert_eq!(end.books(), "received=61 sent=61 dropped=0 held=0");
}

#[test]
fn a_reload_changes_routes_without_closing_the_port() {
    let (old, new) = (Origin::echo(), Origin::echo());
    let mut tap = tap(&old.url(), "drain_timeout: 20s");
    let ping = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
    assert_eq!(tap.post(ping).status, 200);
    tap.rewrite(&format!("[{{ upstream: \"{}\", name: origin }}]", new.url()), "");
    tap.signal(Signal::HUP);
    tap.said("reloaded");
    for _ in 0..20 {
        assert_eq!(tap.post(ping).status, 200, "same address as before");
    }
    // The old routes may still serve who came in the moment of the change, and nobody after it.
    assert!(new.connections() > 0);
    let before = old.connections();
    assert_eq!(tap.post(ping).status, 200);
    assert_eq!(old.connections(), before);
    // One that cannot be put in place changes nothing.
    tap.rewrite("[{ upstream: nonsense }]", "");
    tap.signal(Signal::HUP);
    tap.said("the old one goes on");
    assert_eq!(tap.post(ping).status, 200);
    let end = tap.end();
    assert_eq!(end.books(), "received=23 sent=23 dropped=0 held=0");
}
