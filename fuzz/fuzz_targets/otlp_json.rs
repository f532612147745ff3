//! OTLP/JSON on arbitrary text: what is read can be encoded, and reads the same once it is written.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mcpcol::otlp::json;
use mcpcol::otlp::wire::{self, Request};
use mcpcol::telemetry::{Model, Telemetry};

fuzz_target!(|text: &[u8]| {
    let mut again = Vec::new();
    if let Ok(all) = json::read_traces(text) {
        json::write_traces(&mut again, &all);
        let same = json::read_traces(&again).expect("what is written is read");
        encodes(Request::Traces, Model::Traces(all), Model::Traces(same));
    }
    again.clear();
    if let Ok(all) = json::read_metrics(text) {
        json::write_metrics(&mut again, &all);
        let same = json::read_metrics(&again).expect("what is written is read");
        encodes(Request::Metrics, Model::Metrics(all), Model::Metrics(same));
    }
    again.clear();
    if let Ok(all) = json::read_logs(text) {
        json::write_logs(&mut again, &all);
        let same = json::read_logs(&again).expect("what is written is read");
        encodes(Request::Logs, Model::Logs(all), Model::Logs(same));
    }
    json::is_strange(text, "resourceSpans");
});

/// Compared as bytes: NaN is not equal to itself.
fn encodes(request: Request, model: Model, same: Model) {
    let (one, other) = (Telemetry::from(model), Telemetry::from(same));
    assert_eq!(one.wire(), other.wire());
    wire::check(request, one.wire().clone()).expect("what is read is within protobuf's bounds");
}
