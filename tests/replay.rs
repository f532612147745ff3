//! Recorded sessions of real clients and servers, replayed through the MCP state machine.
//!
//! `tests/data/stdio-sessions/README.md` says what is in them. The golden files beside it were read
//! against the recordings by hand; `UPDATE_GOLDEN=1` writes them anew, and then they are to be read
//! again. Nothing here starts a process or reads a clock.

#![expect(clippy::unwrap_used, reason = "a test tells what is wrong by failing")]

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;
use std::path::PathBuf;
use std::sync::Arc;

use mcpcol::mcp::{Counts, Direction, Identity, Session, Settings};
use mcpcol::telemetry::{Content, Model, Nanos, Raw, names};
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use proptest::prelude::*;

const SESSIONS: [&str; 3] =
    ["everything-handshake", "everything-auto-fallback", "modern-2026-07-28"];

/// An arbitrary moment, so that times are as long as real ones.
const BASE: Nanos = 1_795_000_000_000_000_000;

struct Recorded {
    direction: Direction,
    at: Nanos,
    line: Vec<u8>,
}

fn data(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(path)
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
        Recorded { direction, at: BASE + micros * 1000, line }
    };
    text.lines().map(line).collect()
}

fn session() -> Session {
    let identity = Identity {
        server: "everything".to_owned(),
        session: "test-session".to_owned(),
        ..Identity::default()
    };
    Session::new(Arc::new(Settings::default()), identity, [7; 32])
}

/// Everything a session puts out, as text.
struct Output {
    spans: Vec<Span>,
    content: Vec<Content>,
    resource: String,
    counts: Counts,
}

impl Output {
    fn new() -> Self {
        let (spans, content) = (Vec::new(), Vec::new());
        Output { spans, content, resource: String::new(), counts: Counts::default() }
    }

    fn drain(&mut self, session: &mut Session) {
        if let Some((telemetry, content)) = session.take() {
            let Model::Traces(all) = telemetry.model() else { panic!("a session makes spans") };
            assert_eq!((all.len(), all[0].scope_spans.len()), (1, 1));
            self.resource = attributes(&all[0].resource.as_ref().unwrap().attributes, |_| true);
            self.spans.extend_from_slice(&all[0].scope_spans[0].spans);
            self.content.push(content);
        }
        self.counts = session.counts();
    }

    fn seen(&self, span: &Span) -> String {
        let Some(seen) = self.content.iter().find_map(|c| c.of(&span.span_id)) else {
            return String::new();
        };
        let mut out = String::new();
        for (what, raw) in [
            ("arguments", &seen.arguments),
            ("result", &seen.result),
            ("error", &seen.error_message),
        ] {
            match raw {
                Raw::Absent => {}
                Raw::Cut => write!(out, " {what} cut").unwrap(),
                Raw::Deep => write!(out, " {what} too deep").unwrap(),
                Raw::Whole(b) if b.len() <= 100 => {
                    write!(out, " {what} {}", String::from_utf8_lossy(b)).unwrap();
                }
                Raw::Whole(b) => write!(out, " {what} of {} bytes", b.len()).unwrap(),
            }
        }
        out
    }

    /// The golden form: what all spans share first, then a block for each span.
    fn golden(&self) -> String {
        let common = common(&self.spans);
        let mut out = format!("resource\n  {}\n", self.resource);
        let shared = attributes(&self.spans[0].attributes, |a| common.contains_key(&a.key));
        writeln!(out, "all spans\n  {shared}").unwrap();
        let mut names = Names::default();
        for span in &self.spans {
            out.push('\n');
            self.block(span, &common, &mut names, &mut out);
        }
        let counts = format!("\n{:#?}\n", self.counts);
        out.extend(counts.split_inclusive('\n').filter(|line| !line.ends_with(": 0,\n")));
        out
    }

