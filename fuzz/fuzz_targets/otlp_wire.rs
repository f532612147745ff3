//! The wire check on arbitrary bytes: it accepts exactly what the decoder accepts, counts what the decoded
//! messages have, and what is left after the sieve is usable.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use mcpcol::json::ErrorKind;
use mcpcol::otlp::wire::{self, Request, compose};
use mcpcol::otlp::{MAX_GROWTH, json, sieve};
use mcpcol::telemetry::{Model, Telemetry};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
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
        let telemetry = Telemetry::from(checked);
        in_bytes(&telemetry, &model);
        let decoded = Telemetry::from(telemetry.model().clone());
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

/// What is done on bytes comes to what a decoder would make of them.
fn in_bytes(telemetry: &Telemetry, model: &Model) {
    let mut text = Vec::new();
    telemetry.write_json(&mut text);
    let read = match model {
        Model::Traces(_) => json::read_traces(&text).map(Model::Traces),
        Model::Metrics(_) => json::read_metrics(&text).map(Model::Metrics),
        Model::Logs(_) => json::read_logs(&text).map(Model::Logs),
    };
    match read {
        Ok(read) => assert_eq!(Telemetry::from(read).wire(), Telemetry::from(model.clone()).wire()),
        // Protobuf may nest deeper, and grow further, than what is read here.
        Err(error) => assert!(
            matches!(error.why, json::Why::Growth | json::Why::Json(ErrorKind::Depth)),
            "{error}: {}",
            String::from_utf8_lossy(&text)
        ),
    }
    telemetry.any_attribute(&|_| false);
    let Model::Traces(all) = model else { return };
    let spans: Vec<_> = all.iter().flat_map(|r| &r.scope_spans).flat_map(|s| &s.spans).collect();
    let starts: Vec<_> = spans.iter().map(|span| span.start_time_unix_nano).collect();
    assert_eq!(telemetry.spans().into_iter().map(|(_, at)| at).collect::<Vec<_>>(), starts);
    let (mut changed, mut expected) = (telemetry.clone(), telemetry.clone());
    let empty = Some(AnyValue::default());
    let one = KeyValue { key: "added".to_owned(), value: empty, ..KeyValue::default() };
    let text = || "instead".to_owned();
    let edited = changed.edit_attributes(&|_| false, |_, span, changes| {
        changes.add(&one.key, compose::Value::Empty);
        changes.replaced.extend(span.attributes.first().map(|_| (0, text())));
        Ok(())
    });
    if edited.is_ok() {
        expected.edit(|model| {
            let Model::Traces(all) = model else { return };
            let scopes = all.iter_mut().flat_map(|r| &mut r.scope_spans);
            for span in scopes.flat_map(|s| &mut s.spans) {
                if let Some(first) = span.attributes.first_mut() {
                    first.value = Some(AnyValue { value: Some(Value::StringValue(text())) });
                }
                span.attributes.push(one.clone());
            }
        });
        let changed = Telemetry::from(changed.model().clone());
        assert_eq!(changed.wire(), expected.wire());
    }
}
