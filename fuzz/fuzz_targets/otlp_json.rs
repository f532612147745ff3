//! OTLP/JSON on arbitrary text: what is read passes the check, and reads the same once it is written.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mcpcol::otlp::json;
use mcpcol::otlp::Request;
use mcpcol::otlp::wire;
use mcpcol::telemetry::Telemetry;

fuzz_target!(|text: &[u8]| {
    for request in [Request::Traces, Request::Metrics, Request::Logs] {
        let Ok(bytes) = json::read(request, text) else { continue };
        let one = taken(request, bytes);
        let mut again = Vec::new();
        one.write_json(&mut again);
        let other = taken(request, json::read(request, &again).expect("what is written is read"));
        // Compared as bytes: NaN is not equal to itself.
        assert_eq!(one.messages().encode(), other.messages().encode());
    }
    json::is_strange(Request::Traces, text);
});

fn taken(request: Request, bytes: Vec<u8>) -> Telemetry {
    let found = wire::check(request, bytes.into()).expect("what is read is within protobuf's bounds");
    Telemetry::from(found.repaired().expect("a repair is well-formed"))
}
