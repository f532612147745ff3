//! What is said of telemetry by its bytes.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use proptest::prelude::*;
use prost::Message;

use super::*;
use crate::otlp::Request;
use crate::otlp::arbitrary;
use crate::otlp::wire::edit::{Take, Wants};

fn taken(wire: Vec<u8>) -> Option<Telemetry> {
    Some(check(Request::Traces, wire.into()).ok()?.repaired().ok()?.into())
}

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
        let telemetry = taken(wire);
        prop_assume!(telemetry.is_some());
        let telemetry = telemetry.unwrap();
        let mut text = Vec::new();
        telemetry.write_json(&mut text);
        // As bytes: NaN is not equal to itself.
        let read = taken(json::read(Request::Traces, &text).unwrap()).unwrap();
        prop_assert_eq!(read.messages().encode(), telemetry.messages().encode());
    }
}

#[test]
fn what_is_irregular_is_written_all_the_same() {
    // The name of a span twice: the last counts.
    let wire = [1 << 3 | 2, 10, 2 << 3 | 2, 8, 2 << 3 | 2, 6, 0x2a, 1, b'a', 0x2a, 1, b'b'];
    let mut text = Vec::new();
    taken(wire.to_vec()).unwrap().write_json(&mut text);
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
        let Some(telemetry) = taken(wire) else { break };
        deepest = depth;
        let mut text = Vec::new();
        telemetry.write_json(&mut text);
        assert_eq!(text.windows(10).filter(|w| w == b"arrayValue").count(), depth);
    }
    assert!(deepest > 40, "{deepest}");
}

fn spans(names: &[&str]) -> Telemetry {
    let spans = names.iter().map(|n| Span { name: (*n).into(), ..Span::default() }).collect();
    let scope = ScopeSpans { spans, ..ScopeSpans::default() };
    Telemetry::from(Messages::Traces(vec![ResourceSpans {
        scope_spans: vec![scope],
        ..ResourceSpans::default()
    }]))
}

/// Drops every other item.
struct Halve(bool);

impl<'a> Edit<'a> for Halve {
    fn wants(&self) -> Wants {
        Wants { items: true, ..Wants::default() }
    }

    fn item(&mut self, _: &Item<'a>) -> Take {
        self.0 = !self.0;
        if self.0 { Take::Keep } else { Take::Drop }
    }
}

#[test]
fn an_edit_is_of_one_holder_and_counts_items_again() {
    let original = spans(&["a", "b", "c"]);
    let copy = original.clone();
    assert_eq!(copy.wire().as_ptr(), original.wire().as_ptr());
    let edited = copy.edited(&mut Halve(false));
    assert_eq!((edited.items(), original.items()), (2, 3));
    assert_eq!(edited.messages(), spans(&["a", "c"]).messages());
    let kept = original.edited(&mut Halve(false)).edited(&mut Halve(false));
    assert_eq!(kept.messages(), spans(&["a"]).messages());
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

#[test]
fn whatever_is_made_of_marked_telemetry_is_marked() {
    let marked = || spans(&["a", "b", "c"]).with_sampled(false);
    assert!(spans(&["a"]).sampled() && !marked().clone().sampled());
    assert!(!marked().edited(&mut Halve(false)).sampled());
    assert!(marked().split(1).iter().all(|piece| !piece.sampled()));
    assert!(marked().halves().unwrap().iter().all(|half| !half.sampled()));
    assert!(!Telemetry::join(vec![marked(), marked()]).unwrap().sampled());
}

/// Halved until nothing can be cut any more: pieces of one item, in the order of the items.
fn crumbs(whole: Telemetry) -> Vec<Telemetry> {
    match whole.halves() {
        None => vec![whole],
        Some(halves) => {
            let sum: usize = halves.iter().map(Telemetry::items).sum();
            assert_eq!(sum, whole.items());
            halves.into_iter().flat_map(crumbs).collect()
        }
    }
}

/// Requests without the envelopes that hold nothing, every item in an envelope of its own.
fn alone(pieces: &[Telemetry]) -> Vec<Telemetry> {
    pieces.iter().filter(|piece| piece.items() > 0).cloned().collect()
}

proptest! {
    #[test]
    fn halving_ends_with_every_item_alone_and_none_lost(
        traces in arbitrary::traces(), metrics in arbitrary::metrics(), logs in arbitrary::logs(),
    ) {
        for whole in [
            Telemetry::from(Messages::Traces(traces.resource_spans)),
            Telemetry::from(Messages::Metrics(metrics.resource_metrics)),
            Telemetry::from(Messages::Logs(logs.resource_logs)),
        ] {
            let pieces = alone(&crumbs(whole.clone()));
            prop_assert_eq!(pieces.len(), whole.items());
            prop_assert!(pieces.iter().all(|piece| piece.items() == 1));
            if let Messages::Traces(_) = whole.messages() {
                let all: Vec<_> = pieces.iter().flat_map(named).collect();
                prop_assert_eq!(all, named(&whole));
            }
        }
    }
}

fn resource(name: &str, scopes: &[usize]) -> ResourceSpans {
    let scope = |n: &usize| ScopeSpans {
        spans: (0..*n).map(|i| Span { name: format!("{name}{i}"), ..Span::default() }).collect(),
        schema_url: format!("scope of {n}"),
        ..ScopeSpans::default()
    };
    ResourceSpans {
        scope_spans: scopes.iter().map(scope).collect(),
        schema_url: name.into(),
        ..ResourceSpans::default()
    }
}

fn named(telemetry: &Telemetry) -> Vec<(String, String, String)> {
    let Messages::Traces(all) = telemetry.messages() else { panic!("made of spans") };
    let mut out = Vec::new();
    for r in all {
        for s in &r.scope_spans {
            for span in &s.spans {
                out.push((r.schema_url.clone(), s.schema_url.clone(), span.name.clone()));
            }
        }
    }
    out
}

#[test]
fn every_span_is_in_one_piece_with_its_resource_and_scope() {
    let whole = Telemetry::from(Messages::Traces(vec![
        resource("a", &[5, 1]),
        resource("b", &[0, 7]),
        resource("c", &[2]),
    ]));
    for max in 1..=16 {
        let pieces = whole.clone().split(max);
        assert!(pieces.iter().all(|p| (1..=max).contains(&p.items())), "max {max}");
        let all: Vec<_> = pieces.iter().flat_map(named).collect();
        assert_eq!(all, named(&whole), "max {max}");
    }
}

#[test]
fn pieces_do_not_repeat_a_resource_that_is_most_of_them() {
    use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
    use opentelemetry_proto::tonic::resource::v1::Resource;
    let large = AnyValue { value: Some(Value::StringValue("x".repeat(2 << 20))) };
    let attribute = KeyValue { key: "large".into(), value: Some(large), ..KeyValue::default() };
    let resource = Resource { attributes: vec![attribute], ..Resource::default() };
    let spans = vec![Span { name: "a".into(), ..Span::default() }; 100];
    let scope = ScopeSpans { spans, ..ScopeSpans::default() };
    let all = ResourceSpans {
        resource: Some(resource),
        scope_spans: vec![scope],
        ..ResourceSpans::default()
    };
    let whole = Telemetry::from(Messages::Traces(vec![all]));
    // A piece a span would be 200 MiB.
    let pieces = whole.clone().split(1);
    assert_eq!(pieces.iter().map(Telemetry::items).sum::<usize>(), 100);
    assert!(pieces.iter().map(|piece| piece.wire().len()).sum::<usize>() < 6 << 20);
    assert!(whole.halves().is_none(), "halves are no smaller");
}
