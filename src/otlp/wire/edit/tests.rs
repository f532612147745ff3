use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::Span;
use proptest::prelude::*;
use prost::Message;

use super::*;
use crate::otlp::arbitrary;

fn spans(request: &mut ExportTraceServiceRequest) -> impl Iterator<Item = (String, &mut Span)> {
    let scopes = request.resource_spans.iter_mut().flat_map(|r| &mut r.scope_spans);
    scopes.flat_map(|s| {
        let name = s.scope.as_ref().map(|scope| scope.name.clone()).unwrap_or_default();
        s.spans.iter_mut().map(move |span| (name.clone(), span))
    })
}

/// What is added to a span: nothing to every third, something long to some.
fn more(scope: &[u8], trace: &[u8], attributes: usize) -> Vec<String> {
    let key = format!("{scope:?} {trace:?}").repeat(attributes % 7);
    vec![key; attributes % 3]
}

fn empty(key: String) -> KeyValue {
    KeyValue { key, value: Some(AnyValue::default()), ..KeyValue::default() }
}

proptest! {
    #[test]
    fn spans_get_what_is_added_and_all_else_stays(mut request in arbitrary::traces()) {
        let before = request.encode_to_vec();
        let after = edit_attributes(&before, &|_| false, |scope, span, changes| {
            let more = more(scope, span.trace_id, span.attributes.len());
            more.iter().for_each(|key| changes.add(key, Composed::Empty));
            Ok(())
        });
        let mut any = false;
        for (scope, span) in spans(&mut request) {
            let added = more(scope.as_bytes(), &span.trace_id, span.attributes.len());
            any |= !added.is_empty();
            span.attributes.extend(added.into_iter().map(empty));
        }
        prop_assert_eq!(after.unwrap(), any.then(|| request.encode_to_vec()));
    }

    /// What is plain; for the rest a decoder is needed.
    #[test]
    fn values_are_replaced_and_all_else_stays(
        mut request in arbitrary::traces(),
        every in 1..4_usize,
        text in "[a-z]{0,10}|[a-z]{120,140}",
        also in any::<bool>(),
    ) {
        use opentelemetry_proto::tonic::common::v1::any_value::Value;
        let before = request.encode_to_vec();
        let after = edit_attributes(&before, &|_| false, |_, span, changes| {
            let places = (0..span.attributes.len()).step_by(every);
            changes.replaced.extend(places.map(|place| (place, text.clone())));
            if also {
                changes.add("more", Composed::Empty);
            }
            Ok(())
        });
        let (mut any, mut plain) = (false, true);
        for (_, span) in spans(&mut request) {
            for attribute in span.attributes.iter_mut().step_by(every) {
                plain &= (1..128).contains(&attribute.key.len())
                    && attribute.key_strindex == 0
                    && attribute.value.is_some();
                any = true;
                let value = Some(Value::StringValue(text.clone()));
                attribute.value = Some(AnyValue { value });
            }
            span.attributes.extend(also.then(|| empty("more".to_owned())));
            any |= also;
        }
        let expected = if plain { Ok(any.then(|| request.encode_to_vec())) } else { Err(Irregular) };
        prop_assert_eq!(after, expected);
    }

    #[test]
    fn attributes_are_read_as_a_decoder_does(mut request in arbitrary::traces()) {
        let bytes = request.encode_to_vec();
        let mut read = Vec::new();
        edit_attributes(&bytes, &|_| false, |_, span, _| {
            for attribute in span.attributes {
                read.push((attribute.name.to_vec(), attribute.text()?.map(<[u8]>::to_vec)));
            }
            Ok(())
        }).unwrap();
        let mut expected = Vec::new();
        for (_, span) in spans(&mut request) {
            for attribute in &span.attributes {
                use opentelemetry_proto::tonic::common::v1::any_value::Value::StringValue;
                let text = match attribute.value.as_ref().and_then(|v| v.value.as_ref()) {
                    Some(StringValue(text)) => Some(text.clone().into_bytes()),
                    _ => None,
                };
                expected.push((attribute.key.clone().into_bytes(), text));
            }
        }
        prop_assert_eq!(read, expected);
    }

    #[test]
    fn attributes_are_found_wherever_they_stand(request in arbitrary::traces()) {
        let bytes = request.encode_to_vec();
        let (mut own, mut beside) = (Vec::new(), Vec::new());
        let keys = |list: &[KeyValue]| list.iter().map(|a| a.key.clone()).collect::<Vec<_>>();
        for resource in &request.resource_spans {
            resource.resource.iter().for_each(|r| beside.extend(keys(&r.attributes)));
            for scope in &resource.scope_spans {
                scope.scope.iter().for_each(|s| beside.extend(keys(&s.attributes)));
                for span in &scope.spans {
                    own.extend(keys(&span.attributes));
                    span.events.iter().for_each(|e| beside.extend(keys(&e.attributes)));
                    span.links.iter().for_each(|l| beside.extend(keys(&l.attributes)));
                }
            }
        }
        let names = std::cell::RefCell::new(Vec::new());
        let look = |name: &[u8]| {
            names.borrow_mut().push(String::from_utf8(name.to_vec()).unwrap());
            false
        };
        let seen = || {
            let mut names = names.take();
            names.sort();
            names
        };
        edit_attributes(&bytes, &look, |_, _, _| Ok(())).unwrap();
        beside.sort();
        prop_assert_eq!(&seen(), &beside);
        for name in &beside {
            let barred = |other: &[u8]| other == name.as_bytes();
            prop_assert_eq!(edit_attributes(&bytes, &barred, |_, _, _| Ok(())), Err(Irregular));
        }
        any_attribute(Request::Traces, &bytes, &look).unwrap();
        own.extend(beside);
        own.sort();
        prop_assert_eq!(seen(), own);
    }

    #[test]
    fn spans_are_told_apart_as_a_decoder_does(mut request in arbitrary::traces()) {
        let mut read = Vec::new();
        each_span(&request.encode_to_vec(), |trace, span, start| {
            read.push((trace.to_vec(), span.to_vec(), start));
        }).unwrap();
        let key = |span: &mut Span| {
            (span.trace_id.clone(), span.span_id.clone(), span.start_time_unix_nano)
        };
        let expected: Vec<_> = spans(&mut request).map(|(_, span)| key(span)).collect();
        prop_assert_eq!(read, expected);
    }

    /// Anything at all: no panic, and no answer where there is none.
    #[test]
    fn garbage_is_given_up(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        any_attribute(Request::Metrics, &bytes, &|_| false).ok();
        edit_attributes(&bytes, &|_| false, |_, _, _| Ok(())).ok();
        each_span(&bytes, |_, _, _| ()).ok();
    }
}
