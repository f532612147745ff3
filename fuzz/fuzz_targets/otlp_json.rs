//! OTLP/JSON on arbitrary text: what is read can be encoded, and reads the same once it is written.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mcpcol::otlp::json;
use mcpcol::otlp::wire::{self, Request};
use mcpcol::telemetry::{Model, Telemetry};

fuzz_target!(|text: &[u8]| {
    if let Ok(all) = json::read_traces(text) {
        encodes(Request::Traces, Model::Traces(all), |again| {
            json::read_traces(again).map(Model::Traces)
        });
    }
    if let Ok(all) = json::read_metrics(text) {
        encodes(Request::Metrics, Model::Metrics(all), |again| {
            json::read_metrics(again).map(Model::Metrics)
        });
    }
    if let Ok(all) = json::read_logs(text) {
        encodes(Request::Logs, Model::Logs(all), |again| json::read_logs(again).map(Model::Logs));
    }
    json::is_strange(text, "resourceSpans");
});

/// Compared as bytes: NaN is not equal to itself.
fn encodes(request: Request, model: Model, read: impl Fn(&[u8]) -> Result<Model, json::Error>) {
    let (one, mut again) = (Telemetry::from(model), Vec::new());
    one.write_json(&mut again);
    let other = Telemetry::from(read(&again).expect("what is written is read"));
    assert_eq!(one.wire(), other.wire());
    wire::check(request, one.wire().clone()).expect("what is read is within protobuf's bounds");
}
