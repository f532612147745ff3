//! What a batch of 100 spans as a tap makes them costs on its way in and out.
//!
//! `wire/check` would worry us above 1 us a span (100 us here): a passthrough must do 500 k spans a CPU
//! second with everything else it does. `decode` is what the check spares, `memcpy` the floor of both;
//! `encode` and `json` are what an export of fresh spans costs.

#![allow(missing_docs, reason = "criterion's macros make undocumented functions")]

use std::hint::black_box;
use std::time::Duration;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use mcpcol::otlp::Messages;
use mcpcol::otlp::Request;
use mcpcol::otlp::wire::edit::{At, Edit, Place, Wants};
use mcpcol::otlp::{json, wire};
use mcpcol::telemetry::{Telemetry, names};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, InstrumentationScope, KeyValue, any_value::Value,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message;

const SPANS: usize = 100;

fn text(key: &str, value: &str) -> KeyValue {
    pair(key, Value::StringValue(value.to_owned()))
}

fn pair(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), key_strindex: 0 }
}

fn call(n: usize) -> Span {
    let start = 1_795_200_122_123_456_789 + n as u64 * 1_000_000;
    Span {
        trace_id: (n as u128 + 1).to_be_bytes().to_vec(),
        span_id: (n as u64 + 1).to_be_bytes().to_vec(),
        name: "tools/call search_web".to_owned(),
        kind: 3,
        flags: 0x101,
        start_time_unix_nano: start,
        end_time_unix_nano: start + 12_345_678,
        attributes: vec![
            text(names::METHOD, "tools/call"),
            text(names::TOOL, "search_web"),
            text(names::OPERATION, "execute_tool"),
            text(names::REQUEST_ID, &n.to_string()),
            text(names::TRANSPORT, "pipe"),
            text(names::OUTCOME, "ok"),
            text(names::SESSION_ID, "0b5f2f0e9c9a4f0c"),
            pair(names::REQUEST_SIZE, Value::IntValue(213)),
            pair(names::RESPONSE_SIZE, Value::IntValue(4_113)),
        ],
        status: Some(Status::default()),
        ..Span::default()
    }
}

fn batch() -> ExportTraceServiceRequest {
    let resource = Resource {
        attributes: vec![
            text(names::SERVICE_NAME, "mcpcol"),
            text(names::SERVER_NAME, "server-everything"),
        ],
        ..Resource::default()
    };
    let scope = InstrumentationScope { name: names::SCOPE.to_owned(), ..Default::default() };
    let scope = ScopeSpans {
        scope: Some(scope),
        spans: (0..SPANS).map(call).collect(),
        ..ScopeSpans::default()
    };
    let all = ResourceSpans {
        resource: Some(resource),
        scope_spans: vec![scope],
        ..ResourceSpans::default()
    };
    ExportTraceServiceRequest { resource_spans: vec![all] }
}

fn otlp(c: &mut Criterion) {
    let request = batch();
    let wire = Bytes::from(request.encode_to_vec());
    let mut group = c.benchmark_group(format!("otlp/{SPANS} spans of {} B", wire.len() / SPANS));
    group.throughput(Throughput::Elements(SPANS as u64));

    group.bench_function("wire/memcpy", |b| b.iter(|| black_box(wire.to_vec())));
    group.bench_function("wire/check", |b| {
        b.iter(|| wire::check(Request::Traces, black_box(&wire).clone()));
    });
    group.bench_function("wire/decode", |b| {
        b.iter(|| ExportTraceServiceRequest::decode(black_box(&wire).clone()));
    });
    group.bench_function("encode/json", |b| {
        let mut out = Vec::new();
        b.iter(|| {
            out.clear();
            json::write(&mut out, Request::Traces, black_box(&wire));
        });
    });
    let mut document = Vec::new();
    json::write(&mut document, Request::Traces, &wire);
    group.bench_function("read/json", |b| {
        b.iter(|| json::read(Request::Traces, black_box(&document)));
    });
    let telemetry = Telemetry::from(Messages::Traces(request.resource_spans));
    group.bench_function("edit/nothing", |b| {
        b.iter(|| black_box(&telemetry).edited(&mut Mask { all: false }));
    });
    group.bench_function("edit/every text", |b| {
        b.iter(|| black_box(&telemetry).edited(&mut Mask { all: true }));
    });
    group.bench_function("split", |b| {
        b.iter(|| black_box(&telemetry).clone().split(SPANS / 8));
    });
    group.finish();
}

/// Looks at every text, and replaces all values of attributes or none.
struct Mask {
    all: bool,
}

impl<'a> Edit<'a> for Mask {
    fn wants(&self) -> Wants {
        Wants { texts: true, ..Wants::default() }
    }

    fn text(&mut self, at: &At<'a>, text: &'a str) -> Option<&str> {
        black_box(text);
        (self.all && matches!(at.place, Place::Value(_))).then_some("****")
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().measurement_time(Duration::from_secs(3)).warm_up_time(Duration::from_secs(1));
    targets = otlp
}
criterion_main!(benches);
