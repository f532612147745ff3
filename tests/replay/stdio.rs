//! Recorded sessions of real clients and servers, replayed through the MCP state machine.
//!
//! `tests/data/stdio-sessions/README.md` says what is in them. The golden files beside it were read
//! against the recordings by hand. Nothing here starts a process or reads a clock.

use std::collections::HashMap;
use std::sync::Arc;

use super::output::{BASE, Output, base, data, value};
use mcpcol::mcp::{Direction, Hidden, Identity, Session, Settings};
use mcpcol::telemetry::{Nanos, names};
use opentelemetry_proto::tonic::trace::v1::Span;
use proptest::prelude::*;

const SESSIONS: [&str; 4] =
    ["everything-handshake", "everything-auto-fallback", "modern-2026-07-28", "weather-stdio"];

struct Recorded {
    direction: Direction,
    at: Nanos,
    line: Vec<u8>,
    /// When the recording began.
    began: Nanos,
}

fn recorded(session: &str) -> Vec<Recorded> {
    let file = data(&format!("stdio-sessions/{session}.session.jsonl"));
    let text = std::fs::read_to_string(file).unwrap();
    let line = |line: &str| {
        let entry: serde_json::Value = serde_json::from_str(line).unwrap();
        let direction = match entry["dir"].as_str().unwrap() {
            "c2s" => Direction::ClientToServer,
            _ => Direction::ServerToClient,
        };
        let micros = (entry["t_ms"].as_f64().unwrap() * 1000.0).round() as u64;
        let line = format!("{}\n", entry["raw"].as_str().unwrap()).into_bytes();
        let began = base(session);
        Recorded { direction, at: began + micros * 1000, line, began }
    };
    text.lines().map(line).collect()
}

fn session() -> Session {
    let identity = Identity {
        server: "everything".to_owned(),
        session: "test-session".to_owned(),
        ..Identity::default()
    };
    let mut session = Session::new(Arc::new(Settings::default()), identity, [7; 32]);
    session.hide(Hidden::by(|id| format!("stands for {}", &String::from_utf8_lossy(id)[..4])));
    session
}

/// The session as recorded, in chunks as `split` cuts every line, ended after the last one.
fn replay(recorded: &[Recorded], mut split: impl FnMut(&[u8]) -> Vec<usize>) -> Output {
    let (mut session, mut output) = (session(), Output::since(recorded[0].began));
    for entry in recorded {
        let mut start = 0;
        for end in split(&entry.line).into_iter().chain([entry.line.len()]) {
            session.bytes(entry.direction, &entry.line[start..end], entry.at);
            start = end;
        }
        session.tick(entry.at);
        output.add(session.take(), session.counts());
    }
    let last = recorded.last().unwrap().at;
    session.eof(Direction::ClientToServer, last);
    session.eof(Direction::ServerToClient, last);
    session.end(last);
    output.add(session.take(), session.counts());
    output
}

fn check(name: &str) {
    super::output::check(name, &replay(&recorded(name), |_| Vec::new()));
}

#[test]
fn a_session_of_2025_11_25_gives_the_expected_spans() {
    check("everything-handshake");
}

#[test]
fn a_modern_client_that_falls_back_gives_the_expected_spans() {
    check("everything-auto-fallback");
}

#[test]
fn a_session_of_2026_07_28_gives_the_expected_spans() {
    check("modern-2026-07-28");
}

#[test]
fn a_session_whose_server_hands_back_spans_gives_the_expected_spans() {
    check("weather-stdio");
    let output = replay(&recorded("weather-stdio"), |_| Vec::new());
    super::output::check_connected(&output);
    // 12 asked without a context, and nobody asked in 10 and 11; 15 has no spans.
    let asked: std::collections::BTreeSet<_> = output
        .handed_back
        .iter()
        .map(|(_, span)| {
            span.attributes.iter().find(|a| a.key == names::REQUEST_ID).map(value).unwrap()
        })
        .collect();
    let ids = [3, 4, 5, 6, 7, 8, 9, 13, 14, 16, 17, 18].map(|id: u32| id.to_string());
    assert_eq!(asked, ids.into_iter().collect());
    assert_eq!(output.counts.passback.refused.no_parent, 7);
    assert_eq!(output.counts.passback.unsolicited, 0);
}

/// The recordings hold each direction's exact bytes, too: they are what was replayed.
#[test]
fn the_recorded_lines_are_the_exact_bytes() {
    for name in SESSIONS {
        for (direction, end) in
            [(Direction::ClientToServer, "c2s"), (Direction::ServerToClient, "s2c")]
        {
            let exact = std::fs::read(data(&format!("stdio-sessions/{name}.{end}.jsonl"))).unwrap();
            let all = recorded(name);
            let lines = all.iter().filter(|r| r.direction == direction);
            assert_eq!(exact, lines.flat_map(|r| r.line.clone()).collect::<Vec<_>>());
        }
    }
}

