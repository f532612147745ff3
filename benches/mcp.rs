//! What observing costs, per call. Worry when `observe/call` passes 2 us: framing, two peeks, pairing,
//! the span with its attributes and `take` together, and the whole observer has about 5 us. Over HTTP
//! (`observe_http`) heads and bodies of an exchange come on top.
//!
//! The floors beside it say what the same bytes cost when nothing is understood (a newline scan) and
//! when a general parser looks at them and throws everything away.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use mcpcol::mcp::{
    BodyKind, Direction, HeadContent, Http, HttpServer, Identity, Message, RequestHead,
    ResponseHead, Session, SessionName, Settings, Verb,
};

/// How many calls an observer usually finds in one drain.
const DRAIN: usize = 64;

fn request(id: usize) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"_meta":{{"traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}},"name":"search","arguments":{{"query":"some words","limit":10}}}}}}"#
    )
}

fn answer(id: usize) -> String {
    format!(
        r#"{{"result":{{"content":[{{"type":"text","text":"{}"}}],"isError":false}},"jsonrpc":"2.0","id":{id}}}"#,
        "some words and more of them ".repeat(4)
    )
}

fn session() -> Session {
    let identity = Identity {
        server: "server".to_owned(),
        session: "0123456789abcdef0123456789abcdef".to_owned(),
        ..Identity::default()
    };
    let mut session = Session::new(Arc::new(Settings::default()), identity, [7; 32]);
    let hello = concat!(
        r#"{"id":0,"method":"initialize","params":{"clientInfo":{"name":"c","version":"1"}}}"#,
        "\n"
    );
    let back = concat!(
        r#"{"jsonrpc":"2.0","id":0,"result":{"protocolVersion":"2025-11-25","serverInfo":{"name":"s","version":"1"}}}"#,
        "\n"
    );
    session.bytes(Direction::ClientToServer, hello.as_bytes(), 1);
    session.bytes(Direction::ServerToClient, back.as_bytes(), 2);
    session.take();
    session
}

fn peek(c: &mut Criterion) {
    let mut group = c.benchmark_group("peek");
    let big = format!(
        r#"{{"result":{{"content":[{{"type":"text","text":"{}"}}]}},"jsonrpc":"2.0","id":7}}"#,
        "words in a row \\n".repeat(64 * 1024)
    );
    for (name, text) in [("request", request(12)), ("answer", answer(12)), ("answer_1m", big)] {
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function(name, |b| {
            b.iter(|| Message::peek(black_box(text.as_bytes())).map(|(m, _)| m.shape()))
        });
        group.bench_function(format!("{name}_floor_ignored_any"), |b| {
            b.iter(|| serde_json::from_slice::<serde::de::IgnoredAny>(black_box(text.as_bytes())))
        });
        group.bench_function(format!("{name}_floor_newlines"), |b| {
            b.iter(|| memchr::memchr_iter(b'\n', black_box(text.as_bytes())).count())
        });
    }
    group.finish();
}

/// One request and its answer at a time, `take` after each drain.
fn observe(c: &mut Criterion) {
    let mut group = c.benchmark_group("observe");
    group.throughput(Throughput::Elements(DRAIN as u64));
    let calls: Vec<_> = (1..=DRAIN).map(|id| (request(id) + "\n", answer(id) + "\n")).collect();
    let mut tap = session();
    let mut now = 1_795_000_000_000_000_000;
    group.bench_function("calls_in_turn", |b| {
        b.iter(|| {
            for (request, answer) in &calls {
                now += 1000;
                tap.bytes(Direction::ClientToServer, request.as_bytes(), now);
                tap.bytes(Direction::ServerToClient, answer.as_bytes(), now + 500);
            }
            black_box(tap.take())
        })
    });
    let requests: String = calls.iter().map(|(request, _)| request.as_str()).collect();
    let answers: String = calls.iter().rev().map(|(_, answer)| answer.as_str()).collect();
    group.bench_function("pipelined_last_first", |b| {
        b.iter(|| {
            now += 1000;
            tap.bytes(Direction::ClientToServer, requests.as_bytes(), now);
            tap.bytes(Direction::ServerToClient, answers.as_bytes(), now + 500);
            black_box(tap.take())
        })
    });
    // What encoding and dropping such a batch costs is not ours, but it shows what `take` hands on.
    group.bench_function("session_of_its_own", |b| {
        b.iter_batched_ref(
            session,
            |tap| {
                tap.bytes(Direction::ClientToServer, requests.as_bytes(), now);
                tap.bytes(Direction::ServerToClient, answers.as_bytes(), now + 500);
                black_box(tap.take())
            },
            BatchSize::SmallInput,
        )
    });
    group.finish();
}

