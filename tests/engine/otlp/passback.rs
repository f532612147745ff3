//! Spans that a server handed back, forwarded by its client as they came: `POST /v1/passback`.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use mcpcol::otlp::Messages;
use mcpcol::pipeline::ExportError;
use mcpcol::telemetry::Telemetry;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use serde_json::{Value, json};

use super::rig::{Answer, BOTH, Fake, JSON, PROTOBUF, Rig, post};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";
const PATH: &str = "/v1/passback";

fn traceparent() -> (&'static str, String) {
    ("traceparent", format!("00-{TRACE}-{PARENT}-01"))
}

/// When the spans of these tests begin: lately.
fn start() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    u64::try_from((since - Duration::from_secs(2)).as_nanos()).unwrap()
}

/// What a server hands back: a root and its child, children first.
fn traces(start: u64, ids: [&str; 2]) -> Value {
    let span = |id: &str, parent: &str, name: &str| {
        json!({
            "traceId": TRACE, "spanId": id, "parentSpanId": parent, "name": name, "kind": 2,
            "startTimeUnixNano": start.to_string(), "endTimeUnixNano": (start + 1000).to_string(),
            "attributes": [
                {"key": "mcp.method", "value": {"stringValue": "tools/call"}},
                {"key": "gen_ai.tool.call.result", "value": {"stringValue": "rain in Oslo"}},
            ],
            "status": {"code": 0},
        })
    };
    let [root, child] = ids;
    json!({
        "resourceSpans": [{
            "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "weather"}}]},
            "scopeSpans": [{"scope": {"name": "passback"},
                "spans": [span(child, root, "step"), span(root, PARENT, "tools/call forecast")]}],
        }],
        "truncated": false, "droppedSpanCount": 0,
    })
}

const IDS: [&str; 2] = ["00000000000000a1", "00000000000000a2"];

async fn send(rig: &Rig, headers: &[(&str, &str)], body: &Value) -> Answer {
    let (name, value) = traceparent();
    let all = [&[JSON, (name, &*value), ("mcpcol-server-name", "weather")], headers].concat();
    post(rig.http(), PATH, &all, body.to_string().as_bytes()).await
}

fn spans(telemetry: &Telemetry) -> Vec<Span> {
    let Messages::Traces(all) = telemetry.messages() else { panic!("traces") };
    all.iter().flat_map(|r| &r.scope_spans).flat_map(|s| &s.spans).cloned().collect()
}

fn attribute(span: &Span, key: &str) -> String {
    let found = span.attributes.iter().find(|attribute| attribute.key == key);
    found.map(|found| format!("{:?}", found.value)).unwrap_or_default()
}

#[tokio::test]
async fn each_of_three_shapes_becomes_spans_below_what_the_client_had_sent() {
    let fake = Fake::taking_all();
    let rig = Rig::start(BOTH, std::slice::from_ref(&fake)).await;
    let ids =
        [IDS, ["00000000000000b1", "00000000000000b2"], ["00000000000000c1", "00000000000000c2"]];
    let [a, b, c] = ids.map(|ids| traces(start(), ids));
    let meta = json!({"otel": {"traces": b}});
    let response = json!({"jsonrpc": "2.0", "id": 7, "result": {"_meta": {"otel": {"traces": c}}}});
    for body in [&a, &meta, &response] {
        let answer = send(&rig, &[], body).await;
        assert_eq!((answer.status, answer.text()), (200, "{}".into()), "{body}");
    }
    let got = fake.has(3).await;
    for (telemetry, [root, child]) in got.iter().zip(ids) {
        let spans = spans(telemetry);
        let hex = |id: &[u8]| id.iter().map(|b| format!("{b:02x}")).collect::<String>();
        let places = spans.iter().map(|s| (hex(&s.span_id), hex(&s.parent_span_id)));
        let expected = [(child, root), (root, PARENT)].map(|(a, b)| (a.to_owned(), b.to_owned()));
        assert_eq!(places.collect::<Vec<_>>(), expected);
        for span in &spans {
            assert!(attribute(span, "mcpcol.passback").contains("true"), "{span:?}");
            assert!(attribute(span, "mcpcol.server.name").contains("weather"), "{span:?}");
            assert!(attribute(span, "mcp.method.name").contains("tools/call"), "{span:?}");
            assert!(!format!("{span:?}").contains("Oslo"), "content leaves: {span:?}");
        }
    }
    assert!(attribute(&spans(&got[2])[0], "jsonrpc.request.id").contains('7'));
    assert_eq!(rig.count("otelcol_receiver_accepted_spans", &["otlp", "http"]), 6);
    assert_eq!(rig.stop().await, ["received=6 sent=6 dropped=0 held=0"]);
}

