//! Arbitrary events of a few exchanges, in any order: no panic, everything in bounds, the books
//! balanced at every step, and nothing in flight after the end.

#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use mcpcol::mcp::{
    BodyKind, Direction, HeadContent, Http, HttpServer, Party, RequestHead, ResponseHead,
    SessionName, Settings, Verb,
};

/// What happens, to which exchange, and the bytes that it takes.
type Step = (u8, u8, Vec<u8>);

fn session(bytes: &[u8]) -> Option<&[u8]> {
    bytes.first().filter(|b| **b < 4).map(std::slice::from_ref)
}

fn act(http: &mut Http, (what, x, bytes): &Step, now: u64) {
    let x = u64::from(x % 4);
    let direction = Direction::BOTH[usize::from(what & 1)];
    let first = bytes.first().copied().unwrap_or_default();
    match what % 16 {
        0 | 1 => {
            let verb = [Verb::Post, Verb::Get, Verb::Delete, Verb::Other][usize::from(first >> 6)];
            let head = RequestHead {
                server: usize::from(first),
                verb,
                target: bytes,
                http_version: first,
                session: session(bytes),
                protocol_version: Some(bytes),
                traceparent: bytes.get(1..),
                tracestate: bytes.get(2..),
                resumes: bytes.len() > 3,
                content: HeadContent::default(),
                method: bytes.get(4..),
                name: bytes.get(5..),
            };
            http.request(x, &head, now);
        }
        2 | 3 => {
            let kind = if what & 1 == 0 { BodyKind::Sse } else { BodyKind::Other };
            let status = 200 + 2 * u16::from(first);
            http.response(
                x,
                &ResponseHead {
                    status,
                    kind,
                    session: session(bytes),
                    content: HeadContent::default(),
                },
                now,
            );
        }
        4 | 5 => http.ended(x, direction, now),
        6 => {
            let by = [Party::Client, Party::Server, Party::Tap][usize::from(first % 3)];
            http.broken(x, by, now);
        }
        7 => http.lost(x, direction, now),
        8 => http.gap(x, bytes.len() as u64, now),
        9 => http.tick(now),
        10 | 11 => http.skip(x, direction, bytes.len() as u64 * 1000),
        12 => http.last(x, direction, bytes, now),
        _ => http.bytes(x, direction, bytes, now),
    }
}

fuzz_target!(|steps: Vec<Step>| {
    let settings = Settings {
        max_message_bytes: 64,
        max_in_flight: 8,
        max_content_bytes: 256,
        ..Settings::default()
    };
    let servers = vec![HttpServer::default(), HttpServer::default()];
    let name = |_: &[u8]| SessionName::default();
    let mut http = Http::new(Arc::new(settings), servers, None, [7; 32], Box::new(name));
    for (now, step) in (0u64..).zip(&steps) {
        act(&mut http, step, now << 34);
        let counts = http.counts();
        assert!(counts.balanced(), "{counts:?}");
        assert!(counts.in_flight <= 16);
    }
    http.finish(u64::MAX);
    let counts = http.counts();
    assert!(counts.balanced() && counts.in_flight == 0, "{counts:?}");
    assert_eq!(http.ready() as u64, counts.spans + counts.passback.spans);
});
