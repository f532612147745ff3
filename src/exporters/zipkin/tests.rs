//! The mapping field by field, and a strict reader of Zipkin v2 over recorded sessions and generated
//! spans. What goes over the wire is proved in `tests/engine/exporters`, what Zipkin makes of it in
//! `tests/peers/zipkin.rs`.

mod schema;

use std::sync::Arc;

use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::exporters::problems;
use crate::mcp::{Direction, Identity, Session, Settings};
use crate::otlp::arbitrary;

fn attribute(key: &str, value: Any) -> KeyValue {
    let value = Some(AnyValue { value: Some(value) });
    KeyValue { key: key.into(), value, ..KeyValue::default() }
}

fn string(key: &str, value: &str) -> KeyValue {
    attribute(key, Any::StringValue(value.into()))
}

/// A span of kind CLIENT that lasted 2.5 ms.
fn span(attributes: Vec<KeyValue>) -> Span {
    Span {
        trace_id: vec![0xab; 16],
        span_id: vec![0x0c; 8],
        name: "tools/call search".into(),
        kind: 3,
        start_time_unix_nano: 1_795_000_000_000_001_999,
        end_time_unix_nano: 1_795_000_000_002_501_999,
        attributes,
        ..Span::default()
    }
}

fn resource(attributes: Vec<KeyValue>, spans: Vec<Span>) -> ResourceSpans {
    let scope = InstrumentationScope {
        name: "mcpcol".into(),
        version: "1.2".into(),
        ..InstrumentationScope::default()
    };
    ResourceSpans {
        resource: Some(Resource { attributes, ..Resource::default() }),
        scope_spans: vec![ScopeSpans { scope: Some(scope), spans, ..ScopeSpans::default() }],
        ..ResourceSpans::default()
    }
}

/// The spans of a body, checked against the schema.
fn written(all: Vec<ResourceSpans>) -> Vec<Value> {
    let telemetry = Telemetry::from(Messages::Traces(all));
    let body = body(&telemetry, "unknown_service").unwrap();
    let spans = schema::read(&body.json).unwrap_or_else(|why| panic!("{why}"));
    assert_eq!(spans.len(), body.spans);
    spans
}

fn one(span: Span) -> Value {
    written(vec![resource(vec![string("service.name", "tap")], vec![span])]).remove(0)
}

#[test]
fn a_call_has_every_field_it_needs_and_no_other() {
    let mut call =
        span(vec![string("peer.service", "files"), string("mcp.method.name", "tools/call")]);
    call.parent_span_id = vec![0x0d; 8];
    assert_eq!(
        one(call),
        json!({
            "traceId": "abababababababababababababababab",
            "parentId": "0d0d0d0d0d0d0d0d",
            "id": "0c0c0c0c0c0c0c0c",
            "kind": "CLIENT",
            "name": "tools/call search",
            "timestamp": 1_795_000_000_000_001u64,
            "duration": 2500,
            "localEndpoint": { "serviceName": "tap" },
            "remoteEndpoint": { "serviceName": "files" },
            "tags": {
                "mcp.method.name": "tools/call",
                "peer.service": "files",
                "otel.scope.name": "mcpcol",
                "otel.scope.version": "1.2",
                "otel.library.name": "mcpcol",
                "otel.library.version": "1.2",
            },
        })
    );
}

#[test]
fn what_is_zero_is_missing_and_what_is_short_lasts_a_microsecond() {
    for (start, end, timestamp, duration) in [
        (0, 0, json!(null), json!(null)),
        (0, 5000, json!(null), json!(null)),
        (7000, 0, json!(7), json!(null)),
        (1, 2, json!(1), json!(1)),
        (7000, 7000, json!(7), json!(null)),
        (7000, 7999, json!(7), json!(1)),
        (7000, 3000, json!(7), json!(null)),
        (u64::MAX - 1, u64::MAX, json!(u64::MAX / 1000), json!(1)),
    ] {
        let mut call = span(Vec::new());
        (call.start_time_unix_nano, call.end_time_unix_nano) = (start, end);
        let call = one(call);
        assert_eq!(
            (&call["timestamp"], &call["duration"]),
            (&timestamp, &duration),
            "{start} {end}"
        );
    }
}

