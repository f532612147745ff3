//! The two views, and what is done on bytes alone.

use super::*;
use opentelemetry_proto::tonic::trace::v1::{ScopeSpans, Span};

use crate::otlp::arbitrary;
use proptest::prelude::*;

proptest! {
    /// Whatever passes the check is written, and is read as what a decoder makes of it.
    #[test]
    fn json_says_what_a_decoder_reads(
        one in arbitrary::traces(),
        other in arbitrary::traces(),
        hits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
    ) {
        let mut wire = [one.encode_to_vec(), other.encode_to_vec()].concat();
        prop_assume!(!wire.is_empty());
        for (at, with) in hits {
            let at = at.index(wire.len());
            wire[at] = with;
        }
        let checked = wire::check(wire::Request::Traces, wire.into());
        prop_assume!(checked.is_ok());
        let telemetry = Telemetry::from(checked.unwrap());
        let mut text = Vec::new();
        telemetry.write_json(&mut text);
        // As bytes: NaN is not equal to itself.
        let read = Model::Traces(json::read_traces(&text).unwrap());
        prop_assert_eq!(encode(&read), encode(telemetry.model()));
    }
}

#[test]
fn what_is_irregular_is_written_all_the_same() {
    // The name of a span twice: the last counts.
    let wire = [1 << 3 | 2, 10, 2 << 3 | 2, 8, 2 << 3 | 2, 6, 0x2a, 1, b'a', 0x2a, 1, b'b'];
    let checked = wire::check(wire::Request::Traces, wire.to_vec().into()).unwrap();
    let mut text = Vec::new();
    Telemetry::from(checked).write_json(&mut text);
    let expected = r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"name":"b"}]}]}]}"#;
    assert_eq!(String::from_utf8(text).unwrap(), expected);
}

#[test]
fn the_deepest_that_passes_the_check_is_written() {
    let mut value = vec![0x0a, 1, b'x'];
    let mut deepest = 0;
    for depth in 1..100 {
        let nested = |field: u8, inner: &[u8]| {
            let mut out = vec![field << 3 | 2];
            prost::encoding::encode_varint(inner.len() as u64, &mut out);
            out.extend_from_slice(inner);
            out
        };
        value = nested(5, &nested(1, &value));
        let attribute = nested(9, &nested(2, &value));
        let wire = nested(1, &nested(2, &nested(2, &attribute)));
        let Ok(checked) = wire::check(wire::Request::Traces, wire.into()) else { break };
        deepest = depth;
        let mut text = Vec::new();
        Telemetry::from(checked).write_json(&mut text);
        assert_eq!(text.windows(10).filter(|w| w == b"arrayValue").count(), depth);
    }
    assert!(deepest > 40, "{deepest}");
}

#[test]
fn spans_are_listed_from_bytes_or_messages() {
    let ids = [[0x0a, 16].as_slice(), &[1; 16], &[0x12, 8], &[2; 8]].concat();
    let span =
        |more: &[u8]| [&[2 << 3 | 2, (ids.len() + more.len()) as u8], &ids[..], more].concat();
    let keys = |spans: &[u8]| {
        let inner = spans.len() as u8;
        let wire = [&[1 << 3 | 2, inner + 2, 2 << 3 | 2, inner], spans].concat();
        Telemetry::from(wire::check(wire::Request::Traces, wire.into()).unwrap()).spans()
    };
    let key = Some(([1; 16], [2; 8]));
    let start = [0x39, 5, 0, 0, 0, 0, 0, 0, 0];
    assert_eq!(keys(&span(&start)), [(key, 5)]);
    assert_eq!(keys(&[span(&[]), vec![0x12, 0]].concat()), [(key, 0), (None, 0)]);
    // An id twice: only a decoder knows.
    assert_eq!(keys(&span(&[0x12, 8, 3, 3, 3, 3, 3, 3, 3, 3])), [(Some(([1; 16], [3; 8])), 0)]);
}

fn spans(names: &[&str]) -> Telemetry {
    let spans = names.iter().map(|n| Span { name: (*n).into(), ..Span::default() }).collect();
    let scope = ScopeSpans { spans, ..ScopeSpans::default() };
    Telemetry::from(Model::Traces(vec![ResourceSpans {
        scope_spans: vec![scope],
        ..ResourceSpans::default()
    }]))
}

fn rename(telemetry: &mut Telemetry, name: &str) {
    telemetry.edit(|model| {
        let Model::Traces(all) = model else { panic!("made of spans") };
        all[0].scope_spans[0].spans[0].name = name.into();
    });
}

#[test]
fn clones_share_until_one_is_edited() {
    let original = spans(&["a"]);
    let mut copy = original.clone();
    assert!(Arc::ptr_eq(&original.0, &copy.0));
    rename(&mut copy, "b");
    assert_ne!(original.model(), copy.model());
    assert_ne!(original.wire(), copy.wire());
}

#[test]
fn as_bytes_it_is_the_same_without_its_messages() {
    let telemetry = spans(&["a", "b"]);
    let expected = telemetry.model().clone();
    let bytes = telemetry.clone().into_wire();
    assert!(bytes.0.model.get().is_none() && telemetry.0.model.get().is_some());
    assert_eq!((bytes.items(), bytes.signal()), (2, Signal::Traces));
    assert_eq!(bytes.model(), &expected);
}

#[test]
fn an_edit_counts_items_again() {
    let mut telemetry = spans(&["a", "b", "c"]);
    telemetry.edit(|model| {
        let Model::Traces(all) = model else { panic!("made of spans") };
        all[0].scope_spans[0].spans.pop();
    });
    assert_eq!(telemetry.items(), 2);
}

#[test]
fn the_wire_view_is_the_export_request() {
    let telemetry = spans(&["a", "b"]);
    let request = ExportTraceServiceRequest::decode(telemetry.wire().clone()).unwrap();
    assert_eq!(Model::Traces(request.resource_spans), *telemetry.model());
    assert_eq!(spans(&["a", "b"]).wire_len(), telemetry.wire().len());
}

#[test]
fn joining_keeps_every_item_in_order() {
    let joined = Telemetry::join(vec![spans(&["a"]), spans(&["b", "c"])]).unwrap();
    assert_eq!(joined.items(), 3);
    let request = ExportTraceServiceRequest::decode(joined.wire().clone()).unwrap();
    let names: Vec<_> = request
        .resource_spans
        .iter()
        .flat_map(|r| &r.scope_spans)
        .flat_map(|s| &s.spans)
        .map(|s| s.name.as_str())
        .collect();
    assert_eq!(names, ["a", "b", "c"]);
}
