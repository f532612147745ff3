//! The wire check on arbitrary bytes: it accepts what the decoder accepts, texts apart; what it makes regular means
//! the same; edits come to what they would on decoded messages and leave what passes the check.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use mcpcol::json::ErrorKind;
use mcpcol::otlp::wire::compose::{Attributes, Value};
use mcpcol::otlp::wire::edit::{At, Change, Edit, Holders, Wants};
use mcpcol::otlp::wire::view::{ValueView, View};
use mcpcol::otlp::Request;
use mcpcol::otlp::wire;
use mcpcol::otlp::{Holder, MAX_GROWTH, Messages, json};
use mcpcol::telemetry::Telemetry;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};

fuzz_target!(|input: &[u8]| {
    let Some((which, bytes)) = input.split_first() else { return };
    let bytes = Bytes::copy_from_slice(bytes);
    let request = match which % 3 {
        0 => Request::Traces,
        1 => Request::Metrics,
        _ => Request::Logs,
    };
    let decoded = Messages::decode(request, bytes.clone());
    let found = wire::check(request, bytes.clone());
    assert_eq!(found.as_ref().is_ok_and(|found| found.broken() == 0), decoded.is_ok());
    let Ok(found) = found else { return };
    if found.decoded_size() > MAX_GROWTH.of(bytes.len()) {
        return;
    }
    let checked = found.repaired().expect("a repair is well-formed");
    let good = checked.clone().without_bad();
    let again = wire::check(request, good.into_bytes()).expect("what is left is well-formed");
    assert_eq!(again.repaired().expect("a repair is well-formed").items() + checked.bad(), checked.items());
    let telemetry = Telemetry::from(checked);
    if let Ok(decoded) = decoded {
        // NaN is not equal to itself, its bytes are.
        assert_eq!(telemetry.messages().encode(), decoded.encode());
    }
    written(request, &telemetry);
    edited(request, &telemetry);
    let pieces = telemetry.clone().split(1 + usize::from(*which));
    assert_eq!(pieces.iter().map(Telemetry::items).sum::<usize>(), telemetry.items());
});

fn written(request: Request, telemetry: &Telemetry) {
    let mut text = Vec::new();
    telemetry.write_json(&mut text);
    match json::read(request, &text) {
        Ok(read) => {
            let read = Messages::decode(request, read.into()).expect("it was written here");
            assert_eq!(read.encode(), telemetry.messages().encode());
        }
        // Protobuf may nest deeper, and grow further, than what is read here.
        Err(error) => assert!(
            matches!(error.why, json::Why::Growth | json::Why::Json(ErrorKind::Depth)),
            "{error}: {}",
            String::from_utf8_lossy(&text)
        ),
    }
}

/// Gives each attribute of a span another value, and each span one more.
struct Pass;

impl<'a> Edit<'a> for Pass {
    fn wants(&self) -> Wants {
        let spans = Holders::only(Holder::Span);
        Wants { attributes: spans, lengths: u64::MAX, more: spans, ..Wants::default() }
    }

    fn attribute(&mut self, _: View<'a>, _: &'a str, _: ValueView<'a>) -> Change<'_> {
        Change::Value(Value::Text("instead"))
    }

    fn more(&mut self, _: View<'a>, out: &mut Attributes<'_>) {
        out.add("added", Value::Int(1));
    }
}

/// Gives every text another.
struct Mask;

impl<'a> Edit<'a> for Mask {
    fn wants(&self) -> Wants {
        Wants { texts: true, ..Wants::default() }
    }

    fn text(&mut self, _: &At<'a>, text: &'a str) -> Option<&str> {
        (text.len() % 2 == 1).then_some("a longer text in its place")
    }
}

fn edited(request: Request, telemetry: &Telemetry) {
    let masked = telemetry.edited(&mut Mask);
    wire::check(request, masked.wire().clone()).expect("what is edited is well-formed");
    let mut expected = telemetry.messages();
    let Messages::Traces(all) = &mut expected else { return };
    let one = |key: String, value| {
        let value = Some(AnyValue { value: Some(value) });
        KeyValue { key, value, ..KeyValue::default() }
    };
    let scopes = all.iter_mut().flat_map(|r| &mut r.scope_spans);
    for span in scopes.flat_map(|s| &mut s.spans) {
        for attribute in &mut span.attributes {
            let key = std::mem::take(&mut attribute.key);
            *attribute = one(key, Any::StringValue("instead".to_owned()));
        }
        span.attributes.push(one("added".to_owned(), Any::IntValue(1)));
    }
    assert_eq!(telemetry.edited(&mut Pass).messages().encode(), expected.encode());
}