#[test]
fn kinds_are_zipkins_four_or_none() {
    let kinds =
        [None, None, Some("SERVER"), Some("CLIENT"), Some("PRODUCER"), Some("CONSUMER"), None];
    for (number, kind) in (0..).zip(kinds) {
        let call = one(Span { kind: number, ..span(Vec::new()) });
        assert_eq!(call["kind"], json!(kind), "{number}");
        assert!(call["tags"].get("span.kind").is_none());
    }
}

#[test]
fn the_remote_endpoint_is_the_first_hit_of_the_list() {
    let port = |key: &str| attribute(key, Any::IntValue(8080));
    for (attributes, endpoint) in [
        (vec![], json!(null)),
        (vec![string("server.address", ""), string("db.name", "d")], json!({"serviceName": "d"})),
        (
            vec![string("server.address", "10.1.2.3"), string("peer.service", "files")],
            json!({"serviceName": "files"}),
        ),
        (vec![string("server.address", "10.1.2.3")], json!({"ipv4": "10.1.2.3"})),
        (vec![string("server.address", "2001:db8::1")], json!({"ipv6": "2001:db8::1"})),
        (vec![string("server.address", "example.com")], json!({"serviceName": "example.com"})),
        (
            vec![string("network.peer.address", "::1"), port("network.peer.port")],
            json!({"ipv6": "::1", "port": 8080}),
        ),
        (
            vec![string("net.sock.peer.addr", "1.2.3.4"), port("network.peer.port")],
            json!({"ipv4": "1.2.3.4"}),
        ),
        (
            vec![string("server.socket.address", "h"), string("server.socket.port", "99999")],
            json!({"serviceName": "h"}),
        ),
    ] {
        let call = one(span(attributes.clone()));
        assert_eq!(call["remoteEndpoint"], endpoint, "{attributes:?}");
        let served = one(Span { kind: 2, ..span(attributes) });
        assert_eq!(served["remoteEndpoint"], json!(null), "only who calls has one");
    }
}