/// An answer of `spans` spans as arcade-mcp hands them back, children first.
fn handing_back(id: usize, spans: usize) -> String {
    let span = |n: usize| {
        let parent =
            if n == 1 { "b7ad6b7169203331".to_owned() } else { format!("{:016x}", (n / 4).max(1)) };
        format!(
            r#"{{"traceId":"0af7651916cd43dd8448eb211c80319c","spanId":"{n:016x}","name":"cache.lookup","kind":3,"startTimeUnixNano":"1795000000913456686","endTimeUnixNano":"1795000000914821663","attributes":[{{"key":"cache.hit","value":{{"boolValue":false}}}},{{"key":"http.request.method","value":{{"stringValue":"GET"}}}},{{"key":"station.id","value":{{"intValue":"2"}}}},{{"key":"cache.region","value":{{"stringValue":"eu-north"}}}}],"status":{{"code":0}},"parentSpanId":"{parent}","events":[{{"timeUnixNano":"1795000000913527456","name":"cache.miss","attributes":[{{"key":"cache.key","value":{{"stringValue":"fc:Oslo"}}}},{{"key":"ttl.s","value":{{"intValue":"300"}}}}]}}]}}"#
        )
    };
    let all: Vec<_> = (1..=spans).rev().map(span).collect();
    format!(
        r#"{{"result":{{"_meta":{{"otel":{{"traces":{{"resourceSpans":[{{"resource":{{"attributes":[{{"key":"service.name","value":{{"stringValue":"desk"}}}}]}},"scopeSpans":[{{"scope":{{"name":"mcp-telemetry-passback"}},"spans":[{}]}}]}}],"truncated":false,"droppedSpanCount":0}}}}}},"content":[],"isError":false}},"jsonrpc":"2.0","id":{id}}}"#,
        all.join(",")
    )
}

/// One call whose answer hands spans back. Worry when `observe_passback/100` passes 200 us, or
/// `observe_passback/unwelcome` what it costs to pass over the bytes.
fn observe_passback(c: &mut Criterion) {
    let mut group = c.benchmark_group("observe_passback");
    let ask = request(1).replace(r#""_meta":{"#, r#""_meta":{"otel":{"traces":{"request":true}},"#)
        + "\n";
    let plain = request(1) + "\n";
    for (name, request, spans) in
        [("4", &ask, 4), ("100", &ask, 100), ("512", &ask, 512), ("unwelcome", &plain, 100)]
    {
        let answer = handing_back(1, spans) + "\n";
        let now = 1_795_000_000_900_000_000;
        group.throughput(Throughput::Bytes(answer.len() as u64));
        // Each in a session of its own, or all but the first would be known already.
        group.bench_function(name, |b| {
            b.iter_batched_ref(
                session,
                |tap| {
                    tap.bytes(Direction::ClientToServer, request.as_bytes(), now);
                    tap.bytes(Direction::ServerToClient, answer.as_bytes(), now + 50_000_000);
                    black_box(tap.take())
                },
                BatchSize::SmallInput,
            )
        });
    }
    group.finish();
}

fn http() -> Http {
    let server =
        HttpServer { name: "server".to_owned(), address: "localhost".to_owned(), port: Some(8080) };
    let name = |_: &[u8]| SessionName::default();
    Http::new(Arc::new(Settings::default()), vec![server], None, [7; 32], Box::new(name))
}

/// The same over HTTP: one modern request a POST, answered by JSON or by an event.
fn observe_http(c: &mut Criterion) {
    let mut group = c.benchmark_group("observe_http");
    group.throughput(Throughput::Elements(DRAIN as u64));
    let head = RequestHead {
        server: 0,
        verb: Verb::Post,
        target: b"/mcp",
        http_version: 11,
        session: None,
        protocol_version: Some(b"2026-07-28"),
        traceparent: None,
        tracestate: None,
        resumes: false,
        content: HeadContent::default(),
        method: None,
        name: None,
    };
    let meta = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","#;
    let modern = |id| request(id).replace(r#""_meta":{"#, meta);
    for (name, kind) in [("json", BodyKind::Other), ("event", BodyKind::Sse)] {
        let framed = |id| match kind {
            BodyKind::Other => answer(id),
            BodyKind::Sse => format!("event: message\ndata: {}\n\n", answer(id)),
        };
        let calls: Vec<_> = (1..=DRAIN).map(|id| (modern(id), framed(id))).collect();
        let (mut tap, mut now, mut x) = (http(), 1_795_000_000_000_000_000, 0);
        group.bench_function(name, |b| {
            b.iter(|| {
                for (request, answer) in &calls {
                    (now, x) = (now + 1000, x + 1);
                    tap.request(x, &head, now);
                    tap.last(x, Direction::ClientToServer, request.as_bytes(), now);
                    tap.response(
                        x,
                        &ResponseHead {
                            status: 200,
                            kind,
                            session: None,
                            content: HeadContent::default(),
                        },
                        now,
                    );
                    tap.last(x, Direction::ServerToClient, answer.as_bytes(), now + 500);
                }
                black_box(tap.take())
            })
        });
    }
    group.finish();
}

criterion_group!(benches, peek, observe, observe_passback, observe_http);
criterion_main!(benches);
