//! Recorded HTTP sessions of real clients and servers, replayed through the MCP state machine.
//!
//! `tests/data/http-sessions/README.md` says what is in them. HTTP is read by the small parser in
//! `http1.rs`, as a receiver would read it; the golden files were read against the recordings by
//! hand. Nothing here opens a socket or reads a clock.

use std::sync::Arc;

use super::http1::{Connections, Seen};
use super::output::{BASE, Output, base, data, value};
use mcpcol::mcp::{
    BodyKind, Direction, Exchange, HeadContent, Http, HttpServer, Party, RequestHead, ResponseHead,
    SessionName, Settings, Verb,
};
use mcpcol::telemetry::{Nanos, names};
use proptest::prelude::*;

const SESSIONS: [&str; 5] = [
    "everything-2025-11-25-sse",
    "everything-2025-03-26-batch",
    "modern-2026-07-28-auto",
    "weather-http",
    "accepted-2025-06-18",
];

/// What a receiver would tell of a recording, with times.
fn recorded(session: &str) -> Vec<(Nanos, Exchange, Seen)> {
    let text = std::fs::read_to_string(data(&format!("http-sessions/{session}.events.jsonl")));
    let (mut connections, mut out) = (Connections::default(), Vec::new());
    for line in text.unwrap().lines() {
        let read: serde_json::Value = serde_json::from_str(line).unwrap();
        let direction = match read["dir"].as_str().unwrap() {
            "c2s" => Direction::ClientToServer,
            _ => Direction::ServerToClient,
        };
        let micros = (read["t_ms"].as_f64().unwrap() * 1000.0).round() as u64;
        let bytes = read["bytes"].as_str().unwrap().as_bytes();
        connections.read(read["conn"].as_u64().unwrap(), direction, bytes, |x, seen| {
            out.push((base(session) + micros * 1000, x, seen));
        });
    }
    out
}

/// When a recording began: all of them are much shorter than what lies between their beginnings.
fn since(recorded: &[(Nanos, Exchange, Seen)]) -> Nanos {
    let first = recorded[0].0;
    SESSIONS.iter().map(|session| base(session)).filter(|base| *base <= first).max().unwrap()
}

fn http() -> Http {
    let server = HttpServer {
        name: "everything".to_owned(),
        address: "127.0.0.1".to_owned(),
        port: Some(8000),
    };
    let name = |raw: &[u8]| SessionName {
        shown: format!("stands for {}", &String::from_utf8_lossy(raw)[..4]),
        clear: None,
    };
    Http::new(Arc::new(Settings::default()), vec![server], None, [7; 32], Box::new(name))
}

/// Tells `http` what was seen. `split` says where bodies are cut further.
fn tell(
    http: &mut Http,
    x: Exchange,
    seen: &Seen,
    now: Nanos,
    split: &mut dyn FnMut(&[u8]) -> Vec<usize>,
) {
    match seen {
        Seen::Request(head) => {
            let verb = match head.start.split(' ').next() {
                Some("POST") => Verb::Post,
                Some("GET") => Verb::Get,
                Some("DELETE") => Verb::Delete,
                _ => Verb::Other,
            };
            let head = RequestHead {
                server: 0,
                verb,
                target: head.start.split(' ').nth(1).unwrap().as_bytes(),
                http_version: 11,
                session: head.get("mcp-session-id"),
                protocol_version: head.get("mcp-protocol-version"),
                traceparent: head.get("traceparent"),
                tracestate: head.get("tracestate"),
                resumes: head.get("last-event-id").is_some(),
                content: HeadContent::default(),
                method: head.get("mcp-method"),
                name: head.get("mcp-name"),
            };
            http.request(x, &head, now);
        }
        Seen::Response(head) => {
            let status = head.start.split(' ').nth(1).unwrap().parse().unwrap();
            let streams =
                head.get("content-type").is_some_and(|v| v.starts_with(b"text/event-stream"));
            let kind = if streams { BodyKind::Sse } else { BodyKind::Other };
            let head = ResponseHead {
                status,
                kind,
                session: head.get("mcp-session-id"),
                content: HeadContent::default(),
            };
            http.response(x, &head, now);
        }
        Seen::Bytes(direction, bytes) => {
            let mut start = 0;
            for end in split(bytes).into_iter().chain([bytes.len()]) {
                http.bytes(x, *direction, &bytes[start..end], now);
                start = end;
            }
        }
        Seen::Ended(direction) => http.ended(x, *direction, now),
    }
}