#[test]
fn every_kind_of_value_is_text() {
    let list = |values: Vec<Any>| {
        let values = values.into_iter().map(|value| AnyValue { value: Some(value) }).collect();
        Any::ArrayValue(ArrayValue { values })
    };
    let map = Any::KvlistValue(KeyValueList {
        values: vec![
            attribute("a", list(vec![Any::IntValue(1), Any::StringValue("x\"y".into())])),
            attribute("b", Any::DoubleValue(f64::NAN)),
            KeyValue { key: "c".into(), ..KeyValue::default() },
        ],
    });
    for (value, text) in [
        (Any::StringValue("plain \"text\"".into()), "plain \"text\""),
        (Any::BoolValue(true), "true"),
        (Any::BoolValue(false), "false"),
        (Any::IntValue(i64::MIN), "-9223372036854775808"),
        (Any::DoubleValue(0.1), "0.1"),
        (Any::DoubleValue(1e21), "1e+21"),
        (Any::DoubleValue(5.0), "5"),
        (Any::DoubleValue(-0.0), "-0"),
        (Any::DoubleValue(f64::NAN), "NaN"),
        (Any::DoubleValue(f64::NEG_INFINITY), "-Infinity"),
        (Any::BytesValue(vec![0, 255]), "AP8="),
        (list(vec![]), "[]"),
        (list(vec![Any::BoolValue(true), Any::BytesValue(vec![0, 255])]), r#"[true,"AP8="]"#),
        (map, r#"{"a":[1,"x\"y"],"b":"NaN","c":null}"#),
    ] {
        assert_eq!(one(span(vec![attribute("k", value)]))["tags"]["k"], text);
    }
}

#[test]
fn an_error_is_the_presence_of_a_tag() {
    let with = |code, message: &str, attributes| {
        let status = Some(Status { code, message: message.into() });
        one(Span { status, ..span(attributes) })["tags"].clone()
    };
    let tags = with(2, "no seats", vec![string("error", "mine")]);
    assert_eq!((&tags["error"], &tags["otel.status_code"]), (&json!("no seats"), &json!("ERROR")));
    let tags = with(2, "", Vec::new());
    assert_eq!(tags["error"], "");
    let tags = with(1, "ignored", Vec::new());
    assert_eq!((tags.get("error"), &tags["otel.status_code"]), (None, &json!("OK")));
    let tags = with(0, "ignored", vec![attribute("error", Any::BoolValue(false))]);
    assert_eq!((tags.get("error"), tags.get("otel.status_code")), (None, None));
}

#[test]
fn resources_are_tags_unless_the_span_says_otherwise() {
    let all = vec![
        resource(
            vec![
                string("service.name", "tap"),
                string("service.namespace", "shop"),
                string("k", "of the resource"),
            ],
            vec![span(vec![string("k", "of the span")])],
        ),
        resource(Vec::new(), vec![span(Vec::new())]),
    ];
    let spans = written(all);
    assert_eq!(spans[0]["tags"]["service.namespace"], "shop");
    assert_eq!(spans[0]["tags"]["k"], "of the span");
    assert!(spans[0]["tags"].get("service.name").is_none());
    assert_eq!(spans[1]["localEndpoint"]["serviceName"], "unknown_service");
}

#[test]
fn events_links_and_counts_have_their_places() {
    let call = Span {
        events: vec![
            Event { name: "started".into(), time_unix_nano: 7_000, ..Event::default() },
            Event {
                name: "mcpcol.progress".into(),
                time_unix_nano: 8_000,
                attributes: vec![attribute("value", Any::IntValue(3)), string("of", "ten")],
                ..Event::default()
            },
            Event::default(),
        ],
        links: vec![Link {
            trace_id: vec![1; 16],
            span_id: vec![2; 8],
            trace_state: "a=b".into(),
            attributes: vec![string("mcpcol.link", "retry")],
            dropped_attributes_count: 4,
            ..Link::default()
        }],
        trace_state: "vendor=x".into(),
        dropped_attributes_count: 1,
        dropped_events_count: 0,
        dropped_links_count: 3,
        ..span(Vec::new())
    };
    let call = one(call);
    assert_eq!(
        call["annotations"],
        json!([
            { "timestamp": 7, "value": "started" },
            { "timestamp": 8, "value": "\"mcpcol.progress\": {\"value\":3,\"of\":\"ten\"}" },
        ])
    );
    let tags = &call["tags"];
    assert_eq!(
        tags["otlp.link.0"],
        "01010101010101010101010101010101|0202020202020202|a=b|{\"mcpcol.link\":\"retry\"}|4"
    );
    assert_eq!(tags["w3c.tracestate"], "vendor=x");
    assert_eq!(tags["otel.dropped_attributes_count"], "1");
    assert_eq!(tags["otel.dropped_links_count"], "3");
    assert!(tags.get("otel.dropped_events_count").is_none());
}

#[test]
fn spans_without_usable_ids_are_left_out_and_counted() {
    let bad = Span { span_id: vec![0; 8], ..span(Vec::new()) };
    let telemetry = Telemetry::from(Messages::Traces(vec![resource(
        Vec::new(),
        vec![bad.clone(), span(Vec::new()), bad],
    )]));
    let body = body(&telemetry, "x").unwrap();
    assert_eq!((body.spans, body.unusable), (1, 2));
    assert_eq!(schema::read(&body.json).unwrap().len(), 1);
}

#[test]
fn a_body_over_the_limit_asks_to_be_cut() {
    let large = span(vec![string("k", &"x".repeat(MAX_BODY / 3))]);
    let all = vec![resource(Vec::new(), vec![large; 4])];
    let telemetry = Telemetry::from(Messages::Traces(all));
    assert!(matches!(body(&telemetry, "x"), Err(ExportError::TooLarge { .. })));
    for half in telemetry.halves().unwrap() {
        assert!(body(&half, "x").is_ok_and(|body| body.json.len() < MAX_BODY));
    }
}

/// A recorded session as a tap sees it; `tests/replay/stdio.rs` says more about them.
fn recorded(name: &str) -> Telemetry {
    let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/stdio-sessions");
    let text = std::fs::read_to_string(dir.join(format!("{name}.session.jsonl"))).unwrap();
    let identity = Identity { server: name.into(), session: "s".into(), ..Identity::default() };
    let mut session = Session::new(Arc::new(Settings::default()), identity, [7; 32]);
    let mut parts = Vec::new();
    let mut last = 0;
    for entry in text.lines() {
        let entry: Value = serde_json::from_str(entry).unwrap();
        let direction = match entry["dir"].as_str() {
            Some("c2s") => Direction::ClientToServer,
            _ => Direction::ServerToClient,
        };
        last = 1_795_000_000_000_000_000 + (entry["t_ms"].as_f64().unwrap() * 1e6) as u64;
        session.bytes(direction, format!("{}\n", entry["raw"].as_str().unwrap()).as_bytes(), last);
        parts.extend(session.take().into_iter().map(|(telemetry, _)| telemetry));
    }
    session.eof(Direction::ClientToServer, last);
    session.eof(Direction::ServerToClient, last);
    session.end(last);
    parts.extend(session.take().into_iter().map(|(telemetry, _)| telemetry));
    Telemetry::join(parts).unwrap()
}

#[test]
fn the_spans_of_recorded_sessions_fit_the_schema() {
    for name in ["everything-handshake", "everything-auto-fallback", "modern-2026-07-28"] {
        let session = recorded(name);
        let body = body(&session, "x").unwrap();
        let spans = schema::read(&body.json).unwrap();
        assert_eq!((spans.len(), body.unusable), (session.items(), 0), "{name}");
        for span in &spans {
            let caller = span["kind"] == "CLIENT";
            assert_eq!(span.get("remoteEndpoint").is_some(), caller, "{span}");
            assert!(span["duration"].is_u64(), "{span}");
            assert!(span["tags"]["mcp.method.name"].is_string(), "{span}");
        }
        assert!(spans.iter().any(|span| span["kind"] == "CLIENT"));
    }
}

proptest! {
    #[test]
    fn whatever_is_in_a_span_what_is_written_fits_the_schema(request in arbitrary::traces()) {
        let scopes = request.resource_spans.iter().flat_map(|r| &r.scope_spans);
        let all: Vec<_> = scopes.flat_map(|s| &s.spans).cloned().collect();
        let telemetry = Telemetry::from(Messages::Traces(request.resource_spans));
        let body = body(&telemetry, "unknown_service").unwrap();
        prop_assert_eq!(body.spans + body.unusable, all.len());
        let spans = schema::read(&body.json).map_err(TestCaseError::fail)?;
        prop_assert_eq!(spans.len(), body.spans);
        for (written, span) in spans.iter().zip(all.iter().filter(|span| crate::otlp::arbitrary::usable(span))) {
            let tags = &written["tags"];
            for attribute in span.attributes.iter().filter(|a| !a.key.is_empty()) {
                let tag = &tags[&attribute.key];
                prop_assert!(tag.is_string() || attribute.key == "error", "{}", attribute.key);
                let nested = attribute.value.as_ref().and_then(|v| v.value.as_ref());
                let nested = matches!(nested, Some(Any::ArrayValue(_) | Any::KvlistValue(_)));
                let only = span.attributes.iter().filter(|a| a.key == attribute.key).count() == 1;
                if nested && only {
                    let tag: Result<Value, _> = serde_json::from_str(tag.as_str().unwrap());
                    prop_assert!(tag.is_ok());
                }
            }
        }
    }
}

#[test]
fn settings_say_what_is_wrong_with_them() {
    let good = json!({ "endpoint": "http://localhost:9411/api/v2/spans" });
    assert_eq!(problems::<Config>(good.clone()), [""; 0]);
    for (field, value, said) in [
        ("endpoint", json!(""), "zipkin::endpoint: is required: a URL such as"),
        ("endpoint", json!("localhost:9411"), "zipkin::endpoint: needs its scheme"),
        ("endpoint", json!("http://localhost:9411"), "warning: zipkin::endpoint: has no path"),
        ("format", json!("proto"), "zipkin::format: `proto` is not supported; use `json`"),
        ("default_service_name", json!(""), "zipkin::default_service_name: must not be empty"),
        ("compression", json!("lz4"), "zipkin::compression: `lz4` is not supported"),
        ("auth", json!({"authenticator": "x"}), "zipkin::auth: is not supported; write"),
        ("cookies", json!({"enabled": true}), "zipkin::cookies: is not supported"),
        (
            "sending_queue",
            json!({"num_consumers": 0}),
            "zipkin::sending_queue::num_consumers: must be between 1 and 1000",
        ),
        (
            "sending_queue",
            json!({"num_consumers": 1001}),
            "zipkin::sending_queue::num_consumers: must be between 1 and 1000",
        ),
    ] {
        let mut settings = good.clone();
        settings[field] = value;
        let problems = problems::<Config>(settings);
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].starts_with(said), "{problems:?}");
    }
}
