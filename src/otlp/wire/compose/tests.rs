//! What is composed, against what an encoder of the messages writes.

use super::{Attributes, LogRecords, Logs, Span, Spans, Traces, Value};
use crate::otlp::Request;
use crate::otlp::wire::{Found, check};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord as LogMessage, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link, SpanKind};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span as Message, Status};
use prost::Message as _;

fn attribute(key: &str, value: any_value::Value) -> KeyValue {
    let value = Some(AnyValue { value: Some(value) });
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}

#[test]
fn a_span_of_nothing_is_one() {
    let mut spans = Spans::of(&Resource::default(), &InstrumentationScope::default(), 0);
    spans.add(|_| ());
    spans.add(|span| span.name("n"));
    spans.add(|span| span.name_in_parts(["n", " ", "m"]));
    let expected = [0x12, 0, 0x12, 3, 0x2a, 1, b'n', 0x12, 5, 0x2a, 3, b'n', b' ', b'm'];
    assert!(spans.finish().into_parts().0.ends_with(&expected));
}

/// Says where lengths grow by a byte, and where numbers do.
#[test]
fn what_is_composed_is_what_an_encoder_writes() {
    for long in [0, 1, 90, 110, 127, 128, 129, 16_300, 16_384, 70_000] {
        let text = "x".repeat(long);
        let event = Event { name: text.clone(), time_unix_nano: 3, ..Event::default() };
        let link = Link { trace_id: vec![7; 16], span_id: vec![8; 8], ..Link::default() };
        let message = Message {
            trace_id: vec![1; 16],
            span_id: vec![2; 8],
            trace_state: text.clone(),
            parent_span_id: vec![3; 8],
            name: "name".to_owned(),
            kind: 3,
            start_time_unix_nano: long as u64,
            end_time_unix_nano: u64::MAX,
            attributes: vec![
                attribute("text", any_value::Value::StringValue(text.clone())),
                attribute(&text, any_value::Value::IntValue(-(long as i64))),
                attribute("no", any_value::Value::BoolValue(false)),
            ],
            events: vec![event.clone()],
            dropped_events_count: long as u32,
            links: vec![link.clone()],
            status: Some(Status { code: 2, ..Status::default() }),
            flags: 0x301,
            ..Message::default()
        };
        let resource = Resource { attributes: message.attributes.clone(), ..Resource::default() };
        let scope = InstrumentationScope { name: "s".into(), ..Default::default() };
        let of_messages = ResourceSpans {
            resource: Some(resource.clone()),
            scope_spans: vec![ScopeSpans {
                scope: Some(scope.clone()),
                spans: vec![message.clone(), message],
                ..ScopeSpans::default()
            }],
            ..ResourceSpans::default()
        };
        let expected = ExportTraceServiceRequest { resource_spans: vec![of_messages] };
        // However many bytes are thought of.
        for guess in [0, 1000, 20_000, 3_000_000] {
            let mut spans = Spans::of(&resource, &scope, guess);
            for _ in 0..2 {
                spans.add(|span| {
                    span.ids(&[1; 16], &[2; 8]);
                    span.trace_state(&text);
                    span.parent(&[3; 8]);
                    span.name("name");
                    span.kind(SpanKind::Client);
                    span.times(long as u64, u64::MAX);
                    span.attribute("text", Value::Text(&text));
                    span.attribute(&text, Value::Int(-(long as i64)));
                    span.attribute("no", Value::Bool(false));
                    span.event(&event);
                    span.dropped_events(long as u32);
                    span.link(&link);
                    span.status(StatusCode::Error);
                    span.flags(0x301);
                });
            }
            let (bytes, count) = spans.finish().into_parts();
            assert_eq!(count, 2);
            assert_eq!(bytes, expected.encode_to_vec());
        }
    }
}