    fn block(
        &self,
        span: &Span,
        common: &BTreeMap<String, String>,
        names: &mut Names,
        out: &mut String,
    ) {
        let ms = |at: Nanos| (at - BASE) as f64 / 1e6;
        let status = span.status.as_ref().unwrap();
        assert_eq!(status.message, "", "error texts are content");
        let own = names.span(&span.trace_id, &span.span_id);
        let parent = match span.parent_span_id.as_slice() {
            [] => "root".to_owned(),
            id => format!("under {}", hex(id)),
        };
        writeln!(
            out,
            "{}\n  {} {:.3} to {:.3} ms, {}, {own} {parent}, flags {:x}{}",
            span.name,
            SpanKind::try_from(span.kind).unwrap().as_str_name(),
            ms(span.start_time_unix_nano),
            ms(span.end_time_unix_nano),
            ["UNSET", "OK", "ERROR"][status.code as usize],
            span.flags,
            if span.trace_state.is_empty() {
                String::new()
            } else {
                format!(", state {}", span.trace_state)
            },
        )
        .unwrap();
        writeln!(out, "  {}", attributes(&span.attributes, |a| !common.contains_key(&a.key)))
            .unwrap();
        for event in &span.events {
            let at = ms(event.time_unix_nano);
            let told = attributes(&event.attributes, |_| true);
            writeln!(out, "  event {} at {at:.3} ms {told}", event.name).unwrap();
        }
        for link in &span.links {
            let to = names.span(&link.trace_id, &link.span_id);
            let told = attributes(&link.attributes, |_| true);
            writeln!(out, "  link to {to}, flags {:x} {told}", link.flags).unwrap();
        }
        let seen = self.seen(span);
        if !seen.is_empty() {
            writeln!(out, "  content{seen}").unwrap();
        }
    }
}

/// Readable stand-ins for random ids, in order of appearance.
#[derive(Default)]
struct Names {
    traces: HashMap<Vec<u8>, usize>,
    spans: HashMap<Vec<u8>, usize>,
}

impl Names {
    fn span(&mut self, trace: &[u8], span: &[u8]) -> String {
        let next = self.traces.len() + 1;
        let trace = *self.traces.entry(trace.to_vec()).or_insert(next);
        let next = self.spans.len() + 1;
        let span = *self.spans.entry(span.to_vec()).or_insert(next);
        format!("trace {trace} span {span}")
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn value(attribute: &KeyValue) -> String {
    match attribute.value.as_ref().unwrap().value.as_ref().unwrap() {
        Value::StringValue(s) => s.clone(),
        Value::IntValue(n) => n.to_string(),
        Value::DoubleValue(n) => n.to_string(),
        Value::BoolValue(b) => b.to_string(),
        other => panic!("no span has {other:?}"),
    }
}

fn attributes(all: &[KeyValue], which: impl Fn(&KeyValue) -> bool) -> String {
    let chosen = all.iter().filter(|a| which(a));
    chosen.map(|a| format!("{}={}", a.key, value(a))).collect::<Vec<_>>().join(" ")
}

fn common(spans: &[Span]) -> BTreeMap<String, String> {
    let has = |span: &Span, a: &KeyValue| span.attributes.contains(a);
    let first = spans[0].attributes.iter();
    let shared = first.filter(|a| spans.iter().all(|span| has(span, a)));
    shared.map(|a| (a.key.clone(), value(a))).collect()
}

/// The session as recorded, in chunks as `split` cuts every line, ended after the last one.
fn replay(recorded: &[Recorded], mut split: impl FnMut(&[u8]) -> Vec<usize>) -> Output {
    let (mut session, mut output) = (session(), Output::new());
    for entry in recorded {
        let mut start = 0;
        for end in split(&entry.line).into_iter().chain([entry.line.len()]) {
            session.bytes(entry.direction, &entry.line[start..end], entry.at);
            start = end;
        }
        session.tick(entry.at);
        assert!(session.counts().balanced());
        output.drain(&mut session);
    }
    let last = recorded.last().unwrap().at;
    session.eof(Direction::ClientToServer, last);
    session.eof(Direction::ServerToClient, last);
    session.end(last);
    output.drain(&mut session);
    assert!(output.counts.balanced());
    output
}

fn check(name: &str) {
    let file = data(&format!("golden/{name}.txt"));
    let golden = replay(&recorded(name), |_| Vec::new()).golden();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, &golden).unwrap();
    }
    let expected = std::fs::read_to_string(&file).unwrap();
    for (i, (got, want)) in golden.lines().zip(expected.lines()).enumerate() {
        assert_eq!(got, want, "{} line {}", file.display(), i + 1);
    }
    assert_eq!(golden, expected);
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
    let (mut session, mut output) = (session(), Output::new());
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
    output.drain(&mut session);
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
