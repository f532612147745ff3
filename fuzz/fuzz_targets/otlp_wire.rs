//! The wire check on arbitrary bytes: it accepts exactly what the decoder accepts, counts what the decoded
//! messages have, and what is left after the sieve is usable.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use mcpcol::otlp::wire::{self, Request};
use mcpcol::otlp::{MAX_GROWTH, sieve};
use mcpcol::telemetry::{Model, Telemetry};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;

fuzz_target!(|input: &[u8]| {
    let Some((which, bytes)) = input.split_first() else { return };
    let bytes = Bytes::copy_from_slice(bytes);
    let (request, decoded) = match which % 3 {
        0 => {
            let decoded = ExportTraceServiceRequest::decode(bytes.clone());
            (Request::Traces, decoded.map(|all| Model::Traces(all.resource_spans)))
        }
        1 => {
            let decoded = ExportMetricsServiceRequest::decode(bytes.clone());
            (Request::Metrics, decoded.map(|all| Model::Metrics(all.resource_metrics)))
        }
        _ => {
            let decoded = ExportLogsServiceRequest::decode(bytes.clone());
            (Request::Logs, decoded.map(|all| Model::Logs(all.resource_logs)))
        }
    };
    let checked = wire::check(request, bytes.clone());
    assert_eq!(checked.is_ok(), decoded.is_ok());
    let (Ok(checked), Ok(mut model)) = (checked, decoded) else { return };
    let (items, bad) = (checked.items(), checked.bad());
    if checked.decoded_size() <= MAX_GROWTH.of(bytes.len()) {
        // NaN is not equal to itself, its bytes are.
        let decoded = Telemetry::from(Telemetry::from(checked).model().clone());
        assert_eq!(decoded.wire(), Telemetry::from(model.clone()).wire());
    }
    let removed = match &mut model {
        Model::Traces(all) => sieve::traces(all),
        Model::Metrics(all) => sieve::metrics(all),
        Model::Logs(all) => sieve::logs(all),
    };
    // An id that is given twice may be bad only once.
    assert!(removed <= bad);
    let left = Telemetry::from(model);
    assert_eq!(left.items() + removed, items);
    let again = wire::check(request, left.wire().clone()).expect("what is left is well-formed");
    assert_eq!((again.items(), again.bad()), (left.items(), 0));
});