#[test]
fn split_at_every_byte_boundary_the_spans_are_the_same() {
    for name in SESSIONS {
        let recorded = recorded(name);
        let whole = replay(&recorded, |_| Vec::new()).golden();
        let bytewise = replay(&recorded, |line| (1..line.len()).collect()).golden();
        assert!(whole == bytewise, "{name} differs byte by byte");
        let longest = recorded.iter().map(|r| r.line.len()).max().unwrap();
        // Each line in two parts, at every place a line can be cut; coarser where lines are long.
        for at in (1..longest).step_by(1 + longest / 400) {
            let halves = replay(&recorded, |line| vec![at.min(line.len())]).golden();
            assert!(whole == halves, "{name} differs when cut at {at}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn in_random_chunks_the_spans_are_the_same(
        name in prop::sample::select(SESSIONS.to_vec()),
        sizes in prop::collection::vec(1usize..3000, 1..50),
    ) {
        let recorded = recorded(name);
        let whole = replay(&recorded, |_| Vec::new()).golden();
        let mut sizes = sizes.into_iter().cycle();
        let chunked = replay(&recorded, |line| {
            let steps = sizes.by_ref().scan(0, |at, size| { *at += size; Some(*at) });
            steps.take_while(|at| *at < line.len()).collect()
        });
        prop_assert!(whole == chunked.golden());
    }

    #[test]
    fn arbitrary_bytes_never_panic_and_the_books_balance(
        chunks in prop::collection::vec(
            (any::<bool>(), prop_oneof![
                prop::collection::vec(any::<u8>(), 0..80),
                prop::sample::select(vec![
                    &br#"{"id":1,"method":"tools/call","params":{"name":"x"}}"#[..], b"\n", b"\r\n", b"[", b"]", b",",
                    br#"{"id":1,"result":{"resultType":"input_required"}}"#, br#"{"id":"1","error":{"code":3}}"#,
                    br#"{"method":"notifications/cancelled","params":{"requestId":1}}"#,
                    br#"{"id":1,"method":"initialize"}"#, b"\xef\xbb\xbf", b"\0",
                ]).prop_map(<[u8]>::to_vec),
            ], 0u8..12),
            0..60,
        ),
    ) {
        let mut session = session();
        for (i, (up, chunk, what)) in chunks.iter().enumerate() {
            let direction = Direction::BOTH[usize::from(*up)];
            let now = BASE + i as u64 * 1_000_000_000;
            match what {
                0 => session.gap(direction, chunk.len() as u64, 1, now),
                1 => session.cut(direction, 10, chunk, now),
                2 => session.tick(now * 2),
                3 => session.eof(direction, now),
                4 => session.skip(direction, 10, chunk),
                5 => session.left(direction),
                _ => session.bytes(direction, chunk, now),
            }
            prop_assert!(session.counts().balanced(), "{:?}", session.counts());
        }
        session.end(BASE * 2);
        let counts = session.counts();
        prop_assert!(counts.balanced() && counts.in_flight == 0, "{counts:?}");
    }
}

/// What makes one request recognisable across replays.
fn key(span: &Span) -> (String, String, Nanos) {
    let find = |key| span.attributes.iter().find(|a| a.key == key).map(value).unwrap_or_default();
    (find(names::METHOD), find(names::REQUEST_ID), span.start_time_unix_nano)
}

fn outcome(span: &Span) -> (String, Nanos) {
    let found = span.attributes.iter().find(|a| a.key == names::OUTCOME);
    (found.map(value).unwrap(), span.end_time_unix_nano)
}

/// `length` recorded lines from `first` on go by unseen, in both directions; then the tap sees again.
fn replay_with_gap(recorded: &[Recorded], first: usize, length: usize, torn: bool) -> Output {
    let (mut session, mut output) = (session(), Output::since(recorded[0].began));
    let lost = first..first + length;
    for (i, entry) in recorded.iter().enumerate() {
        if i == lost.start {
            for direction in Direction::BOTH {
                let gone = recorded[lost.start..lost.end.min(recorded.len())]
                    .iter()
                    .filter(|r| r.direction == direction);
                let (bytes, lines) = gone.fold((0, 0), |(b, l), r| (b + r.line.len(), l + 1));
                if lines > 0 {
                    session.gap(direction, bytes as u64, lines, entry.at);
                }
            }
        }
        if lost.contains(&i) {
            continue;
        }
        // A torn line: only its second half is seen.
        let half = if torn && i == lost.end { entry.line.len() / 2 } else { 0 };
        if half > 0 {
            session.gap(entry.direction, half as u64, 0, entry.at);
        }
        session.bytes(entry.direction, &entry.line[half..], entry.at);
        assert!(session.counts().balanced());
    }
    let last = recorded.last().unwrap().at;
    // The server dies, and much later everything left is given up.
    session.tick(last + 3_600_000_000_000);
    session.end(last + 3_600_000_000_000);
    output.add(session.take(), session.counts());
    output
}

fn client_lines<'a>(recorded: impl IntoIterator<Item = &'a Recorded>) -> usize {
    let all = recorded.into_iter();
    all.filter(|r| r.direction == Direction::ClientToServer).count()
}

/// Law 1: a dropped observation must never look like a failing server.
#[test]
fn a_gap_anywhere_makes_no_false_failure_and_no_wrong_pair() {
    for name in SESSIONS {
        let recorded = recorded(name);
        let whole = replay(&recorded, |_| Vec::new());
        let truth: HashMap<_, _> = whole.spans.iter().map(|s| (key(s), outcome(s))).collect();
        for first in 0..recorded.len() {
            for (length, torn) in [(1, false), (2, false), (5, false), (1, true), (40, true)] {
                let output = replay_with_gap(&recorded, first, length, torn);
                for span in &output.spans {
                    let expected = truth.get(&key(span)).expect("no request is invented");
                    assert_eq!(&outcome(span), expected, "{name} {first}+{length}: {}", span.name);
                }
                let counts = output.counts;
                assert!(counts.balanced() && counts.in_flight == 0, "{counts:?}");
                let end = (first + length).min(recorded.len());
                let torn = if torn { recorded.get(end) } else { None };
                let lost = client_lines(&recorded[first..end]) + client_lines(torn);
                assert!(counts.dropped.gap >= lost as u64);
            }
        }
    }
}