/// The session as recorded; what is open after its last line was cut off by the client.
fn replay(
    recorded: &[(Nanos, Exchange, Seen)],
    mut split: impl FnMut(&[u8]) -> Vec<usize>,
) -> Output {
    let (mut http, mut output) = (http(), Output::since(since(recorded)));
    let mut last = 0;
    for (now, x, seen) in recorded {
        tell(&mut http, *x, seen, *now, &mut split);
        http.tick(*now);
        output.add(http.take(), http.counts());
        last = *now;
    }
    let exchanges = recorded.iter().map(|(_, x, _)| *x).max().unwrap();
    (0..=exchanges).for_each(|x| http.broken(x, Party::Client, last));
    http.finish(last);
    output.add(http.take(), http.counts());
    assert_eq!(output.counts.in_flight, 0);
    output
}

fn check(name: &str) {
    super::output::check(&format!("http-{name}"), &replay(&recorded(name), |_| Vec::new()));
}

#[test]
fn a_session_of_2025_11_25_gives_the_expected_spans() {
    check("everything-2025-11-25-sse");
}

#[test]
fn batches_of_2025_03_26_give_the_expected_spans() {
    check("everything-2025-03-26-batch");
}

#[test]
fn exchanges_of_2026_07_28_give_the_expected_spans() {
    check("modern-2026-07-28-auto");
}

#[test]
fn a_session_that_answers_on_its_stream_gives_the_expected_spans() {
    check("accepted-2025-06-18");
}

#[test]
fn a_session_with_json_answers_gives_the_expected_spans() {
    check("weather-http");
    let output = replay(&recorded("weather-http"), |_| Vec::new());
    super::output::check_connected(&output);
    assert_eq!(output.counts.passback.refused.no_parent, 7);
}

/// A count of its own over the recordings: every request is one span, with its own id and method.
#[test]
fn every_recorded_request_is_one_span() {
    for name in SESSIONS {
        let recorded = recorded(name);
        let mut bodies = std::collections::BTreeMap::<Exchange, Vec<u8>>::new();
        for (_, x, seen) in &recorded {
            if let Seen::Bytes(Direction::ClientToServer, bytes) = seen {
                bodies.entry(*x).or_default().extend(bytes);
            }
        }
        let mut expected = Vec::new();
        for body in bodies.values() {
            let Ok(body) = serde_json::from_slice::<serde_json::Value>(body) else { continue };
            let all = body.as_array().cloned().unwrap_or_else(|| vec![body]);
            for message in all.iter().filter(|m| m["method"].is_string() && !m["id"].is_null()) {
                let id =
                    message["id"].as_str().map_or_else(|| message["id"].to_string(), str::to_owned);
                expected.push((id, message["method"].as_str().unwrap().to_owned()));
            }
        }
        let output = replay(&recorded, |_| Vec::new());
        let find = |span: &opentelemetry_proto::tonic::trace::v1::Span, key| {
            span.attributes.iter().find(|a| a.key == key).map(value).unwrap()
        };
        let asked =
            output.spans.iter().filter(|s| !s.attributes.iter().any(|a| a.key == names::INITIATOR));
        let mut found: Vec<_> =
            asked.map(|span| (find(span, names::REQUEST_ID), find(span, names::METHOD))).collect();
        expected.sort();
        found.sort();
        assert_eq!(found, expected, "{name}");
    }
}

#[test]
fn split_at_every_byte_the_spans_are_the_same() {
    for name in SESSIONS {
        let recorded = recorded(name);
        let whole = replay(&recorded, |_| Vec::new()).golden();
        let bytewise = replay(&recorded, |bytes| (1..bytes.len()).collect()).golden();
        assert!(whole == bytewise, "{name} differs byte by byte");
        let longest = recorded.iter().map(|(_, _, seen)| match seen {
            Seen::Bytes(_, bytes) => bytes.len(),
            _ => 0,
        });
        let longest = longest.max().unwrap();
        // Each piece in two, at every place it can be cut; coarser where pieces are long.
        for at in (1..longest).step_by(1 + longest / 400) {
            let halves = replay(&recorded, |bytes| vec![at.min(bytes.len())]).golden();
            assert!(whole == halves, "{name} differs when cut at {at}");
        }
    }
}

