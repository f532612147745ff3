//! What many clients at once may take: descriptors, and memory for those who do not read or are not read.

use std::io::{ErrorKind, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use super::tap::{Tap, tap, with_descriptors};
use crate::client::Client;
use crate::origin::{Origin, result_for};
use crate::process::eventually;

const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;

/// Is open or not, and wakes those who wait for it.
type Gate = Arc<(Mutex<bool>, Condvar)>;

/// A server that answers nobody until it is told to, and how many wait for it.
fn gated() -> (Origin, Arc<AtomicUsize>, Gate) {
    let (waiting, gate) = (Arc::<AtomicUsize>::default(), Gate::default());
    let (waits, closed) = (Arc::clone(&waiting), Arc::clone(&gate));
    let origin = Origin::serve(move |mut conn| {
        while let Some(asked) = conn.asked() {
            let body = conn.body(&asked);
            waits.fetch_add(1, Ordering::SeqCst);
            let (open, opened) = &*closed;
            drop(opened.wait_while(open.lock().unwrap(), |open| !*open).unwrap());
            conn.json(&result_for(&body));
        }
    });
    (origin, waiting, gate)
}

/// Whether something has come by a connection, or its end.
fn has_news(client: &Client) -> bool {
    let stream = client.0.get_ref();
    stream.set_nonblocking(true).unwrap();
    let peeked = stream.peek(&mut [0]);
    stream.set_nonblocking(false).unwrap();
    !matches!(peeked, Err(error) if error.kind() == ErrorKind::WouldBlock)
}

/// More clients than descriptors, each with a request that its upstream takes its time for.
#[test]
fn whoever_is_let_in_is_served_and_all_others_hear_at_once() {
    const CLIENTS: usize = 200;
    let (origin, waiting, gate) = gated();
    let tap = with_descriptors(&origin.url(), "workers: 2", 128);
    let (mut let_in, mut turned_away) = (Vec::new(), Vec::new());
    for _ in 0..CLIENTS {
        let mut client = tap.connect();
        // One that is turned away may be closed while it asks.
        client.0.get_mut().write_all(tap.request("POST /mcp", PING).as_bytes()).ok();
        let before = let_in.len();
        eventually("it is served or turned away", || {
            waiting.load(Ordering::SeqCst) > before || has_news(&client)
        });
        if has_news(&client) { turned_away.push(client) } else { let_in.push(client) }
    }
    assert!(let_in.len() > 10 && turned_away.len() > 100, "{} {}", let_in.len(), turned_away.len());
    for client in &mut turned_away {
        assert_eq!(client.head().0, 503);
    }
    *gate.0.lock().unwrap() = true;
    gate.1.notify_all();
    for client in &mut let_in {
        assert_eq!(client.answer().status, 200);
    }
    let served = let_in.len();
    drop((let_in, turned_away));
    eventually("there is room again", || {
        let mut client = tap.connect();
        client.0.get_mut().write_all(tap.request("POST /mcp", PING).as_bytes()).is_ok()
            && client.line().starts_with("HTTP/1.1 200")
    });
    let end = tap.end();
    let exported = end.books();
    assert!(exported.contains("dropped=0") && end.spans.len() > served, "{exported}");
    assert!(end.log.contains("clients are turned away"), "{}", end.log);
}

/// Clients in each of these, who are measured together.
const MANY: usize = 40;
/// What may be held of an upload that nobody reads, and of a response that its client does not take, in KiB; see
/// `docs/reference/limits.md`.
const STATED: u64 = 512;
/// What a client costs beside that: what the observer keeps of it, and allocations that are not full.
const BESIDE: u64 = 64;

/// What each of many such clients adds to the tap's memory, in KiB.
fn costs(tap: &Tap, mut begin: impl FnMut() -> Client) -> u64 {
    // The first of them has what is there once made.
    let first = begin();
    let before = settled(tap);
    let all: Vec<_> = (0..MANY).map(|_| begin()).collect();
    let after = settled(tap);
    drop((first, all));
    after.saturating_sub(before) / MANY as u64
}

/// The process's memory, in KiB, once it has not grown for a while.
fn settled(tap: &Tap) -> u64 {
    let (mut most, mut since) = (0, Instant::now());
    while since.elapsed() < Duration::from_millis(300) {
        let now = tap.resident();
        if now > most {
            (most, since) = (now, Instant::now());
        }
        thread::yield_now();
    }
    most
}

#[test]
fn an_upload_that_nobody_reads_costs_what_is_written() {
    let origin = Origin::serve(|mut conn| {
        conn.asked();
        // Never reads the body.
        loop {
            thread::park();
        }
    });
    let tap = tap(&origin.url(), "queue_size: 262144\nmax_message_bytes: 4096");
    let each = costs(&tap, || {
        let mut client = tap.connect();
        client.send(tap.request("POST /mcp\ncontent-length: 100000000", ""));
        let stream = client.0.get_mut();
        stream.set_write_timeout(Some(Duration::from_millis(100))).unwrap();
        while stream.write(&[b'x'; 1 << 16]).is_ok() {}
        client
    });
    assert!(each <= STATED + BESIDE, "{each} KiB");
}

#[test]
fn a_client_that_does_not_read_costs_what_is_written() {
    let origin = Origin::serve(|mut conn| {
        conn.asked();
        conn.write("HTTP/1.1 200 OK\r\ncontent-length: 100000000\r\n\r\n");
        conn.get_mut().set_write_timeout(None).unwrap();
        while conn.get_mut().write_all(&[b'x'; 1 << 16]).is_ok() {}
    });
    let tap = tap(&origin.url(), "queue_size: 262144\nmax_message_bytes: 4096");
    let each = costs(&tap, || {
        let mut client = tap.connect();
        client.send(tap.request("GET /mcp", ""));
        assert_eq!(client.head().0, 200);
        client
    });
    assert!(each <= STATED + BESIDE, "{each} KiB");
}