/// The same of what has resources, scopes, events and links of its own.
#[test]
fn what_is_composed_piece_by_piece_is_what_an_encoder_writes() {
    use any_value::Value::{ArrayValue, DoubleValue, StringValue};
    for long in [0, 1, 90, 110, 127, 128, 129, 16_300, 16_384, 70_000] {
        let text = "x".repeat(long);
        let list = ArrayValue(Default::default());
        let attributes = vec![
            attribute("text", StringValue(text.clone())),
            attribute("half", DoubleValue(0.5)),
            attribute("list", list.clone()),
            KeyValue { value: Some(AnyValue::default()), ..attribute("none", list.clone()) },
        ];
        let all = |mut out: Attributes<'_>| {
            out.add("text", Value::Text(&text));
            out.add("half", Value::Double(0.5));
            out.add("list", Value::Other(&list));
            out.add("none", Value::Empty);
            long as u32
        };
        let dropped_attributes_count = long as u32;
        let event = Event {
            name: text.clone(),
            time_unix_nano: 3,
            attributes: attributes.clone(),
            dropped_attributes_count,
        };
        let link = Link {
            trace_id: vec![7; 16],
            span_id: vec![8; 8],
            attributes: attributes.clone(),
            dropped_attributes_count,
            flags: 1,
            ..Link::default()
        };
        let span = Message {
            span_id: vec![2; 8],
            trace_id: vec![1; 16],
            attributes: attributes.clone(),
            dropped_attributes_count,
            events: vec![event.clone(), event],
            links: vec![link],
            dropped_links_count: long as u32,
            ..Message::default()
        };
        let expected = |spans: Vec<Message>| ExportTraceServiceRequest {
            resource_spans: vec![ResourceSpans {
                resource: Some(Resource {
                    attributes: attributes.clone(),
                    dropped_attributes_count,
                    ..Resource::default()
                }),
                scope_spans: vec![ScopeSpans {
                    scope: Some(InstrumentationScope {
                        name: "s".into(),
                        version: text.clone(),
                        attributes: attributes.clone(),
                        dropped_attributes_count,
                    }),
                    spans,
                    schema_url: text.clone(),
                }],
                schema_url: "u".into(),
            }],
        };
        let mut times = Vec::new();
        let mut part = Vec::new();
        let mut rest = Span::onto(&mut part);
        all(rest.attributes());
        rest.dropped_attributes(dropped_attributes_count);
        times.extend([rest.event_at(3, &text, all), rest.event_at(3, &text, all)]);
        rest.link_to(&[7; 16], &[8; 8], 1, all);
        rest.dropped_links(long as u32);
        for time in times {
            assert_eq!(part[time..time + 8], 3_u64.to_le_bytes());
        }
        let mut composed = Traces::default();
        composed.resource(|out| {
            out.resource(all);
            out.scope(|out| {
                out.scope("s", &text, all);
                for _ in 0..2 {
                    out.span(|span| {
                        span.ids(&[1; 16], &[2; 8]);
                        span.part(&part);
                    });
                }
                out.schema_url(&text);
            });
            out.schema_url("u");
        });
        let mut twice = Traces::default();
        twice.join(composed.clone());
        twice.join(composed.clone());
        assert_eq!((composed.spans(), twice.spans(), twice.size()), (2, 4, 2 * composed.size()));
        let message = expected(vec![span.clone(), span]);
        assert_eq!(composed.into_parts().0, message.encode_to_vec());
    }
}

#[test]
fn a_small_batch_does_not_keep_the_room_that_was_made_for_a_large_one() {
    for spans in [0, 1, 100] {
        let mut all = Spans::of(&Resource::default(), &InstrumentationScope::default(), 500_000);
        (0..spans).for_each(|_| all.add(|span| span.name("n")));
        let (bytes, _) = all.finish().into_parts();
        assert!(bytes.capacity() <= bytes.len() + bytes.len() / 4, "{}", bytes.capacity());
    }
}

/// Log records, with and without what may be absent.
#[test]
fn what_is_composed_of_log_records_is_what_an_encoder_writes() {
    use any_value::Value::StringValue;
    for long in [0, 1, 90, 119, 124, 127, 128, 16_300, 16_384, 70_000] {
        let text = "x".repeat(long);
        let resource = Resource {
            attributes: vec![attribute("a", StringValue(text.clone()))],
            ..Default::default()
        };
        let scope = InstrumentationScope { name: "s".into(), ..Default::default() };
        let body = Some(AnyValue { value: Some(StringValue(text.clone())) });
        let whole = LogMessage {
            time_unix_nano: 7,
            observed_time_unix_nano: long as u64,
            severity_number: 13,
            severity_text: "warning".into(),
            body,
            attributes: vec![attribute("k", StringValue(text.clone()))],
            flags: 1,
            trace_id: vec![1; 16],
            span_id: vec![2; 8],
            event_name: text.clone(),
            ..LogMessage::default()
        };
        let expected = ExportLogsServiceRequest {
            resource_logs: vec![ResourceLogs {
                resource: Some(resource.clone()),
                scope_logs: vec![ScopeLogs {
                    scope: Some(scope.clone()),
                    log_records: vec![whole, LogMessage::default()],
                    ..ScopeLogs::default()
                }],
                ..ResourceLogs::default()
            }],
        };
        for guess in [0, 1000, 100_000] {
            let mut records = LogRecords::of(&resource, &scope, guess);
            records.add(|record| {
                record.time(7);
                record.severity(13, "warning");
                record.body(&text);
                record.attribute("k", Value::Text(&text));
                record.span(1, &[1; 16], &[2; 8]);
                record.observed(long as u64);
                record.event_name(&text);
            });
            records.add(|_| ());
            let (bytes, count) = records.finish().into_parts();
            assert_eq!((count, &bytes), (2, &expected.encode_to_vec()));
            let found = check(Request::Logs, bytes.clone().into());
            let checked = found.and_then(Found::repaired).unwrap();
            assert_eq!(checked.items(), 2);
            let (mut twice, mut one) = (Logs::default(), LogRecords::of(&resource, &scope, 0));
            one.add(|_| ());
            twice.join(one.finish());
            let mut other = LogRecords::of(&resource, &scope, 0);
            other.add(|_| ());
            twice.join(other.finish());
            let (bytes, count) = twice.into_parts();
            let both = ExportLogsServiceRequest::decode(bytes.as_slice()).unwrap();
            assert_eq!((count, both.resource_logs.len()), (2, 2));
        }
    }
}