#[tokio::test]
async fn what_is_refused_is_said_and_counted_and_the_rest_is_taken() {
    let fake = Fake::taking_all();
    let rig = Rig::start(BOTH, std::slice::from_ref(&fake)).await;
    let mut body = traces(start(), IDS);
    let foreign = "f".repeat(32);
    body["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["traceId"] = json!(foreign);
    let answer = send(&rig, &[], &body).await;
    assert_eq!(answer.status, 200);
    let partial = &answer.json()["partialSuccess"];
    assert_eq!(partial["rejectedSpans"], "1");
    assert_eq!(partial["errorMessage"], "foreign_trace: 1");
    assert_eq!(spans(&fake.has(1).await[0]).len(), 1);
    assert_eq!(rig.count("mcpcol_dropped_items", &["passback_foreign_trace"]), 1);
    let account = "received=2 sent=1 dropped=1 (passback_foreign_trace=1) held=0";
    assert_eq!(rig.stop().await, [account]);
}

#[tokio::test]
async fn what_cannot_be_meant_is_a_bad_request_with_a_reason() {
    let rig = Rig::start(BOTH, &[Fake::taking_all()]).await;
    let body = traces(start(), IDS).to_string();
    let (name, context) = traceparent();
    let context = (name, &*context);
    for (headers, body, status, part) in [
        (vec![JSON], body.as_str(), 400, "no `traceparent`"),
        (vec![JSON, ("traceparent", "00-zz")], &body, 400, "malformed"),
        (vec![JSON, context], "[1]", 400, "not one JSON object"),
        (vec![JSON, context], "{\"resource", 400, "not one JSON object"),
        (vec![JSON, context], "{}", 400, "no spans"),
        (vec![JSON, context, ("mcpcol-server-name", "a://b")], &body, 400, "mcpcol-server-name"),
    ] {
        let answer = post(rig.http(), PATH, &headers, body.as_bytes()).await;
        assert_eq!(answer.status, status, "{headers:?} {body}");
        let said = answer.json()["message"].as_str().unwrap().to_owned();
        assert!(said.contains(part), "{said}");
    }
    let protobuf = post(rig.http(), PATH, &[PROTOBUF, context], b"").await;
    assert_eq!(protobuf.status, 415);
    assert_eq!(rig.stop().await, ["received=0 sent=0 dropped=0 held=0"]);
}

#[tokio::test]
async fn spans_that_no_pipeline_took_may_come_again_and_others_may_not() {
    let full = Fake::stuck().queue(|queue| (queue.queue_size, queue.num_consumers) = (1, 1));
    let rig = Rig::start(BOTH, std::slice::from_ref(&full)).await;
    let body = traces(start(), IDS);
    let other = traces(start(), ["00000000000000d1", "00000000000000d2"]);
    assert_eq!(send(&rig, &[], &body).await.status, 200, "taken by the queue");
    for _ in 0..3 {
        let answer = send(&rig, &[], &other).await;
        assert_eq!(answer.status, 503, "no room, and never a duplicate: {}", answer.text());
    }
    let again = send(&rig, &[], &body).await;
    assert_eq!(again.json()["partialSuccess"]["errorMessage"], "duplicate: 2");
    rig.stop_within(Duration::from_millis(10)).await;
}

#[tokio::test]
async fn a_server_that_exports_what_it_handed_back_is_heard_once() {
    let fake = Fake::taking_all();
    let rig = Rig::start(BOTH, std::slice::from_ref(&fake)).await;
    let start = start();
    assert_eq!(send(&rig, &[], &traces(start, IDS)).await.status, 200);
    let span = |id: u8, start| Span {
        trace_id: (0..16).map(|i| u8::from_str_radix(&TRACE[2 * i..][..2], 16).unwrap()).collect(),
        span_id: vec![0, 0, 0, 0, 0, 0, 0, id],
        start_time_unix_nano: start,
        ..Span::default()
    };
    // Its twin, one that merely has the id of the other, and one that nobody knows.
    let spans_sent = vec![span(0xa1, start), span(0xa2, start + 1), span(0xa3, start)];
    let scope = ScopeSpans { spans: spans_sent, ..ScopeSpans::default() };
    let resource = ResourceSpans { scope_spans: vec![scope], ..ResourceSpans::default() };
    let request = ExportTraceServiceRequest { resource_spans: vec![resource] };
    let answer = post(rig.http(), "/v1/traces", &[PROTOBUF], &request.encode_to_vec()).await;
    assert_eq!((answer.status, answer.body.len()), (200, 0), "its sender did nothing wrong");
    let ids: Vec<_> = spans(&fake.has(2).await[1]).iter().map(|span| span.span_id[7]).collect();
    assert_eq!(ids, [0xa2, 0xa3]);
    let account = "received=5 sent=4 dropped=1 (passback_duplicate=1) held=0";
    assert_eq!(rig.stop().await, [account]);
}

#[tokio::test]
async fn what_the_pipelines_refuse_for_good_is_not_claimed() {
    let fake = Fake::new(|_| Err(ExportError::Reject { why: "no".to_owned() }))
        .queue(|queue| queue.wait_for_result = true);
    let rig = Rig::start(BOTH, std::slice::from_ref(&fake)).await;
    let body = traces(start(), IDS);
    for _ in 0..2 {
        assert_eq!(send(&rig, &[], &body).await.status, 500);
    }
    rig.stop().await;
}

#[tokio::test]
async fn spans_that_come_again_after_a_refusal_are_neither_duplicates_nor_counted_twice() {
    let left = AtomicUsize::new(2);
    let fake = Fake::new(move |_| {
        let busy = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1));
        let later = || ExportError::Retry { after: None, why: "busy".into() };
        if busy.is_ok() { Err(later()) } else { Ok(()) }
    });
    let fake = fake.queue(|q| q.wait_for_result = true).retry(|retry| retry.enabled = false);
    let rig = Rig::start(BOTH, std::slice::from_ref(&fake)).await;
    let mut body = traces(start(), IDS);
    let foreign = json!("f".repeat(32));
    body["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["traceId"] = foreign;
    for (status, refused) in [(503, 0), (503, 0), (200, 1)] {
        assert_eq!(send(&rig, &[], &body).await.status, status);
        assert_eq!(rig.count("mcpcol_dropped_items", &["passback_foreign_trace"]), refused);
        assert_eq!(rig.count("mcpcol_dropped_items", &["passback_duplicate"]), 0);
    }
    assert_eq!(spans(&fake.has(1).await[0]).len(), 1);
}