/// Law 1: what was not observed never looks like a failing server. Any exchange's request or response
/// may be lost, at its head or in its body; every span there is must be as it is without the loss.
#[test]
fn a_loss_anywhere_makes_no_false_failure() {
    let key = |span: &opentelemetry_proto::tonic::trace::v1::Span| {
        let find = |key| span.attributes.iter().find(|a| a.key == key).map(value);
        (find(names::METHOD), find(names::REQUEST_ID), span.start_time_unix_nano)
    };
    let outcome = |span: &opentelemetry_proto::tonic::trace::v1::Span| {
        span.attributes.iter().find(|a| a.key == names::OUTCOME).map(value).unwrap()
    };
    for name in SESSIONS {
        let recorded = recorded(name);
        let whole = replay(&recorded, |_| Vec::new());
        for lost in 0..recorded.len() {
            let (_, x, seen) = &recorded[lost];
            let direction = match seen {
                Seen::Request(_) => Direction::ClientToServer,
                Seen::Response(_) => Direction::ServerToClient,
                Seen::Bytes(direction, _) | Seen::Ended(direction) => *direction,
            };
            let (mut http, mut output) = (http(), Output::since(since(&recorded)));
            for (i, (now, y, seen)) in recorded.iter().enumerate() {
                if i == lost && !matches!(seen, Seen::Request(_)) {
                    http.lost(*x, direction, *now);
                }
                tell(&mut http, *y, seen, *now, &mut |_| Vec::new());
                if i == lost && matches!(seen, Seen::Request(_)) {
                    http.lost(*x, direction, *now);
                }
                output.add(http.take(), http.counts());
            }
            let much_later = recorded.last().unwrap().0 + 3_600_000_000_000;
            http.tick(much_later);
            http.finish(much_later);
            output.add(http.take(), http.counts());
            for span in &output.spans {
                let truth = whole.spans.iter().find(|s| key(s) == key(span));
                let truth = truth.map(&outcome).expect("no request is invented");
                let now = outcome(span);
                // What is open at the end of the recording ends as it is told to.
                let open = truth == "cancelled" && now == "timeout";
                assert!(now == truth || open, "{name} {lost}: {} {truth} {now}", span.name);
            }
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
        let chunked = replay(&recorded, |bytes| {
            let steps = sizes.by_ref().scan(0, |at, size| { *at += size; Some(*at) });
            steps.take_while(|at| *at < bytes.len()).collect()
        });
        prop_assert!(whole == chunked.golden());
    }
}

/// One thing that may happen to an exchange.
#[derive(Clone, Debug)]
enum Step {
    Request(Verb, Option<u8>, bool),
    Response(u16, BodyKind, Option<u8>),
    Bytes(Direction, Vec<u8>),
    Last(Direction, Vec<u8>),
    Skip(Direction, u64),
    Ended(Direction),
    Broken(Party),
    Lost(Direction),
    Gap,
    Tick(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let direction = || prop::sample::select(Direction::BOTH.to_vec());
    let session = || prop::option::of(0u8..3);
    let text = prop::sample::select(vec![
        r#"{"id":1,"method":"tools/call","params":{"name":"x"}}"#,
        r#"{"id":1,"method":"tools/call","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}"#,
        r#"{"id":2,"method":"initialize"}"#,
        "[",
        "]",
        ",",
        "\n\n",
        "\r",
        "data: ",
        "id: 3\n",
        "event: endpoint\ndata: /m\n\n",
        r#"{"id":1,"result":{"resultType":"input_required"}}"#,
        r#"{"id":null,"error":{"code":-32001}}"#,
        r#"{"method":"notifications/cancelled","params":{"requestId":1}}"#,
        r#"{"id":1,"method":"subscriptions/listen"}"#,
        "data: {\"id\":1,\"result\":{}}\n\n",
        "data: {\"id\":7,\"method\":\"ping\"}\n\n",
        r#"{"id":7,"result":{}}"#,
    ]);
    let bytes = prop_oneof![
        4 => text.prop_map(|text| text.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..40),
    ];
    let verb =
        prop::sample::select(vec![Verb::Post, Verb::Post, Verb::Get, Verb::Delete, Verb::Other]);
    let status = prop::sample::select(vec![200, 202, 404, 503]);
    let kind = prop::sample::select(vec![BodyKind::Sse, BodyKind::Other]);
    let party = prop::sample::select(vec![Party::Client, Party::Server, Party::Tap]);
    prop_oneof![
        4 => (verb, session(), any::<bool>()).prop_map(|(v, s, r)| Step::Request(v, s, r)),
        4 => (status, kind, session()).prop_map(|(s, k, i)| Step::Response(s, k, i)),
        8 => (direction(), bytes.clone()).prop_map(|(d, b)| Step::Bytes(d, b)),
        6 => (direction(), bytes).prop_map(|(d, b)| Step::Last(d, b)),
        1 => (direction(), 0u64..100_000).prop_map(|(d, n)| Step::Skip(d, n)),
        6 => direction().prop_map(Step::Ended),
        1 => party.prop_map(Step::Broken),
        1 => direction().prop_map(Step::Lost),
        1 => Just(Step::Gap),
        1 => (0u64..4000).prop_map(Step::Tick),
    ]
}

/// A whole exchange, or one step of any: at random, steps seldom come to an answer.
fn steps() -> impl Strategy<Value = Vec<(Exchange, Step)>> {
    let asks = prop::sample::select(vec![
        r#"{"id":1,"method":"tools/call","params":{"name":"x","arguments":{"a":1}}}"#,
        r#"{"id":2,"method":"initialize"}"#,
    ]);
    let answers = prop::sample::select(vec![
        r#"{"id":1,"result":{"content":[]}}"#,
        r#"{"id":1,"error":{"code":-1,"message":"m"}}"#,
        r#"{"id":2,"result":{}}"#,
        "nothing",
    ]);
    let status = prop::sample::select(vec![200, 202, 404]);
    let whole = (0u64..4, asks, status, answers).prop_map(|(x, ask, status, answer)| {
        let bytes = |text: &str| text.as_bytes().to_vec();
        let steps = [
            Step::Request(Verb::Post, None, false),
            Step::Last(Direction::ClientToServer, bytes(ask)),
            Step::Response(status, BodyKind::Other, None),
            Step::Last(Direction::ServerToClient, bytes(answer)),
        ];
        steps.into_iter().map(|step| (x, step)).collect()
    });
    let one = (0u64..4, step()).prop_map(|step| vec![step]);
    prop::collection::vec(prop_oneof![1 => whole, 4 => one], 0..60).prop_map(|all| all.concat())
}

fn bounded(max_message_bytes: usize) -> Http {
    let settings = Settings { max_message_bytes, max_in_flight: 8, ..Settings::default() };
    let servers = vec![HttpServer::default(), HttpServer::default()];
    let name = |_: &[u8]| SessionName::default();
    Http::new(Arc::new(settings), servers, None, [7; 32], Box::new(name))
}

/// `at_once`: what is last is told with the end.
fn act(http: &mut Http, x: Exchange, step: &Step, at_once: bool, now: &mut Nanos) {
    *now += 1_000_000;
    let session = |id: &Option<u8>| id.map(|id| vec![b'a' + id]);
    match step {
        Step::Request(verb, id, resumes) => {
            let id = session(id);
            let head = RequestHead {
                server: (x % 2) as usize,
                verb: *verb,
                target: b"/m",
                http_version: 20,
                session: id.as_deref(),
                protocol_version: None,
                traceparent: None,
                tracestate: None,
                resumes: *resumes,
                content: HeadContent::default(),
                method: None,
                name: None,
            };
            http.request(x, &head, *now);
        }
        Step::Response(status, kind, id) => {
            let id = session(id);
            http.response(
                x,
                &ResponseHead {
                    status: *status,
                    kind: *kind,
                    session: id.as_deref(),
                    content: HeadContent::default(),
                },
                *now,
            );
        }
        Step::Bytes(direction, bytes) => http.bytes(x, *direction, bytes, *now),
        Step::Last(direction, bytes) if at_once => http.last(x, *direction, bytes, *now),
        Step::Last(direction, bytes) => {
            http.bytes(x, *direction, bytes, *now);
            http.ended(x, *direction, *now);
        }
        Step::Skip(direction, skipped) => http.skip(x, *direction, *skipped),
        Step::Ended(direction) => http.ended(x, *direction, *now),
        Step::Broken(party) => http.broken(x, *party, *now),
        Step::Lost(direction) => http.lost(x, *direction, *now),
        Step::Gap => http.gap(x, 100, *now),
        Step::Tick(seconds) => {
            *now += seconds * 1_000_000_000;
            http.tick(*now);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]
    #[test]
    fn an_end_told_with_the_last_bytes_is_as_good_as_one_told_after_them(
        steps in steps(),
        long in any::<bool>(),
    ) {
        let all = |at_once: bool| {
            let mut http = bounded(if long { 1 << 20 } else { 40 });
            let mut now = BASE;
            steps.iter().for_each(|(x, step)| act(&mut http, *x, step, at_once, &mut now));
            http.finish(now);
            let taken: Vec<_> = http.take().into_iter().map(|(spans, seen)| {
                let mut kept = Vec::new();
                spans.each_item(|item| {
                    let (trace, span) = item.own.ids();
                    kept.push(seen.of(trace, span).cloned());
                });
                (spans.wire().to_vec(), kept)
            }).collect();
            (taken, http.counts())
        };
        prop_assert_eq!(all(true), all(false));
    }

    #[test]
    fn whatever_happens_nothing_panics_and_the_books_balance(
        steps in prop::collection::vec((0u64..4, step()), 0..80),
        long in any::<bool>(),
    ) {
        let mut http = bounded(if long { 1 << 20 } else { 40 });
        let mut now = BASE;
        for (x, step) in &steps {
            act(&mut http, *x, step, true, &mut now);
            let counts = http.counts();
            prop_assert!(counts.balanced() && counts.in_flight <= 16, "{counts:?}");
        }
        http.finish(now);
        let counts = http.counts();
        prop_assert!(counts.balanced() && counts.in_flight == 0, "{counts:?}");
        prop_assert_eq!(http.ready() as u64, counts.spans);
    }
}
